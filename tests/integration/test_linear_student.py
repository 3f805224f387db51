"""The linear student: fitted to what the teacher says, served without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.config import load_config, parse_config
from duobiao.data.encode import prepare
from duobiao.data.rows import Row
from duobiao.errors import ConfigError
from duobiao.evaluate.evaluation import evaluate
from duobiao.labels import UNASKED, UNKNOWN
from duobiao.models.hashing import HashedNgrams
from duobiao.postprocess.probabilities import probabilities
from duobiao.train import recipe
from duobiao.train.distillation import Distillation
from duobiao.train.students import linear_student

SETTINGS = {"kind": "linear-student", "buckets": 4096, "logits_weight": 0.8, "label_weight": 0.2, "c": 10, "passes": 20}


def student(**changes: Any) -> Any:
    return parse_config({**SETTINGS, **changes})


@pytest.fixture(scope="module")
def transfer(tiny_rows: Any) -> list[Row]:
    return [replace(row, id=f"t{row.id}", text=f"{row.text}，今天", labels=("没有的标签",)) for row in tiny_rows.train[::2]]


@pytest.fixture(scope="module")
def distil(chain: Any, tiny_rows: Any) -> Callable[..., Path]:
    def run(out: Path, config: Any = None, **options: Any) -> Path:
        return recipe.distil(chain.teacher, config or student(), tiny_rows.train, tiny_rows.dev, out, **options)

    return run


@pytest.fixture(scope="module")
def bundles(distil: Any, transfer: list[Row], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("linear-student")
    made = {"student": distil(place / "student", transfer=transfer)}
    return {**made, "control": distil(place / "control", transfer=transfer, no_teacher=True)}


def inputs(rows: list[Row]) -> dict[str, Any]:
    return {"texts": [row.text for row in rows], "context": [row.context for row in rows]}


def test_logits_are_those_of_a_dense_product(bundles: dict[str, Path], tiny_rows: Any) -> None:
    bundle = read_bundle(bundles["student"])
    loaded = Classifier.load(bundles["student"])
    assert bundle.weights["coefficients"].dtype == np.float16
    hashed = HashedNgrams((1, 3), 4096, bundle.weights["idf"])
    cleaned = prepare([(row.text, row.context) for row in tiny_rows.dev], lambda text: text, "pair")
    dense = hashed.transform(cleaned).toarray().astype(np.float64)
    wanted = dense @ bundle.weights["coefficients"].astype(np.float64) + bundle.weights["intercepts"]
    np.testing.assert_allclose(loaded.logits(**inputs(tiny_rows.dev)), wanted, atol=1e-5)
    for row, expected in zip(tiny_rows.dev, wanted, strict=True):
        np.testing.assert_allclose(loaded.logits(**inputs([row]))[0], expected, atol=1e-5)


def test_it_learns_what_the_teacher_says_of_unlabelled_rows(bundles: dict[str, Path], chain: Any, transfer: list[Row]) -> None:
    teacher = Classifier.load(chain.teacher)
    wanted = teacher.predict_proba(**inputs(transfer))
    far = {}
    for name, path in bundles.items():
        found = Classifier.load(path).predict_proba(**inputs(transfer))
        far[name] = float(np.nanmean(np.abs(found - wanted)))
    assert far["student"] < 0.7 * far["control"]


def test_the_control_sees_labels_alone(bundles: dict[str, Path], distil: Any, tmp_path: Path) -> None:
    other = distil(tmp_path / "other", student(logits_weight=0.1, label_weight=0.3), no_teacher=True)
    mine, theirs = (read_bundle(path).weights for path in (bundles["control"], other))
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    assert read_bundle(bundles["control"]).metrics["teacher"] == "none (control)"
    assert not np.array_equal(mine["coefficients"], read_bundle(bundles["student"]).weights["coefficients"])


def test_a_control_may_visit_as_many_rows_as_its_student(
    distil: Any, tiny_rows: Any, transfer: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits: list[int] = []
    real = linear_student.solve

    def count(inputs: Any, *rest: Any, **settings: Any) -> Any:
        visits.append(inputs.shape[0] * settings["passes"])
        return real(inputs, *rest, **settings)

    monkeypatch.setattr(linear_student, "solve", count)
    distil(tmp_path / "student", transfer=transfer)
    distil(tmp_path / "control", transfer=transfer, no_teacher=True)
    assert visits == [20 * (len(tiny_rows.train) + len(transfer))] * 2


def test_cells_are_fitted_to_the_mixture_that_is_documented(
    chain: Any, tiny_rows: Any, transfer: list[Row], distil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real = linear_student.soft_cells
    monkeypatch.setattr(linear_student, "soft_cells", lambda work: (seen.append((work, *real(work))), real(work))[1])
    distil(tmp_path / "s", transfer=transfer)
    ((work, shares, weights),) = seen
    said = probabilities(Classifier.load(chain.teacher).logits(**inputs(work.rows)), work.task.space)
    for at in np.ndindex(*work.cells.shape):
        cell = work.cells[at]
        if cell == UNASKED:
            assert weights[at] == 0
        elif cell == UNKNOWN:
            assert (weights[at], shares[at]) == pytest.approx((0.8, said[at]), abs=1e-4)
        else:
            assert (weights[at], shares[at]) == pytest.approx((1.0, 0.8 * said[at] + 0.2 * cell), abs=1e-4)
    assert (work.cells[len(tiny_rows.train) :] < 0).all()


def test_what_was_scored_is_what_is_stored(
    distil: Any, tiny_rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thresholds are tuned on the logits of the rounded weights, bit for bit."""
    seen: list[np.ndarray] = []
    real = Distillation.write_plain
    monkeypatch.setattr(
        Distillation, "write_plain", lambda work, logits, *rest: (seen.append(logits), real(work, logits, *rest))[1]
    )
    loaded = Classifier.load(distil(tmp_path / "s"))
    np.testing.assert_array_equal(loaded.logits(**inputs(tiny_rows.dev)), seen[0])
    dev, found = loaded.bundle.metrics["dev"], evaluate(loaded, tiny_rows.dev)
    assert (found["micro_f1"], found["macro_f1"]) == pytest.approx((dev["micro_f1"], dev["macro_f1"]))
    assert loaded.bundle.metrics["parameters"] == loaded.backend.parameters
    assert loaded.bundle.metrics["seconds"] > 0


def test_an_interrupted_fit_ends_at_the_same_weights(
    bundles: dict[str, Path], distil: Any, transfer: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(linear_student, "best_scaled", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            distil(tmp_path / "s", transfer=transfer)
    assert not (tmp_path / "s").exists()
    again = read_bundle(distil(tmp_path / "s", transfer=transfer)).weights
    first = read_bundle(bundles["student"]).weights
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not (tmp_path / "s.run").exists()


def test_it_answers_without_torch(bundles: dict[str, Path]) -> None:
    code = (
        f"import duobiao, sys, json\nduobiao.load({str(bundles['student'])!r}).predict(['快递坏了'], context=['身份确认'])\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert {"torch", "transformers", "accelerate"} & set(json.loads(done.stdout.splitlines()[-1])) == set()


def test_groups_and_unasked_cells_are_obeyed(bundles: dict[str, Path], tiny_rows: Any) -> None:
    loaded = Classifier.load(bundles["student"])
    for prediction, row in zip(loaded.predict(**inputs(tiny_rows.dev)), tiny_rows.dev, strict=True):
        for group in loaded.space.groups:
            chosen = set(group.labels) & set(prediction.labels)
            asked = group.is_asked(row.context)
            assert len(chosen) <= 1 if group.at_most_one else len(chosen) == int(asked)


@pytest.mark.parametrize("name", ["numbers", "pairwise"])
def test_features_of_the_teacher_are_taken_over(name: str, tiny_rows: Any, tiny_space: Any, tmp_path: Path) -> None:
    features = {"numbers": {"statistics": ["length", "negations"]}, "pairwise": {"segment": "pairwise", "min_support": 1}}[name]
    shape = {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 16, "vocab_size": 200}
    config = parse_config({"kind": "encoder", "shape": shape, "features": features, "train": {"epochs": 1}})
    teacher = recipe.train(config, tiny_rows.train, tiny_rows.dev, tiny_space, tmp_path / "teacher")
    out = recipe.distil(teacher, student(), tiny_rows.train, tiny_rows.dev, tmp_path / "s")
    loaded = Classifier.load(out)
    width = loaded.features.width
    assert bool(width) is (name == "numbers")
    assert loaded.bundle.weights["coefficients"].shape == (4096 + width, len(tiny_space))
    proba = loaded.predict_proba(**inputs(tiny_rows.dev))
    assert proba.shape == (len(tiny_rows.dev), len(tiny_space))
    if width:
        longer = loaded.logits(["物" * 40, "物"])
        rest = [loaded.backend.logits([("物" * 40, None), ("物", None)], features=np.zeros((2, width), np.float32))]
        assert not np.allclose(longer, rest[0])


@pytest.mark.parametrize(
    "changes",
    [{"train": {"epochs": 3}}, {"loss": {"independent": "zlpr"}}, {"temperature": 2.0}, {"vocabulary": {"keep": "used"}}],
)
def test_settings_that_mean_nothing_to_it_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        student(**changes)
    assert "does not read" in str(caught.value)


def test_settings_that_cannot_be_carried_out_are_refused() -> None:
    for changes in ({"buckets": 1000}, {"ngrams": [3, 1]}, {"c": 0}):
        with pytest.raises(ConfigError):
            student(**changes)


def test_the_shipped_one_reads_its_own_settings_again() -> None:
    config = load_config("linear-student", ["train.seed=3"])
    assert parse_config(config.model_dump(mode="json")) == config


def test_its_labels_may_share_dimensions(distil: Any, tiny_rows: Any, tmp_path: Path) -> None:
    out = distil(tmp_path / "shared", student(shared=8))
    found = Classifier.load(out)
    assert read_bundle(out).model["shared"] == 8
    assert np.linalg.matrix_rank(found.backend.coefficients.astype(np.float64), tol=1e-2) <= 8  # type: ignore[attr-defined]
    assert evaluate(found, tiny_rows.dev)["micro_f1"] > 0.45  # as the machines: few rows, few steps
