"""One tiny chain of bundles, made once with the commands a user types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from chained import Chain
from commands import done
from feature_bundles import Made, make

from duobiao.data.rows import Row
from duobiao.labels import LabelSpace

SHORT = ("--set", "input.max_length=64", "--set", "train.epochs=2")


@pytest.fixture(scope="session")
def chain(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_rows: Any,
    tiny_space: LabelSpace,
    write_rows: Callable[[Path, Sequence[Row]], Path],
    wwm_folder: Path,
) -> Chain:
    """Linear baseline, teacher, distilled BiGRU A and its control."""
    folder = tmp_path_factory.mktemp("chain")
    rows = {"train": tiny_rows.train, "dev": tiny_rows.dev, "test": [*tiny_rows.dev[::-1], *tiny_rows.train[:4]]}
    paths = {name: write_rows(folder / f"{name}.jsonl", rows[name]) for name in rows}
    paths["labels"] = folder / "labels.yaml"
    paths["labels"].write_text(tiny_space.to_yaml(), encoding="utf-8")
    paths |= {name: folder / "runs" / name for name in ("linear", "teacher", "student", "control")}
    files = ("--train", paths["train"], "--dev", paths["dev"])
    encoder = ("--config", "teacher-roberta-wwm", "--set", f"encoder={wwm_folder}", "--set", "name=teacher", *SHORT)
    bigru = ("distil", "--teacher", paths["teacher"], "--config", "bigru-a", *files, "--set", "train.epochs=2")
    output = {
        "linear": done("train", "--config", "linear", *files, "--labels", paths["labels"], "--out", paths["linear"]).stdout,
        "teacher": done("train", *encoder, *files, "--labels", paths["labels"], "--out", paths["teacher"]).stdout,
        "student": done(*bigru, "--out", paths["student"]).stdout,
        "control": done(*bigru, "--out", paths["control"], "--no-teacher", "--set", "name=control").stdout,
    }
    return Chain(folder=folder, output=output, **paths)


@pytest.fixture(scope="session")
def made(tiny_rows: Any, tiny_space: LabelSpace, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Bundles with features and without."""
    return make(tiny_rows, tiny_space, tmp_path_factory.mktemp("features"))
