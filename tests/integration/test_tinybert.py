"""TinyBERT students: both stages, their control, their bundles."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.config import parse_config
from duobiao.data.rows import Row
from duobiao.errors import ConfigError
from duobiao.train import distillation, intermediate, loop, recipe
from duobiao.train.students import tinybert
from duobiao.train.teachers import Teachers

TEACHER = {
    "kind": "encoder",
    "pooling": "mean",
    "input": {"max_length": 48},
    "train": {"epochs": 2, "batch_size": 16, "lr": 1e-3},
}
STUDENT = {
    "kind": "tinybert",
    "shape": {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 24},
    "intermediate": {"epochs": 2, "lr": 2e-3},
    "train": {"epochs": 2, "batch_size": 16, "lr": 2e-3},
}
ALL = {"vocabulary": {"keep": "all"}}


def student(**changes: Any) -> Any:
    return parse_config({**STUDENT, **changes})


@pytest.fixture(scope="module")
def transfer(tiny_rows: Any) -> list[Row]:
    return [replace(row, text=row.text[::-1], context=None, labels=None, unknown=()) for row in tiny_rows.dev]


@pytest.fixture(scope="module")
def teachers(
    tmp_path_factory: pytest.TempPathFactory, tiny_rows: Any, tiny_space: Any, bert_folder: Path, albert_folder: Path
) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("teachers")
    kinds: dict[str, dict[str, Any]] = {
        "bert": {"encoder": str(bert_folder)},
        "albert": {"encoder": str(albert_folder), "pooling": "cls"},
        "pairwise": {"encoder": str(bert_folder), "features": {"segment": "pairwise", "statistics": True}},
    }
    return {
        kind: recipe.train(parse_config({**TEACHER, **changes}), tiny_rows.train, tiny_rows.dev, tiny_space, place / kind)
        for kind, changes in kinds.items()
    }


@pytest.fixture(scope="module")
def distil(teachers: dict[str, Path], tiny_rows: Any) -> Callable[..., Path]:
    def run(kind: str, config: Any, out: Path, **options: Any) -> Path:
        return recipe.distil(teachers[kind], config, tiny_rows.train, tiny_rows.dev, out, **options)

    return run


def history(bundle: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bundle / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def same(one: Path, two: Path) -> bool:
    first, second = read_bundle(one).weights, read_bundle(two).weights
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["bert", "albert", "pairwise"])
def test_a_bundle_answers_like_the_model_that_was_trained(
    kind: str, distil: Any, tmp_path: Path, tiny_rows: Any, monkeypatch: pytest.MonkeyPatch, transfer: list[Row]
) -> None:
    made: list[torch.nn.Module] = []
    real = distillation.Distillation.write
    monkeypatch.setattr(
        distillation.Distillation, "write", lambda self, model, *a: (made.append(model), real(self, model, *a))[1]
    )
    out = distil(kind, student(), tmp_path / "out", transfer=transfer)
    loaded = Classifier.load(out)
    assert loaded.bundle.kind == "tinybert"
    assert not any("projection" in name for name in loaded.bundle.weights)
    texts, contexts = [row.text for row in tiny_rows.dev], [row.context for row in tiny_rows.dev]
    found = loaded.logits(texts, contexts)
    loaded.backend.model = made[0].eval()
    np.testing.assert_array_equal(found, loaded.logits(texts, contexts))
    for at in (0, 5):
        np.testing.assert_allclose(loaded.logits([texts[at]], [contexts[at]])[0], found[at], atol=1e-5)
    assert not (tmp_path / "out.run").exists()
    stages = [line for line in history(out) if "score" not in line]
    assert {"embedding", "hidden", "attention"} <= stages[0].keys()
    assert stages[-1]["loss"] < stages[0]["loss"]


def test_a_student_keeps_the_factorised_embedding_of_albert(distil: Any, teachers: Any, tmp_path: Path) -> None:
    config = student(**ALL, shape={**STUDENT["shape"], "layers": 2})
    weights = read_bundle(distil("albert", config, tmp_path / "out")).weights
    source = read_bundle(teachers["albert"]).weights["encoder.embeddings.word_embeddings.weight"]
    assert weights["encoder.embeddings.word_embeddings.weight"].shape == source.shape
    assert len({name.split(".")[3] for name in weights if "albert_layer_groups" in name}) == 2


def test_a_student_can_be_a_teacher(distil: Any, tmp_path: Path, tiny_rows: Any) -> None:
    first = distil("bert", student(), tmp_path / "first")
    out = recipe.distil(
        first,
        parse_config({"kind": "bigru", "hidden": 4, "fc": 4, "train": {"epochs": 1}}),
        tiny_rows.train,
        tiny_rows.dev,
        tmp_path / "second",
    )
    assert read_bundle(out).weights["embedding.weight"].shape[1] == 16


@pytest.mark.parametrize("stage", ["intermediate", "prediction"])
def test_an_interrupted_stage_goes_on_to_the_same_weights(
    stage: str, distil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transfer: list[Row]
) -> None:
    config = student(train={**STUDENT["train"], "checkpoint_seconds": 0})
    whole = distil("bert", config, tmp_path / "whole", transfer=transfer)
    real, steps = loop._Run.step, []

    def stop(self: Any, *given: Any) -> float:
        steps.append(self.workdir.name)
        if steps.count(stage) == 3:
            raise KeyboardInterrupt
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            distil("bert", config, tmp_path / "out", transfer=transfer)
    assert (tmp_path / "out.run" / stage / "last.pt").is_file()
    steps.clear()
    monkeypatch.setattr(loop._Run, "step", lambda self, *given: (steps.append(self.workdir.name), real(self, *given))[1])
    distil("bert", config, tmp_path / "out", transfer=transfer)
    assert ("intermediate" in steps) == (stage == "intermediate")
    assert same(whole, tmp_path / "out")
    assert read_bundle(whole).digest == read_bundle(tmp_path / "out").digest


def test_a_control_starts_alike_and_never_asks_the_teacher(
    distil: Any, tmp_path: Path, transfer: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = student(augment={"copies": 2})
    starts: list[dict[str, torch.Tensor]] = []
    real = tinybert.start

    def start(*arguments: Any) -> Any:
        found = real(*arguments)
        starts.append({name: value.clone() for name, value in found[0].state_dict().items()})
        return found

    monkeypatch.setattr(tinybert, "start", start)
    out = distil("bert", config, tmp_path / "out", transfer=transfer)
    steps = {}
    for line in history(out):
        steps["prediction" if "score" in line else "intermediate"] = line["step"]

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the teacher was asked")

    monkeypatch.setattr(Teachers, "soft", refuse)
    monkeypatch.setattr(intermediate, "inside", refuse)
    monkeypatch.setattr(Classifier, "logits", refuse)
    control = distil("bert", config, tmp_path / "control", transfer=transfer, no_teacher=True)
    lines = history(control)
    rows = read_bundle(control).metrics["train_rows"]
    assert abs(lines[-1]["step"] - sum(steps.values())) <= math.ceil(rows / 16) / 2
    assert abs(len(lines) - len([line for line in history(out) if "score" in line])) <= 1
    assert set(lines[0]) == {"step", "epoch", "loss", "score", "micro_f1", "macro_f1", "lr"}
    assert all(torch.equal(value, starts[1][name]) for name, value in starts[0].items())


def test_only_labelled_rows_if_so_wished(
    distil: Any, tmp_path: Path, transfer: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = tinybert._inputs
    monkeypatch.setattr(tinybert, "_inputs", lambda *a: (seen.append(len(real(*a).lengths)), real(*a))[1])
    short = {"train": {"epochs": 1, "batch_size": 16}, "augment": {"copies": 1}}
    distil("bert", student(**short), tmp_path / "all", transfer=transfer)
    distil("bert", student(**short, intermediate={"epochs": 1, "rows": "labelled"}), tmp_path / "own", transfer=transfer)
    assert seen[1] == 48
    assert seen[0] > 48 + len(transfer)


def test_no_first_stage_if_so_wished(distil: Any, tmp_path: Path) -> None:
    assert all("score" in line for line in history(distil("bert", student(intermediate={"epochs": 0}), tmp_path / "out")))


def test_what_does_not_fit_the_teacher_is_refused(distil: Any, tmp_path: Path, bert_folder: Path, wwm_folder: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="the student has 3 layers, its teacher 2"):
        distil("bert", student(shape={**STUDENT["shape"], "layers": 3}), out)
    with pytest.raises(ConfigError, match="hidden_size: 40, teacher 32"):
        distil("bert", student(shape={**STUDENT["shape"], "hidden": 40}), out)
    with pytest.raises(ConfigError, match="are not there"):
        distil("bert", student(start="general", general_student=str(tmp_path / "nowhere")), out)
    with pytest.raises(ConfigError, match="layers, hidden, heads, intermediate are"):
        distil("bert", student(start="general", general_student=str(bert_folder)), out)
    with pytest.raises(ConfigError, match="belong together"):
        student(start="general")
    with pytest.raises(ConfigError, match="belong together"):
        student(general_student=str(bert_folder))
    assert not out.exists()
    assert not out.with_name("out.run").exists()


def test_a_changed_dictionary_is_another_run(distil: Any, tmp_path: Path) -> None:
    path = tmp_path / "synonyms.txt"
    path.write_text("快递 包裹\n", encoding="utf-8")
    config = student(augment={"copies": 1, "synonyms": str(path)}, train={"epochs": 1}, intermediate={"epochs": 0})
    out = distil("bert", config, tmp_path / "out")
    before = (out / "bundle.json").stat().st_mtime_ns
    distil("bert", config, tmp_path / "out")
    assert (out / "bundle.json").stat().st_mtime_ns == before
    path.write_text("快递 邮件\n", encoding="utf-8")
    distil("bert", config, tmp_path / "out")
    assert (out / "bundle.json").stat().st_mtime_ns > before


@pytest.mark.parametrize("kind", ["bert", "albert"])
def test_a_pruned_copy_of_the_teacher_computes_what_it_does(kind: str, teachers: Any, tmp_path: Path, tiny_rows: Any) -> None:
    """Same layers, fewer tokens, other ids: nothing is left to learn, and the teacher reads its own ids."""
    config = student(
        shape={"layers": 2, "hidden": 32, "heads": 2, "intermediate": 48},
        dropout=0.0,
        vocabulary={"keep": "used", "margin": 0.0},
        intermediate={"epochs": 1, "lr": 1e-12},
        train={"epochs": 1, "lr": 1e-12, "head_lr": None},
    )
    rows = [row for row in tiny_rows.train if "上次" not in row.text]
    out = recipe.distil(teachers[kind], config, rows, tiny_rows.dev, tmp_path / "out")
    first = history(out)[0]
    assert max(first["embedding"], first["hidden"], first["attention"]) < 1e-8
    name = "encoder.embeddings.word_embeddings.weight"
    small, whole = read_bundle(out), read_bundle(teachers[kind])
    ids = [Tokenizer.from_str(bundle.files["tokenizer.json"]).token_to_id("麻") for bundle in (small, whole)]
    assert ids[0] < ids[1]
    assert small.weights[name].shape[0] < whole.weights[name].shape[0]
    assert small.weights[name].shape[0] == small.model["encoder"]["vocab_size"]
    tables = [{tuple(row) for row in bundle.weights[name].round(6).tolist()} for bundle in (small, whole)]
    assert len(tables[0] - tables[1]) < 3  # but for a number that was on the brink of rounding
