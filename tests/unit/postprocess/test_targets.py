"""Thresholds for a target, against brute force and scikit-learn."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import beta
from sklearn.metrics import f1_score, precision_recall_curve

from duobiao.config import PointSettings, ThresholdSettings
from duobiao.labels import UNKNOWN, LabelSpace
from duobiao.postprocess.bounded import lower_bound
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.targets import expected_cost, thresholds_for
from duobiao.postprocess.thresholds import tune

SPACE = LabelSpace.from_dict({"labels": ["a", "b"], "groups": {"g": {"labels": ["x", "y"]}}})
NO_SHRINK = ThresholdSettings(shrink=0)


def make_rows(rows: int, seed: int = 0, hidden: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    cells = np.zeros((rows, 4), np.int8)
    cells[:, :2] = random.random((rows, 2)) < [0.4, 0.2]
    cells[np.arange(rows), 2 + random.integers(0, 2, rows)] = 1
    proba = 1 / (1 + np.exp(-(random.normal(size=(rows, 4)) * 1.3 + 2.0 * cells - 1)))
    proba[:, 2:] /= proba[:, 2:].sum(1, keepdims=True)
    cells[:, :2][random.random((rows, 2)) < hidden] = UNKNOWN
    return proba.astype(np.float32), cells


def tuned(target: dict[str, Any], proba: np.ndarray, cells: np.ndarray, rules: ThresholdSettings = NO_SHRINK) -> Any:
    groups = Decoder(SPACE, np.full(2, 0.5, np.float32), ThresholdSettings()).decide(proba, np.ones(proba.shape, bool))
    return thresholds_for(PointSettings.model_validate(target), proba, cells, SPACE, rules, groups)


def decide(proba: np.ndarray, thresholds: Any) -> np.ndarray:
    return Decoder(SPACE, np.asarray(thresholds, np.float32), ThresholdSettings()).decide(proba, np.ones(proba.shape, bool))


def grid(proba: np.ndarray) -> Any:
    """Every way to cut the rows at two thresholds."""
    cuts = [sorted({*(proba[:, label] - 1e-6).tolist(), 0.99}) for label in (0, 1)]
    return itertools.product(*cuts)


@pytest.mark.parametrize("seed", range(5))
def test_micro_f1_is_the_best_that_two_thresholds_can_have(seed: int) -> None:
    proba, cells = make_rows(16, seed)
    found = f1_score(cells, decide(proba, tuned({"target": "micro-f1"}, proba, cells).thresholds), average="micro")
    best = max(f1_score(cells, decide(proba, pair), average="micro") for pair in grid(proba))
    assert found == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_samples_f1_is_bettered_by_no_single_threshold(seed: int) -> None:
    proba, cells = make_rows(14, seed)
    thresholds = tuned({"target": "samples-f1"}, proba, cells).thresholds
    found = f1_score(cells, decide(proba, thresholds), average="samples", zero_division=0)
    pairs = {pair for one in grid(proba) for pair in ((one[0], thresholds[1]), (thresholds[0], one[1]))}
    for pair in pairs:
        assert f1_score(cells, decide(proba, pair), average="samples", zero_division=0) <= found + 1e-9
    micro = decide(proba, tuned({"target": "micro-f1"}, proba, cells).thresholds)
    assert found >= f1_score(cells, micro, average="samples", zero_division=0) - 1e-9


def test_macro_f1_is_what_training_tunes() -> None:
    proba, cells = make_rows(60, hidden=0.2)
    rules = ThresholdSettings(shrink=7)
    np.testing.assert_array_equal(
        tuned({"target": "macro-f1"}, proba, cells, rules).thresholds, tune(proba, cells, SPACE, rules)
    )


@pytest.mark.parametrize(("wrong", "missed"), [(1, 1), (1, 8), (5, 1)])
def test_the_cost_is_the_lowest_that_can_be_had(wrong: float, missed: float) -> None:
    proba, cells = make_rows(40, seed=3, hidden=0.1)
    target = {"target": "cost", "costs": {"*": {"false_positive": wrong, "false_negative": missed}}}
    point = PointSettings.model_validate(target)
    found = expected_cost(point, cells, decide(proba, tuned(target, proba, cells).thresholds), SPACE)
    best = min(expected_cost(point, cells, decide(proba, pair), SPACE)["total"] for pair in grid(proba))
    assert found["total"] == pytest.approx(best)
    assert found["per_row"] == found["total"] / 40


def test_costs_by_hand_and_only_of_labels_that_have_some() -> None:
    point = PointSettings.model_validate({"target": "cost", "costs": {"a": {"false_positive": 2, "false_negative": 7}}})
    cells = np.array([[1, 1, 1, 0], [0, 1, 1, 0], [UNKNOWN, 0, 0, 1]], np.int8)
    decided = np.array([[False, False, True, False], [True, False, True, False], [True, True, False, True]])
    assert expected_cost(point, cells, decided, SPACE) == {"total": 9.0, "per_row": 3.0}


def test_rare_labels_shrink_to_the_threshold_that_right_probabilities_ask_for() -> None:
    proba, cells = make_rows(60)
    target = {"target": "cost", "costs": {"a": {"false_positive": 1, "false_negative": 3}}}
    far = tuned(target, proba, cells, ThresholdSettings(shrink=1e9)).thresholds
    assert far[0] == pytest.approx(0.25, abs=1e-5)
    cells[:, 0] = 0  # never true: nothing of its own
    assert tuned(target, proba, cells, ThresholdSettings(shrink=0)).thresholds[0] == pytest.approx(0.25)


# ---- bounds ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 50), st.integers(0, 50), st.sampled_from([0.6, 0.8, 0.9, 0.99]))
def test_the_bound_is_clopper_and_pearsons(hits: int, more: int, confidence: float) -> None:
    found = float(lower_bound(np.array([hits]), np.array([hits + more]), confidence)[0])
    assert found == pytest.approx(beta.ppf(1 - confidence, hits, more + 1) if hits else 0.0, abs=1e-9)
    if hits:
        assert found <= hits / (hits + more)


def test_22_hits_of_22_are_needed_for_a_precision_of_9_in_10() -> None:
    counts = np.arange(1, 40)
    assert counts[lower_bound(counts, counts, 0.9) >= 0.9][0] == 22


@pytest.mark.parametrize("target", ["precision", "recall"])
def test_of_the_thresholds_that_reach_the_target_the_most_useful_is_taken(target: str) -> None:
    proba, cells = make_rows(900, seed=4)
    wanted = 0.6
    found = tuned({"target": target, "at_least": wanted, "labels": ["a"]}, proba, cells)
    (reached,) = found.reached
    assert (reached.label, reached.met) == ("a", True)
    precision, recall, thresholds = precision_recall_curve(cells[:, 0] == 1, proba[:, 0])
    guess = proba[:, 0] >= found.thresholds[0]
    hits, positives = int((guess & (cells[:, 0] == 1)).sum()), int(cells[:, 0].sum())
    counts = np.array([(proba[:, 0] >= t).sum() for t in thresholds])
    tp = np.rint(recall[:-1] * positives).astype(int)
    whole = counts if target == "precision" else np.full(len(tp), positives)
    enough = lower_bound(tp, whole, 0.9) >= wanted
    if target == "precision":
        assert hits == tp[enough].max()
        assert reached.observed == pytest.approx(hits / guess.sum())
    else:
        assert guess.sum() == counts[enough].min()
        assert reached.observed == pytest.approx(hits / positives)
    assert reached.bound >= wanted
    assert precision.shape == recall.shape
    np.testing.assert_array_equal(found.thresholds[1], tune(proba, cells, SPACE, NO_SHRINK)[1])  # the other label as ever


def test_what_cannot_be_reached_is_told_with_the_best_that_can() -> None:
    proba, cells = make_rows(60, seed=1)
    found = tuned({"target": "precision", "at_least": 0.99}, proba, cells)
    assert [one.label for one in found.reached] == ["a", "b"]
    for number, one in enumerate(found.reached):
        assert not one.met
        guess = proba[:, number] >= found.thresholds[number]
        hits = int((guess & (cells[:, number] == 1)).sum())
        assert (one.rows, one.observed) == (int(guess.sum()), pytest.approx(hits / guess.sum()))
        every = [(proba[:, number] >= t) for t in np.unique(proba[:, number])]
        bounds = [
            float(lower_bound(np.array([(g & (cells[:, number] == 1)).sum()]), np.array([g.sum()]), 0.9)[0]) for g in every
        ]
        assert one.bound == pytest.approx(max(bounds), abs=1e-9)


@pytest.mark.parametrize("target", ["micro-f1", "samples-f1", "macro-f1"])
def test_labels_without_rows_or_positives_have_a_threshold_all_the_same(target: str) -> None:
    proba, cells = make_rows(12)
    cells[:, 0], cells[:, 1] = UNKNOWN, 0
    found = tuned({"target": target}, proba, cells).thresholds
    assert ((found >= 0.01) & (found <= 0.99)).all()
    bounded = tuned({"target": "recall", "at_least": 0.5}, proba, cells)
    assert [one.met for one in bounded.reached] == [False, False]


@pytest.mark.parametrize(
    "values",
    [
        {"target": "precision"},
        {"target": "micro-f1", "at_least": 0.5},
        {"target": "recall", "at_least": 1.0},
        {"target": "cost"},
        {"target": "macro-f1", "labels": ["a"]},
        {"target": "cost", "costs": {"a": {"false_positive": 0, "false_negative": 1}}},
        {"target": "f1"},
    ],
)
def test_targets_that_say_too_little_or_too_much_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PointSettings.model_validate(values)
