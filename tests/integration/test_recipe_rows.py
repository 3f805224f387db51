"""How rows are read in training and in serving, and how few of them are trained on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_teacher import teacher

from duobiao.classifier import Classifier
from duobiao.config import TrainSettings
from duobiao.data.encode import Encoded, RowEncoder
from duobiao.data.rows import Row
from duobiao.labels import LabelSpace
from duobiao.train import recipe, run

NODE = "身份确认"


@pytest.fixture(scope="module")
def learn(tiny_rows: Any, tiny_space: LabelSpace) -> Callable[..., Path]:
    def run(config: Any, out: Path, **options: Any) -> Path:
        return recipe.train(config, tiny_rows.train, tiny_rows.dev, tiny_space, out, **options)

    return run


def texts_of(rows: list[Row]) -> tuple[list[str], list[str | None]]:
    return [row.text for row in rows], [row.context for row in rows]


# ---- training and serving read alike -----------------------------------------------------------------


def test_a_row_is_encoded_alike_in_training_and_in_serving(
    learn: Any, tiny_rows: Any, tiny_space: LabelSpace, wwm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messy = [
        ("\ufeff快递\u200b 坏了\n", ""),
        ("  开票　ab ", NODE),
        ("是我" * 40, "售\u200b后"),
        ("打错了", " "),
        ("ＡＢ", None),
    ]
    rows = [*tiny_rows.train, *(Row(str(at), text, where, ("物流",)) for at, (text, where) in enumerate(messy))]
    seen: list[Encoded] = []
    real = RowEncoder.encode
    monkeypatch.setattr(RowEncoder, "encode", lambda self, pairs: seen.append(real(self, pairs)) or seen[-1])
    dev: list[np.ndarray] = []
    gather = run.gathered_logits
    monkeypatch.setattr(run, "gathered_logits", lambda *args: dev.append(gather(*args)) or dev[-1])
    recipe.train(teacher(encoder=str(wwm_folder)), rows, rows, tiny_space, tmp_path / "out")
    trained = next(one for one in seen if len(one) == len(rows))
    seen.clear()
    logits = Classifier.load(tmp_path / "out").logits(*texts_of(rows))
    (served,) = seen
    for name in ("ids", "types"):
        for one, two in zip(getattr(trained, name), getattr(served, name), strict=True):
            np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(logits, dev[-1])  # bit for bit


# ---- few rows ----------------------------------------------------------------------------------------


def test_few_rows_take_more_passes_and_as_much_more_patience() -> None:
    settings = TrainSettings(epochs=4, batch_size=32, patience=2)
    few = recipe.with_steps(settings, 100, 40)  # 4 steps a pass
    assert (few.epochs, few.patience) == (10, 5)
    assert recipe.with_steps(settings, 100, 16) == settings
    assert recipe.with_steps(settings.model_copy(update={"patience": None}), 1, 40).patience is None


def test_a_teacher_of_few_rows_takes_at_least_so_many_steps(
    learn: Any, bert_folder: Path, tmp_path: Path, tiny_rows: Any
) -> None:
    config = teacher(encoder=str(bert_folder), min_steps=20)
    assert config.train.epochs * math.ceil(len(tiny_rows.train) / config.train.batch_size) < 20
    bundle = learn(config, tmp_path / "few")
    assert json.loads((bundle / "metrics.jsonl").read_text().splitlines()[-1])["step"] >= 20
