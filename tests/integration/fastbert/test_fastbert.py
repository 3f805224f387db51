"""What FastBERT is made of: the frozen backbone, and exits that learn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastbert_parts import STUDENT, TEACHER, at, student, texts_of

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.errors import ConfigError
from duobiao.train import loop


@pytest.mark.parametrize("criterion", ["margin", "entropy"])
def test_speed_0_is_the_teacher_bit_for_bit(criterion: str, bundle: Path, teacher: Path, tiny_rows: Any) -> None:
    ours, theirs = at(bundle, criterion, 0.0), Classifier.load(teacher)
    texts, contexts = texts_of(tiny_rows.train)
    np.testing.assert_array_equal(ours.logits(texts, contexts), theirs.logits(texts, contexts))
    np.testing.assert_array_equal(ours.logits(texts[:1], contexts[:1]), theirs.logits(texts[:1], contexts[:1]))
    found = ours.predict(texts, contexts)
    assert {one.depth for one in found} == {4}
    # the dev rows, so the thresholds, are the same
    assert [replace(one, depth=None) for one in found] == theirs.predict(texts, contexts)
    assert set(ours.depths(texts, contexts).tolist()) == {4}
    assert theirs.depths(texts, contexts) is None


def test_the_backbone_is_the_teachers_and_the_exits_learn(bundle: Path, teacher: Path) -> None:
    ours, theirs = read_bundle(bundle), read_bundle(teacher)
    for name, array in theirs.weights.items():
        np.testing.assert_array_equal(ours.weights[f"backbone.{name}"], array)
    lines = [json.loads(line) for line in (bundle / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.6 * lines[0]["loss"]
    assert ours.model["exits"] == [1, 2, 3]
    assert ours.metrics["parameters"] == Classifier.load(bundle).backend.parameters


def test_a_bundle_leaves_early_as_its_dial_says(bundle: Path, tiny_rows: Any) -> None:
    loaded = Classifier.load(bundle)
    chosen = loaded.bundle.metrics["dial"]["chosen"]
    assert chosen["lost"] <= 20
    assert chosen["flops_gain"] > 1.05
    assert loaded.bundle.model["dial"] == {name: chosen[name] for name in ("criterion", "speed", "exits")}
    depths = loaded.depths(*texts_of(tiny_rows.dev))
    assert depths is not None
    assert depths.min() < 4
    decided = loaded.decide(*texts_of(tiny_rows.dev))[1]
    for row in range(len(tiny_rows.dev)):  # alone and in company
        text, context = tiny_rows.dev[row].text, tiny_rows.dev[row].context
        np.testing.assert_array_equal(loaded.decide([text], [context])[1][0], decided[row])
        assert loaded.depths([text], [context])[0] == depths[row]


def test_rows_of_every_node_come_from_one_pass_where_contexts_are_not_read(
    place: Path, learn: Any, distil: Any, tiny_rows: Any
) -> None:
    source = learn(place / "bare", input={"context": "none", "max_length": 48}, train={"epochs": 1})
    loaded = at(distil(source, student(), place / "bare exits"), "margin", 0.1)
    texts, contexts = texts_of(tiny_rows.dev[:4])
    depths = loaded.depths([*texts, *texts], [*contexts, *["身份确认"] * 4])
    np.testing.assert_array_equal(depths[:4], depths[4:])
    np.testing.assert_array_equal(loaded.logits([*texts, *texts], [*contexts, *["身份确认"] * 4])[:4], loaded.logits(texts))


def test_a_control_learns_from_labels_alone_in_as_many_steps(
    teacher: Path, distil: Any, tiny_rows: Any, tmp_path: Path, bundle: Path
) -> None:
    control = distil(teacher, student(), tmp_path / "control", no_teacher=True)
    lines = [json.loads(line) for line in (control / "metrics.jsonl").read_text().splitlines()]
    assert "logits" not in lines[-1]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["step"] == [json.loads(line) for line in (bundle / "metrics.jsonl").read_text().splitlines()][-1]["step"]
    ours, theirs = read_bundle(control), read_bundle(bundle)
    np.testing.assert_array_equal(ours.weights["backbone.output.weight"], theirs.weights["backbone.output.weight"])
    assert not np.allclose(ours.weights["heads.0.output.weight"], theirs.weights["heads.0.output.weight"])


def test_transfer_rows_teach_without_labels(teacher: Path, distil: Any, tiny_rows: Any, tmp_path: Path, bundle: Path) -> None:
    extra = [replace(row, text=row.text[::-1], context=None, labels=None, unknown=()) for row in tiny_rows.dev]
    made = read_bundle(distil(teacher, student(lose_at_most=20), tmp_path / "out", transfer=extra))
    assert made.metrics["transfer_rows"] == len(extra)
    assert not np.allclose(made.weights["heads.0.output.weight"], read_bundle(bundle).weights["heads.0.output.weight"])


@pytest.mark.parametrize("signal", ["kl", "mse"])
def test_labels_can_take_part(signal: str, teacher: Path, distil: Any, tmp_path: Path) -> None:
    config = student(signal=signal, logits_weight=0.7, label_weight=0.3, train={"epochs": 2}, head="attention", parts=2)
    made = distil(teacher, config, tmp_path / "out")
    line = json.loads((made / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["loss"] == pytest.approx(0.7 * line["logits"] + 0.3 * line["labels"], rel=1e-4)


def test_a_pruned_vocabulary_changes_nothing_on_rows_that_were_read(
    learn: Any, distil: Any, tiny_rows: Any, bert_folder: Path, tmp_path: Path
) -> None:
    source = learn(tmp_path / "teacher", encoder=str(bert_folder), train={"epochs": 1})
    made = distil(source, student(vocabulary={"keep": "used", "margin": 0}, train={"epochs": 1}), tmp_path / "out")
    tokens = [
        read_bundle(path).weights[name].shape[0]
        for path, name in (
            (made, "backbone.encoder.embeddings.word_embeddings.weight"),
            (source, "encoder.embeddings.word_embeddings.weight"),
        )
    ]
    assert tokens[0] < tokens[1]
    texts, contexts = texts_of(tiny_rows.train)
    ours, theirs = at(made, "margin", 0.0), Classifier.load(source)
    np.testing.assert_array_equal(ours.logits(texts, contexts), theirs.logits(texts, contexts))


def test_an_interrupted_run_ends_with_the_same_weights(
    teacher: Path, distil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = student(train={**STUDENT["train"], "checkpoint_seconds": 0, "epochs": 3})
    whole = distil(teacher, config, tmp_path / "whole")
    real, steps = loop._Run.step, []

    def stops(self: Any, *given: Any) -> float:
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "step", stops)
        with pytest.raises(KeyboardInterrupt):
            distil(teacher, config, tmp_path / "out")
    assert (tmp_path / "out.run" / "last.pt").stat().st_size < 200_000  # the backbone is no part of it
    distil(teacher, config, tmp_path / "out")
    assert read_bundle(tmp_path / "out").digest == read_bundle(whole).digest


def test_what_cannot_be_left_early_is_refused(teacher: Path, learn: Any, distil: Any, place: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the teacher has 4 layers"):
        distil(teacher, student(exits=[2, 4]), tmp_path / "out")
    with pytest.raises(ConfigError, match="rising list of layers"):
        student(exits=[3, 2])
    with pytest.raises(ConfigError, match="do not divide"):
        student(head="attention", width=16, parts=3)
    pairwise = learn(
        place / "pairwise",
        features={"segment": "pairwise", "min_support": 1},
        shape={**TEACHER["shape"], "layers": 1},
        train={"epochs": 1, "batch_size": 16},
    )
    with pytest.raises(ConfigError, match="once for each label"):
        distil(pairwise, student(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.run").exists()
