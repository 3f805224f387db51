"""Labels of exclusive groups with a wanted precision or recall: weights, against every weight that there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duobiao.config import Costs, PointSettings, ThresholdSettings
from duobiao.errors import BundleError
from duobiao.labels import UNASKED, UNKNOWN, Group, LabelSpace
from duobiao.postprocess.bounded import LEAST, bounded_weights, lower_bound
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.group_worth import GROUP_COSTS, GROUP_WEIGHTS, GroupWorth
from duobiao.postprocess.leaving import margins
from duobiao.postprocess.points import stored_points, with_points
from duobiao.postprocess.probabilities import probabilities
from duobiao.postprocess.targets import Tuned, refitted, thresholds_for
from duobiao.postprocess.thresholds import thresholds_to_dict

SPACE = LabelSpace(("a",), (Group("g", ("x", "y", "z")), Group("m", ("p", "q"), at_most_one=True)))
GROUPS = LabelSpace((), SPACE.groups)
GROUPED = ("x", "y", "z", "p", "q")
WEIGHTS = st.fixed_dictionaries(dict.fromkeys(GROUPED, st.sampled_from([0.01, 0.3, 0.9, 1.0, 1.7, 40.0])))
LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(len(SPACE))), elements=st.floats(-6, 6, width=32))
LEVELS = hnp.arrays(np.float32, st.tuples(st.integers(1, 25), st.just(len(SPACE))), elements=st.sampled_from([-1, 0, 0.5, 2]))
TARGETS = st.sampled_from(["precision", "recall"])
WANTED = st.sampled_from([0.2, 0.5, 0.8])


def decide(proba: np.ndarray, worth: GroupWorth | None, space: LabelSpace = SPACE) -> np.ndarray:
    thresholds = np.full(len(space.independent), 0.5, np.float32)
    return Decoder(space, thresholds, ThresholdSettings(), worth).decide(proba, np.ones(proba.shape, bool))


def truth_of(random: np.random.Generator, proba: np.ndarray, space: LabelSpace = SPACE) -> np.ndarray:
    """Cells drawn by the probabilities, a tenth of the groups unknown or not asked."""
    cells = (random.random(proba.shape) < proba).astype(np.int8)
    for columns in space.slices:
        edges = proba[:, columns].cumsum(axis=1)
        place = (edges < random.random((len(proba), 1))).sum(axis=1)
        cells[:, columns] = place[:, None] == np.arange(edges.shape[1])
        cells[random.random(len(proba)) < 0.1, columns] = random.choice([UNKNOWN, UNASKED])
    return cells


def point(target: str, at_least: float, *labels: str, confidence: float = 0.9) -> PointSettings:
    return PointSettings(target=target, at_least=at_least, labels=labels, confidence=confidence)  # type: ignore[arg-type]


def tuned(target: PointSettings, proba: np.ndarray, cells: np.ndarray, space: LabelSpace = SPACE) -> Tuned:
    return thresholds_for(target, proba, cells, space, ThresholdSettings(), decide(proba, None, space))


def bound_of(target: PointSettings, decided: np.ndarray, cells: np.ndarray, column: int) -> tuple[float, int, int]:
    known = cells[:, column] >= 0
    guess, truth = decided[known, column], cells[known, column] == 1
    hits, whole = int((guess & truth).sum()), int((guess if target.target == "precision" else truth).sum())
    return float(lower_bound(np.array([hits]), np.array([whole]), target.confidence)[0]), hits, whole


# ---- answering ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(LOGITS | LEVELS)
def test_weights_of_1_answer_as_no_weights_do(logits: np.ndarray) -> None:
    proba, ones = probabilities(logits, SPACE), GroupWorth(SPACE, weights=dict.fromkeys(GROUPED, 1.0))
    assert ones
    np.testing.assert_array_equal(decide(proba, ones), decide(proba, None))
    plain, weighted = (
        margins(logits, Decoder(SPACE, np.array([0.5], np.float32), ThresholdSettings(), own)) for own in (None, ones)
    )
    np.testing.assert_allclose(weighted, plain, atol=1e-5)
    assert not GroupWorth.of(SPACE, weights=ones.weights)  # nothing to store


@settings(deadline=None, max_examples=80)
@given(LOGITS | LEVELS, WEIGHTS, st.sampled_from(GROUPED), st.sampled_from([1.001, 1.5, 30.0]))
def test_a_greater_weight_takes_its_label_from_no_row(
    logits: np.ndarray, weights: dict[str, float], label: str, times: float
) -> None:
    proba, column = probabilities(logits, SPACE), SPACE.index[label]
    less = decide(proba, GroupWorth.of(SPACE, weights=weights))
    more = decide(proba, GroupWorth.of(SPACE, weights={**weights, label: weights[label] * times}))
    assert (more[:, column] >= less[:, column]).all()
    others = [at for at in range(len(SPACE)) if at != column]
    assert (more[:, others] <= less[:, others]).all()  # and gives no other label


@settings(deadline=None, max_examples=100)
@given(LOGITS, WEIGHTS)
def test_margins_are_those_of_logits_moved_by_the_logarithms_of_the_weights(
    logits: np.ndarray, weights: dict[str, float]
) -> None:
    own = Decoder(SPACE, np.array([0.5], np.float32), ThresholdSettings(), GroupWorth.of(SPACE, weights=weights))
    moved = logits + np.array([0.0, *(np.log(weights[label]) for label in GROUPED)])
    plain = Decoder(SPACE, np.array([0.5], np.float32), ThresholdSettings())
    np.testing.assert_allclose(margins(logits, own), margins(moved, plain), atol=1e-5)
    clear = margins(logits, own).min(axis=1) > 1e-3
    asked = np.ones(logits.shape, bool)
    found, wanted = (one.decide(probabilities(values, SPACE), asked) for one, values in ((own, logits), (plain, moved)))
    np.testing.assert_array_equal(found[clear], wanted[clear])


# ---- tuning ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(LEVELS | LOGITS, st.integers(0, 99), TARGETS, WANTED, st.sets(st.sampled_from(GROUPED), min_size=1))
def test_what_is_told_of_the_labels_is_what_the_stored_point_decides(
    logits: np.ndarray, seed: int, target: str, wanted: float, labels: set[str]
) -> None:
    proba, chosen = probabilities(logits, SPACE), sorted(labels)
    cells, aim = truth_of(np.random.default_rng(seed), proba), point(target, wanted, *chosen)
    found = tuned(aim, proba, cells)
    stored = thresholds_to_dict(found.thresholds, ThresholdSettings(), SPACE, found.worth)
    decided = Decoder.from_dict(stored, SPACE).decide(proba, np.ones(proba.shape, bool))
    assert set(stored.get(GROUP_WEIGHTS, {})) <= labels  # the others keep their weight of 1
    assert {one.label for one in found.reached} == labels
    plain, before, after = decide(proba, None), 0, 0
    for one in found.reached:
        bound, hits, whole = bound_of(aim, decided, cells, SPACE.index[one.label])
        assert (one.bound, one.rows, one.met) == (pytest.approx(bound), whole, bound >= wanted)
        assert one.observed == pytest.approx(hits / max(whole, 1))
        after += one.met
        before += bound_of(aim, plain, cells, SPACE.index[one.label])[0] >= wanted
    assert after >= before  # never worse than the likeliest labels


@settings(deadline=None, max_examples=60)
@given(LEVELS, st.integers(0, 99), TARGETS, WANTED, st.sampled_from(GROUPED))
def test_of_one_labels_weights_the_nearest_to_1_that_is_good_enough_is_taken(
    logits: np.ndarray, seed: int, target: str, wanted: float, label: str
) -> None:
    proba = probabilities(logits, SPACE)
    cells, aim = truth_of(np.random.default_rng(seed), proba), point(target, wanted, label)
    found = tuned(aim, proba, cells)
    (reached,) = found.reached
    assert found.worth is not None
    column = SPACE.index[label]
    known = cells[:, column] >= 0
    chosen, told = np.log(found.worth.weights.get(label, 1.0)), decide(proba, found.worth)
    for weight in np.geomspace(2 * LEAST, 0.5 / LEAST, 61):
        decided = decide(proba, GroupWorth.of(SPACE, weights={label: float(weight)}))
        bound = bound_of(aim, decided, cells, column)[0]
        assert bound <= reached.bound + 1e-9 or reached.met
        if reached.met and chosen and 1e-9 < np.log(weight) / chosen < 1:  # between 1 and it: not good enough, or the same
            assert bound < wanted or (decided == told)[known, column].all()


def test_unknown_and_unasked_rows_play_no_part() -> None:
    random = np.random.default_rng(5)
    logits = random.normal(size=(300, len(SPACE))).astype(np.float32) * 2
    proba = probabilities(logits, SPACE)
    cells, aim = truth_of(random, proba), point("precision", 0.8, "y", "q")
    cells[40:80, 1:4], cells[60:90, 4:] = UNASKED, UNKNOWN
    whole = tuned(aim, proba, cells)
    assert whole.worth is not None
    for label, columns in (("y", SPACE.slices[0]), ("q", SPACE.slices[1])):
        known = cells[:, columns.start] >= 0
        part = tuned(aim, proba[known], cells[known])
        assert part.worth is not None
        assert part.worth.weights[label] == whole.worth.weights[label]
    nothing = tuned(aim, proba, np.where(np.arange(len(SPACE)) == 2, UNKNOWN, cells).astype(np.int8))
    assert next((one.label, one.met, one.rows) for one in nothing.reached) == ("y", False, 0)


@pytest.mark.parametrize("target", ["precision", "recall"])
def test_more_precision_or_recall_is_had_on_rows_that_the_weights_never_saw(target: str) -> None:
    random = np.random.default_rng(2)
    proba = probabilities(random.normal(size=(8000, len(SPACE))).astype(np.float32) * 1.5, SPACE)
    cells, aim = truth_of(random, proba), point(target, 0.7, "x", "y", "p")
    found = tuned(aim, proba[:4000], cells[:4000])
    assert [one.met for one in found.reached] == [True] * 3
    decided, plain = (decide(proba[4000:], worth) for worth in (found.worth, None))
    for label in aim.labels:
        shares = []
        for one in (decided, plain):
            _, hits, whole = bound_of(aim, one, cells[4000:], SPACE.index[label])
            shares.append(hits / whole)
        assert shares[0] > 0.65
        assert shares[0] > shares[1] + 0.02


def test_without_labels_the_independent_ones_are_meant_or_all_where_there_are_none() -> None:
    random = np.random.default_rng(8)
    proba = probabilities(random.normal(size=(400, len(SPACE))).astype(np.float32), SPACE)
    cells, aim = truth_of(random, proba), point("precision", 0.6)
    mixed = tuned(aim, proba, cells)
    assert [one.label for one in mixed.reached] == ["a"]
    assert not mixed.worth
    groups = tuned(aim, proba[:, 1:], cells[:, 1:], GROUPS)
    assert groups.worth
    assert [one.label for one in groups.reached] == list(GROUPED)
    assert sum(label in groups.worth.weights for label in "xyz") < 3  # where all take part ratios count, and one stays 1


def test_kept_weights_stay_beside_those_that_are_chosen() -> None:
    random = np.random.default_rng(3)
    proba = probabilities(random.normal(size=(600, len(SPACE))).astype(np.float32), SPACE)
    weights, reached = bounded_weights(point("recall", 0.7), proba, truth_of(random, proba), SPACE, ["z"], {"x": 1.5, "p": 0.5})
    assert (weights["x"], weights["p"]) == (1.5, 0.5)
    assert [one.label for one in reached] == ["z"]
    assert weights["z"] > 1


def test_points_are_refitted_with_weights_that_fit_the_new_probabilities() -> None:
    random = np.random.default_rng(6)
    proba = probabilities(random.normal(size=(900, len(SPACE))).astype(np.float32) * 2, SPACE)
    cells, aim = truth_of(random, proba), point("precision", 0.75, "x")
    asked = cells != UNASKED
    stored: dict[str, Any] = {"values": {"a": 0.5}, "settings": {}}
    costs = {label: {"false_positive": 1.0, "false_negative": 2.0} for label in GROUPED}
    points = {
        "default": stored,
        "sure": {**stored, "target": aim.stored(), GROUP_WEIGHTS: {"x": 77.0}},
        "any": {**stored, "target": point("recall", 0.01, "y").stored(), GROUP_WEIGHTS: {"y": 77.0}},
        "cost": {**stored, "target": {"target": "cost", "costs": costs}, GROUP_COSTS: costs},
    }
    found = stored_points(refitted(with_points(points), proba, cells, asked, SPACE))
    expected = tuned(aim, proba, cells)
    assert expected.worth
    assert found["sure"][GROUP_WEIGHTS] == expected.worth.weights
    assert found["cost"][GROUP_COSTS] == costs
    assert not {GROUP_WEIGHTS, GROUP_COSTS} & found["any"].keys()  # what was wanted is had with a weight of 1
    assert not {GROUP_WEIGHTS, GROUP_COSTS} & found["default"].keys()


# ---- storing -----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(WEIGHTS)
def test_weights_are_read_as_they_were_written(weights: dict[str, float]) -> None:
    worth = GroupWorth.of(SPACE, weights=weights)
    assert GroupWorth.from_dict(worth.to_dict(), SPACE) == worth
    assert worth.weights == {label: weight for label, weight in weights.items() if weight != 1.0}


@pytest.mark.parametrize(
    "damaged", [{"a": 2.0}, {"w": 2.0}, {"x": 0}, {"x": -1.0}, {"x": "2"}, {"x": float("inf")}, {"p": 2.0}]
)
def test_weights_that_make_no_sense_are_refused(damaged: dict[str, Any]) -> None:
    costs = {label: Costs(false_positive=1, false_negative=1).model_dump() for label in ("p", "q")}
    with pytest.raises(BundleError, match="weights of groups"):
        GroupWorth.from_dict({GROUP_WEIGHTS: damaged, GROUP_COSTS: costs}, SPACE)
