"""BiLSTM and TextCNN students, joint and staged, pruned, interrupted, refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import refused

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.config import parse_config
from duobiao.data.rows import Row
from duobiao.errors import ConfigError, DataError
from duobiao.labels import LabelSpace
from duobiao.train import loop, recipe, run
from duobiao.train.distillation import Distillation
from duobiao.train.students import staged

SETTINGS = {
    "bilstm": {"kind": "bilstm", "hidden": 10, "fc": 12, "augment": {"copies": 1}},
    "textcnn": {"kind": "textcnn", "widths": [2, 6], "filters": 8, "components": 12},
    "bigru": {"kind": "bigru", "hidden": 10, "fc": 12},
}
SHORT = {"hidden_epochs": 2, "logits_epochs": 3, "label_epochs": 3, "unfreeze": 1}
NODE = "身份确认"


def student(kind: str, *, epochs: int = 2, **changes: Any) -> Any:
    train = {"epochs": epochs, "batch_size": 16, "lr": 1e-2, "checkpoint_seconds": 0}
    return parse_config({**SETTINGS[kind], "dropout": 0.1, "train": train, **changes})


@pytest.fixture(scope="module")
def transfer(tiny_rows: Any) -> list[Row]:
    return [replace(row, text=row.text[::-1], labels=None, unknown=()) for row in tiny_rows.dev]


@pytest.fixture(scope="module")
def teach(
    tmp_path_factory: pytest.TempPathFactory, tiny_rows: Any, tiny_space: LabelSpace, bert_folder: Path
) -> Callable[..., Path]:
    """Makes a teacher, each once."""
    place = tmp_path_factory.mktemp("teachers")

    def make(**features: Any) -> Path:
        train = {"epochs": 6, "batch_size": 16, "lr": 3e-3}
        settings = {"kind": "encoder", "encoder": str(bert_folder), "pooling": "mean", "input": {"max_length": 48}}
        config = parse_config({**settings, "train": train, "features": features})
        return recipe.train(config, tiny_rows.train, tiny_rows.dev, tiny_space, place / ("-".join(features) or "plain"))

    return make


@pytest.fixture(scope="module")
def teacher(teach: Callable[..., Path]) -> Path:
    return teach()


@pytest.fixture(scope="module")
def distil(tiny_rows: Any, transfer: list[Row]) -> Callable[..., Path]:
    def make(source: Path, config: Any, out: Path, **options: Any) -> Path:
        return recipe.distil(source, config, tiny_rows.train, tiny_rows.dev, out, transfer=transfer, **options)

    return make


def lines(bundle: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bundle / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


# ---- what comes out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bilstm", "textcnn"])
@pytest.mark.parametrize("stages", ["joint", "staged"])
def test_bundle_answers_as_it_did_in_training(
    kind: str, stages: str, teacher: Path, distil: Any, tiny_rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    real = run.gathered_logits
    monkeypatch.setattr(run, "gathered_logits", lambda *given: seen.append(real(*given)) or seen[-1])
    out = distil(teacher, student(kind, stages=stages, staged=SHORT), tmp_path / "out")
    loaded = Classifier.load(out)
    found = loaded.logits([row.text for row in tiny_rows.dev], [row.context for row in tiny_rows.dev])
    np.testing.assert_array_equal(found, seen[-1])
    assert loaded.bundle.kind == kind
    assert not out.with_name("out.run").exists()
    assert not [name for name in loaded.bundle.weights if "projection" in name]
    answers = loaded.predict([row.text for row in tiny_rows.dev], [row.context for row in tiny_rows.dev])
    for row, answer in zip(tiny_rows.dev, answers, strict=True):
        asked = [name for name in loaded.labels if name.startswith(NODE)]
        assert all((name in answer.scores) == (row.context == NODE) for name in asked)


def test_components_make_the_embedding_narrower(teacher: Path, distil: Any, tmp_path: Path) -> None:
    for control in (False, True):
        made = read_bundle(distil(teacher, student("textcnn", epochs=1), tmp_path / str(control), no_teacher=control))
        assert made.weights["embedding.weight"].shape[1] == 12


@pytest.mark.parametrize(
    ("kind", "features"),
    [("bilstm", {"statistics": ["length"]}), ("textcnn", {"statistics": ["length"]}), ("textcnn", {"segment": "pairwise"})],
    ids=str,
)
def test_features_are_read(kind: str, features: Any, teach: Any, distil: Any, tiny_rows: Any, tmp_path: Path) -> None:
    source = teach(**features)
    settings = {**SHORT, "hidden_epochs": 0} if "segment" in features else SHORT
    out = distil(source, student(kind, stages="staged", staged=settings, augment={}), tmp_path / "out")
    made = read_bundle(out)
    assert made.model.get("extra", 0) == len(features.get("statistics", ()))
    assert made.model.get("pairwise", False) is ("segment" in features)
    proba = Classifier.load(out).predict_proba([row.text for row in tiny_rows.dev], [row.context for row in tiny_rows.dev])
    assert proba.shape == (len(tiny_rows.dev), len(made.space))


# ---- stages ------------------------------------------------------------------------------------------


def test_a_staged_student_learns_row_vectors_then_logits_then_labels(teacher: Path, distil: Any, tmp_path: Path) -> None:
    long = {"hidden_epochs": 8, "logits_epochs": 10, "label_epochs": 4}
    found = lines(distil(teacher, student("bigru", stages="staged", staged=long), tmp_path / "out"))
    starts = [at for at, line in enumerate(found) if line["step"] == 0]
    hidden, logits = [line["loss"] for line in found[: starts[0]]], [line for line in found[starts[0] :] if "logits" in line]
    assert hidden[-1] < 0.8 * hidden[0]
    assert logits[-1]["logits"] < 0.8 * logits[0]["logits"]
    assert [line["epoch"] for line in found[: starts[0]]] == [1, 1, 2, 3, 4, 5, 6, 7]
    assert len(starts) == 6  # three layers, twice
    best = 0.0
    for start, end in zip(starts, [*starts[1:], len(found)], strict=True):
        scores = [line["score"] for line in found[start:end]]
        assert scores[0] == pytest.approx(best) or start == starts[0]  # begins with the best weights of the part before
        best = max(scores)
    assert read_bundle(tmp_path / "out").metrics["dev"]["micro_f1"] == pytest.approx(best)


def test_layers_that_wait_do_not_move(teacher: Path, distil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, dict[str, np.ndarray]]] = []
    real = Distillation.fit

    def watch(work: Distillation, objective: Any, **options: Any) -> None:
        def now() -> dict[str, np.ndarray]:
            return {name: tensor.detach().numpy().copy() for name, tensor in objective.student.named_parameters()}

        before = now()
        real(work, objective, **options)
        after = now()
        moved = {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}
        seen.append((options["stage"], moved))

    monkeypatch.setattr(Distillation, "fit", watch)
    monkeypatch.setattr(loop._Run, "_save_best", lambda self: None)  # so that each part ends with its last weights
    distil(teacher, student("bigru", stages="staged", staged=SHORT), tmp_path / "out")
    top, middle, whole = {"first", "output"}, {"first", "output", "gru"}, {"first", "output", "gru", "embedding"}
    assert seen == [
        ("hidden-1", {"gru"}),
        ("hidden-2", {"gru", "embedding"}),
        *(("logits-1", top), ("logits-2", middle), ("logits-3", whole)),
        *(("labels-1", top), ("labels-2", middle), ("labels-3", whole)),
    ]


def test_a_frozen_embedding_stays_frozen_in_every_stage(teacher: Path, distil: Any, tmp_path: Path) -> None:
    config = student("bigru", stages="staged", staged=SHORT, train_embedding=False, vocabulary={"keep": "all"})
    made = read_bundle(distil(teacher, config, tmp_path / "out"))
    source = read_bundle(teacher).weights["encoder.embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(made.weights["embedding.weight"], source)


def test_only_labelled_rows_have_a_part_in_the_last_stage_and_labels_only_there(
    teacher: Path, distil: Any, tiny_rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: dict[str, tuple[int, float]] = {}
    real = staged.stage

    def watch(work: Distillation, model: Any, name: str) -> Any:
        objective, data = real(work, model, name)
        used[name] = (len(data.lengths), getattr(objective, "weights", (0, 1))[1] if name != "hidden" else 0)
        return objective, data

    monkeypatch.setattr(staged, "stage", watch)
    distil(teacher, student("bigru", stages="staged", staged=SHORT), tmp_path / "out")
    labelled, both = len(tiny_rows.train), len(tiny_rows.train) + len(tiny_rows.dev)
    assert used == {"hidden": (both, 0), "logits": (both, 0.0), "labels": (labelled, 1)}


def test_a_run_killed_in_any_part_ends_with_the_same_weights(
    teacher: Path, distil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = student("textcnn", stages="staged", staged={**SHORT, "label_logits": 0.3})
    whole = read_bundle(distil(teacher, config, tmp_path / "whole"))
    real, calls, deadly = loop._Run.step, [0], set(range(3, 60, 5))  # a step or more in every part

    def step(self: Any, *given: Any) -> float:
        calls[0] += 1
        if calls[0] in deadly:
            raise KeyboardInterrupt
        return real(self, *given)

    monkeypatch.setattr(loop._Run, "step", step)
    killed = 0
    while True:
        try:
            out = distil(teacher, config, tmp_path / "out")
        except KeyboardInterrupt:
            killed += 1
            continue
        break
    assert killed >= 6
    assert read_bundle(out).digest == whole.digest
    assert [line.get("loss") for line in lines(out)] == [line.get("loss") for line in lines(tmp_path / "whole")]


def test_a_control_of_a_staged_student_takes_as_many_steps_with_labels_only(
    teacher: Path, distil: Any, tiny_rows: Any, transfer: list[Row], tmp_path: Path
) -> None:
    config = student("bigru", stages="staged", staged=SHORT)
    made = lines(distil(teacher, config, tmp_path / "student"))
    control = lines(distil(teacher, config, tmp_path / "control", no_teacher=True))
    assert all("logits" not in line for line in control)
    parts = [line["step"] for line, after in zip(made, [*made[1:], {"step": 0}], strict=True) if after["step"] <= line["step"]]
    steps = sum(parts)
    alone = math.ceil(len(tiny_rows.train) / 16)
    assert abs(control[-1]["step"] - steps) <= alone / 2
    assert abs(len(control) - sum("score" in line for line in made)) <= 3  # every second or third step


def test_row_vectors_of_a_pairwise_teacher_are_refused(teach: Any, distil: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no row vector to learn"):
        distil(teach(segment="pairwise"), student("textcnn", stages="staged", staged=SHORT), tmp_path / "out")
    assert not (tmp_path / "out.run").exists()


# ---- label spaces that differ ------------------------------------------------------------------------


def test_another_label_space_is_refused_with_the_difference(
    teacher: Path, distil: Any, tiny_space: LabelSpace, tmp_path: Path
) -> None:
    data = tiny_space.to_dict()
    data["labels"] = [*data["labels"][1:], "退款"]
    del data["groups"]["升级"]
    with pytest.raises(DataError, match="label space differs") as error:
        distil(teacher, student("bigru"), tmp_path / "out", space=LabelSpace.from_dict(data))
    assert "only in the given label space: 退款" in error.value.problems
    assert f"only in the teacher's: {tiny_space.names[0]}" in error.value.problems
    assert "group 升级: only in the teacher's" in error.value.problems
    assert not list(tmp_path.iterdir())


def test_rows_with_labels_that_the_teacher_does_not_know_are_refused_once_a_label(
    teacher: Path, tiny_rows: Any, tiny_space: LabelSpace, write_rows: Any, tmp_path: Path
) -> None:
    rows = [replace(row, labels=(*row.labels, "退款")) for row in tiny_rows.train[:5]]
    rows += [replace(row, labels=tuple(name for name in row.labels if name != "物流")) for row in tiny_rows.train[5:]]
    rows[:5] = [replace(row, labels=tuple(name for name in row.labels if name != "物流")) for row in rows[:5]]
    with pytest.raises(DataError, match=r"1 labels that the teacher .* does not know") as error:
        recipe.distil(teacher, student("bigru"), rows, rows, tmp_path / "out")
    assert list(error.value.problems) == [
        f"only in the rows: '退款' (10 rows, first {rows[0].source})",
        "only in the teacher (encoder): '物流'",
    ]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    said = refused(
        "distil", "--teacher", teacher, "--config", "bigru-a", "--train", file, "--dev", file, "--out", tmp_path / "o"
    )
    assert said.count("退款") == 1
    assert "only in the teacher" in said
    space = tmp_path / "labels.yaml"
    space.write_text("labels: [物流, 退款]\n", encoding="utf-8")
    options = ("--train", file, "--dev", file, "--labels", space, "--out", tmp_path / "o")
    refused("distil", "--teacher", teacher, "--config", "bigru-a", *options, names=("only in the given label space: 退款",))
