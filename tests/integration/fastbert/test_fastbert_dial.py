"""The dial of a FastBERT bundle: settings that keep what they promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from fastbert_parts import at, texts_of
from typer.testing import CliRunner

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.cli import dial as dial_command
from duobiao.config import PointSettings, load_config
from duobiao.errors import BundleError, ConfigError
from duobiao.evaluate import dial as dialling
from duobiao.evaluate.dial import Aim, dial
from duobiao.evaluate.tune import tune_bundle
from duobiao.models.exits import ExitBackend
from duobiao.postprocess.probabilities import probabilities


def fake_times(monkeypatch: pytest.MonkeyPatch, slow: float = 0.0) -> None:
    """Half as many layers, half the time; ``slow`` is what leaving early costs besides, as a share of the whole."""

    def measure(systems: Any, rows: Any, reference: int, rounds: Any, order: Any) -> list[dict[str, Any]]:
        assert reference == 0
        assert sorted(order) == list(range(len(rows)))
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
