"""FastBERT from teacher to dial: the frozen backbone, exits that learn, and settings that keep what they promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.cli import dial as dial_command
from duobiao.config import PointSettings, load_config, parse_config
from duobiao.data.rows import Row
from duobiao.errors import BundleError, ConfigError
from duobiao.evaluate import dial as dialling
from duobiao.evaluate.dial import Aim, dial
from duobiao.evaluate.tune import tune_bundle
from duobiao.labels import LabelSpace
from duobiao.models.exits import ExitBackend
from duobiao.postprocess.probabilities import probabilities
from duobiao.train import loop, recipe

TEACHER = {
    "kind": "encoder",
    "pooling": "mean",
    "shape": {"layers": 4, "hidden": 32, "heads": 2, "intermediate": 48, "vocab_size": 200},
    "input": {"max_length": 48},
    "train": {"epochs": 20, "batch_size": 16, "lr": 3e-3, "evaluate_every": 10},
}
STUDENT = {"kind": "fastbert", "width": 16, "train": {"epochs": 6, "batch_size": 16, "lr": 1e-2}}


def student(**changes: Any) -> Any:
    return parse_config({**STUDENT, **changes})


@pytest.fixture(scope="module")
def distil(tiny_rows: Any) -> Callable[..., Path]:
    def run(source: Any, config: Any, out: Path, **options: Any) -> Path:
        return recipe.distil(source, config, tiny_rows.train, tiny_rows.dev, out, **options)

    return run


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fastbert")


@pytest.fixture(scope="module")
def learn(tiny_rows: Any, tiny_space: LabelSpace) -> Callable[..., Path]:
    def run(out: Path, **changes: Any) -> Path:
        return recipe.train(parse_config({**TEACHER, **changes}), tiny_rows.train, tiny_rows.dev, tiny_space, out)

    return run


@pytest.fixture(scope="module")
def teacher(place: Path, learn: Any) -> Path:
    return learn(place / "teacher")


@pytest.fixture(scope="module")
def bundle(place: Path, teacher: Path, distil: Any) -> Path:
    return distil(teacher, student(lose_at_most=20), place / "bundle")


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, for what changes it."""
    (tmp_path / "copy").mkdir()
    for file in bundle.iterdir():
        (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    return tmp_path / "copy"


def at(path: Path, criterion: Any, speed: float, error: float = 0.0) -> Classifier:
    """The bundle at another setting, with the same error everywhere."""
    loaded = Classifier.load(path)
    backend = loaded.backend
    assert isinstance(backend, ExitBackend)
    errors = np.full_like(backend.rule.errors, error)
    rule = replace(backend.rule, criterion=criterion, speed=speed, errors=errors, exits=tuple(range(len(errors))))
    return Classifier(loaded.bundle, backend.with_rule(rule))


def texts_of(rows: list[Row]) -> tuple[list[str], list[str | None]]:
    return [row.text for row in rows], [row.context for row in rows]


# ---- what is made ------------------------------------------------------------------------------------


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


# ---- the dial ----------------------------------------------------------------------------------------


def fake_times(monkeypatch: pytest.MonkeyPatch, slow: float = 0.0) -> None:
    """Half as many layers, half the time; ``slow`` is what leaving early costs besides, as a share of the whole."""

    def measure(systems: Any, rows: Any, reference: int, rounds: Any) -> list[dict[str, Any]]:
        assert reference == 0
        assert systems[0].backend.rule.is_full
        found = []
        for number, system in enumerate(systems):
            depths = system.depths([row.text for row in rows], [row.context for row in rows]) / 4
            ms = 10 * float(depths.mean() + slow * (number > 0))
            times = {
                "rows_per_s": {"1": 1000 / ms},
                "p50_ms": {"1": ms},
                "p95_ms": {"1": 10 * float(np.quantile(depths, 0.95))},
            }
            found.append({**times, "speedups": {"1": 10 / ms, "32": 10 / ms}, "speedup": 10 / ms})
        return found

    monkeypatch.setattr(dialling, "measure", measure)


@pytest.mark.parametrize("criterion", ["margin", "entropy"])
def test_the_dial_finds_a_setting_and_stores_it(
    criterion: Any, copied: Path, tiny_rows: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_times(monkeypatch)
    before = read_bundle(copied)
    picture, table = tmp_path / "curve.svg", tmp_path / "dial.json"
    aim = Aim(lose_at_most=30)
    found = dial(copied, tiny_rows.dev, aim, criterion=criterion, picture=picture, json_out=table)
    assert found["chosen"]["lost"] <= 30
    assert found["chosen"]["flops_gain"] == max(one["flops_gain"] for one in found["table"] if one["lost"] <= 30)
    after = Classifier.load(copied)
    assert (after.bundle.digest != before.digest) == (after.bundle.model["dial"] != before.model["dial"])
    assert after.bundle.model["dial"] == {name: found["chosen"][name] for name in ("criterion", "speed", "exits")}
    assert after.bundle.metrics["dial"] == json.loads(table.read_text(encoding="utf-8"))
    decided = after.decide(*texts_of(tiny_rows.dev))[1]
    assert decided.any()
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert sorted(path.name for path in copied.parent.iterdir()) == ["copy", "curve.svg", "dial.json"]
    assert after.bundle.run == before.run


def test_losing_nothing_and_speed_0_are_full_depth(
    copied: Path, tiny_rows: Any, monkeypatch: pytest.MonkeyPatch, teacher: Path
) -> None:
    fake_times(monkeypatch)
    before = read_bundle(copied).digest
    dial(copied, tiny_rows.dev, Aim(speed=0))
    loaded = Classifier.load(copied)
    assert loaded.bundle.digest != before  # the dial decides the answers
    assert loaded.backend.rule.is_full  # type: ignore[attr-defined]
    np.testing.assert_array_equal(
        loaded.logits(*texts_of(tiny_rows.dev)), Classifier.load(teacher).logits(*texts_of(tiny_rows.dev))
    )


def test_an_aim_that_cannot_be_met_says_what_can(copied: Path, tiny_rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_times(monkeypatch)
    before = read_bundle(copied).digest
    with pytest.raises(ConfigError, match=r"within 0.1 ms; the best that can be had here is \d+\.\d ms"):
        dial(copied, tiny_rows.dev, Aim(p95_ms=0.1))
    assert read_bundle(copied).digest == before
    found = dial(copied, tiny_rows.dev, Aim(p95_ms=10))
    best = max(one["macro_f1"] for one in found["table"] if one["p95_ms"]["1"] <= 10)
    assert found["chosen"]["macro_f1"] == best
    for wrong in ({}, {"lose_at_most": -1}, {"speed": 1.5}, {"speed": 0.1, "p95_ms": 3}):
        with pytest.raises(ConfigError):
            Aim(**wrong)


def test_settings_slower_than_the_teacher_are_not_offered(
    copied: Path, tiny_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_times(monkeypatch, slow=1.0)
    found = dial(copied, tiny_rows.dev, Aim(lose_at_most=100))
    assert found["chosen"]["speed"] == 0
    assert [one["offered"] for one in found["table"]] == [True, *[False] * (len(found["table"]) - 1)]
    assert len(found["table"]) > 1
    with pytest.raises(ConfigError, match="slower than the plain teacher"):
        dial(copied, tiny_rows.dev, Aim(speed=0.3))


def test_only_bundles_with_exits_have_a_dial(teacher: Path, tiny_rows: Any) -> None:
    with pytest.raises(BundleError, match="has no exits"):
        dial(teacher, tiny_rows.dev, Aim(speed=0))


def test_the_command_measures_prints_and_refuses(copied: Path, tiny_rows: Any, write_rows: Any, tmp_path: Path) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    dial_command.register(app)
    data = write_rows(tmp_path / "dev.jsonl", tiny_rows.dev)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialling, "ROUNDS", {1: 3, 32: 2})
        done = CliRunner().invoke(app, ["dial", str(copied), "--data", str(data), "--lose-at-most", "30", "--lang", "en"])
        assert done.exit_code == 0, done.output
        assert "lose at most 30 macro-F1 points -> margin" in done.output
        for wrong in (
            ["--p95-ms", "0.0001"],
            [],
            ["--speed", "0.1", "--criterion", "luck"],
            ["--speed", "0", "--picture", "x.png"],
        ):
            refused = CliRunner().invoke(app, ["dial", str(copied), "--data", str(data), *wrong])
            assert refused.exit_code == 2, refused.output
            assert "What to do" in refused.output


def test_the_shipped_configuration_is_the_students(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("fastbert")
    assert config.kind == "fastbert"
    assert (config.train.epochs, config.train.batch_size, config.train.lr) == (5, 32, 3e-3)  # type: ignore[union-attr]
    assert config.vocabulary.keep == "all"  # type: ignore[union-attr]


def test_a_tuned_bundle_leaves_early_by_the_thresholds_of_its_points(copied: Path, tiny_rows: Any) -> None:
    """Each point has its own errors; the default one's are the model's; all fit calibrated logits."""
    points = {"wide": PointSettings(target="recall", at_least=0.5), "micro": PointSettings(target="micro-f1")}
    before = read_bundle(copied)
    tune_bundle(copied, [*tiny_rows.train, *tiny_rows.dev], points, folds=3)
    tuned = Classifier.load(copied)
    assert isinstance(tuned.backend, ExitBackend)
    assert tuned.backend.rule.decoder is not None
    assert tuned.bundle.model["dial"] == before.model["dial"]
    texts, contexts = texts_of(tiny_rows.train)
    full = np.asarray(at(copied, "margin", 0.0).logits(texts, contexts))
    for name in tuned.operating_points:
        point = tuned.at(name)
        assert isinstance(point.backend, ExitBackend)
        rule = point.backend.rule
        np.testing.assert_array_equal(rule.decoder.thresholds, point.decoder.thresholds)
        assert rule.calibration == point.calibration
        assert rule.speed == tuned.backend.rule.speed
        plain = point.decoder.decide(
            probabilities(point.calibration.apply(full, point.space), point.space), point.asked(contexts)
        )
        _, early = point.decide(texts, contexts)
        assert (plain == early).all(1).mean() >= 1 - 4 * rule.speed - 0.1
    assert tuned.at("wide").at("default") is tuned
    assert Classifier(tuned.bundle, tuned.backend.at({**before.thresholds})).depths(texts, contexts).min() == 4


def test_the_dial_of_a_tuned_bundle_sets_the_errors_of_all_points(copied: Path, tiny_rows: Any) -> None:
    rows = [*tiny_rows.train, *tiny_rows.dev]
    tune_bundle(copied, rows, {"micro": PointSettings(target="micro-f1")}, folds=3)
    errors = read_bundle(copied).thresholds["points"]["micro"]["errors"]
    dial(copied, rows, Aim(speed=0.0), rounds={1: 1, 32: 1})
    after = read_bundle(copied).thresholds["points"]["micro"]["errors"]
    assert len(after) == len(errors)
    assert all(value is None for exit in after for sort in exit for value in sort)  # speed 0: nobody leaves
    assert Classifier.load(copied).at("micro").depths(*texts_of(tiny_rows.dev)).min() == 4
