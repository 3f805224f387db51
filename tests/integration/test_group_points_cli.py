"""Precision and recall of labels in groups, end to end on the built-in ``callback`` rows, which have no other labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import done

from duobiao import builtin
from duobiao.bundle import read_bundle, read_manifest
from duobiao.classifier import Classifier
from duobiao.data.read import read_rows
from duobiao.data.rows import model_inputs, targets

DATA = builtin.folder("callback")
SURE, WIDE = "时间确认/可以", "身份确认/是"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear bundle with a point for a label's precision, one for another's recall, and one for the precision of all."""
    folder = tmp_path_factory.mktemp("callback")
    files = ("--train", DATA / "train.jsonl", "--dev", DATA / "dev.jsonl", "--labels", DATA / "labels.yaml")
    done("train", "--config", "linear", *files, "--out", folder / "linear")
    points = ("--point", f"sure=precision>=0.65:{SURE}", "--point", f"wide=recall>=0.7:{WIDE}", "--point", "all=precision>=0.9")
    result = done("tune", folder / "linear", "--data", DATA / "dev.jsonl", *points, "--json", folder / "tune.json")
    assert "operating points default, sure, wide, all" in result.stdout
    assert f"note: {WIDE}: precision of 0.9 is not to be had with confidence 0.9; beside the rest" in result.stdout
    assert read_manifest(folder / "linear")["schema_version"] == 5
    return folder


def labels_of(path: Path) -> list[list[str]]:
    return [json.loads(line)["labels"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_points_reach_on_dev_rows_what_is_told(tuned: Path) -> None:
    found = json.loads((tuned / "tune.json").read_text(encoding="utf-8"))["points"]
    system, rows = Classifier.load(tuned / "linear"), read_rows(DATA / "dev.jsonl")
    cells, stored = targets(rows, system.space), read_bundle(tuned / "linear").thresholds["points"]
    assert list(stored["sure"]["group_weights"]) == [SURE]
    assert stored["sure"]["group_weights"][SURE] < 1 < stored["wide"]["group_weights"][WIDE]
    for line, met in zip(found[1:3], ("precision", "recall"), strict=True):
        (one,) = line["reached"]
        assert one["met"]
        column = system.space.index[one["label"]]
        decided = system.at(line["name"]).decide(**model_inputs(rows))[1][:, column]
        truth = cells[:, column] == 1
        whole = decided if met == "precision" else truth
        assert (one["rows"], one["observed"]) == (whole.sum(), pytest.approx((decided & truth).sum() / whole.sum()))
        assert one["observed"] > one["bound"] >= (0.65 if met == "precision" else 0.7)
    assert {one["label"] for one in found[3]["reached"]} == set(system.space.names)


def test_every_way_of_answering_uses_the_weights(tuned: Path, tmp_path: Path) -> None:
    """``predict``, ``score``, and an exported bundle alike; the other groups answer as ever."""
    rows = read_rows(DATA / "test.jsonl")
    system = Classifier.load(tuned / "linear")
    done("export", tuned / "linear", "--out", tmp_path / "exported", "--data", DATA / "dev.jsonl")
    exported, plain = Classifier.load(tmp_path / "exported"), system.decide(**model_inputs(rows))[1]
    assert exported.bundle.thresholds == system.bundle.thresholds
    for name, label in (("sure", SURE), ("wide", WIDE)):
        decided: Any = system.at(name).decide(**model_inputs(rows))[1]
        column = system.space.index[label]
        other = decided[:, column] != plain[:, column]
        assert other.any()
        assert (decided[other, column] == (name == "wide")).all()  # a lower weight takes, a higher one gives
        np.testing.assert_array_equal(decided[~other], plain[~other])
        np.testing.assert_array_equal(exported.at(name).decide(**model_inputs(rows))[1], decided)
        wanted = [np.array(system.labels)[row].tolist() for row in decided]
        for bundle in (tuned / "linear", tmp_path / "exported"):
            out = ("--output", tmp_path / "out.jsonl", "--at", name)
            done("predict", bundle, "--input", DATA / "test.jsonl", *out)
            assert labels_of(tmp_path / "out.jsonl") == wanted
        out = ("--output", tmp_path / f"{name}.jsonl", "--at", name, "--workers", 1)
        done("score", tmp_path / "exported", "--input", DATA / "test.jsonl", *out)
        assert labels_of(tmp_path / f"{name}.jsonl") == wanted
    assert "micro_f1" in done("evaluate", tuned / "linear", "--data", DATA / "test.jsonl", "--at", "sure").stdout
    assert "| sure | precision\\>=0.65:时间确认/可以 |" in (tuned / "linear" / "README.md").read_text(encoding="utf-8")


def test_tuning_again_finds_the_same_weights(tuned: Path) -> None:
    before = read_bundle(tuned / "linear")
    done("tune", tuned / "linear", "--data", DATA / "dev.jsonl")
    assert read_bundle(tuned / "linear").digest == before.digest
