"""When a row may leave: margins, calibrated errors, entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.config import Costs, ThresholdSettings
from duobiao.labels import LabelSpace
from duobiao.postprocess.calibration import Calibration
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.group_worth import GroupWorth
from duobiao.postprocess.leaving import (
    Leaving,
    asked_decisions,
    calibrate,
    errors_from_list,
    errors_to_list,
    margins,
    uncertainty,
)
from duobiao.postprocess.probabilities import probabilities

SPACE = LabelSpace.from_dict(
    {
        "labels": ["a", "b", "c"],
        "groups": {
            "g": {"labels": ["x", "y", "z"]},
            "m": {"labels": ["p", "q"], "at_most_one": True},
            "n": {"labels": ["u", "v"], "contexts": ["N"]},
        },
    }
)
THRESHOLDS = np.array([0.5, 0.3, 0.8], np.float32)


def decoder(**rules: Any) -> Decoder:
    return Decoder(SPACE, THRESHOLDS, ThresholdSettings(**rules))


def with_costs() -> Decoder:
    """Groups ``g`` and ``m`` answer by costs, ``n`` does not."""
    prices = {"x": (1, 1), "y": (1, 6), "z": (3, 1), "p": (1, 4), "q": (2, 1)}
    costs = {label: Costs(false_positive=wrong, false_negative=missed) for label, (wrong, missed) in prices.items()}
    return Decoder(SPACE, THRESHOLDS, ThresholdSettings(), GroupWorth.of(SPACE, costs))


def log_odds(p: float) -> float:
    return math.log(p / (1 - p))


def test_margins_are_the_distances_from_flipping() -> None:
    logits = np.array([[1.0, -1.0, 3.0, 2.0, 0.5, -1.0, -2.0, -3.0, 1.0, 4.0]], np.float32)
    found = margins(logits, decoder())[0]
    wanted = [1.0, abs(-1 - log_odds(0.3)), 3 - log_odds(0.8), 1.5, 2.0, 3.0]  # in m, "none" has logit 0
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_the_margin_of_another_answer_is_negative_where_it_flips() -> None:
    early = np.array([[1.0, -3.0, 3.0, 2.0, 0.5, -1.0, -2.0, -3.0, 1.0, 4.0]], np.float32)
    last = np.array([[-2.0, -3.0, 3.0, 2.0, 3.0, -1.0, 1.0, -3.0, 1.0, 4.0]], np.float32)
    found = margins(last, decoder(), answers=early)[0]
    np.testing.assert_allclose(found, [-2, 3 + log_odds(0.3), 3 - log_odds(0.8), -1, -1, 3], rtol=1e-6)


CELLS = st.floats(-6, 6, allow_nan=False, width=32)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(CELLS, min_size=10, max_size=10),
    st.lists(st.floats(0, 3, width=32), min_size=6, max_size=6),
    st.lists(st.floats(-1, 1, width=32), min_size=10, max_size=10),
    st.sampled_from(
        [
            {},
            {"min_k": 1},
            {"min_k": 2, "max_k": 2},
            {"max_k": 1},
            {"fallback": "b"},
            {"forbidden": [["a", "b"]]},
            {"forbidden": [["a", "b"], ["b", "c"]], "min_k": 1},
            {"parents": {"a": ["b"]}, "max_k": 2},
            {"parents": {"a": ["c"]}, "forbidden": [["b", "c"]], "fallback": "a"},
        ]
    ),
    st.booleans(),
)
def test_no_decision_of_a_row_that_leaves_flips_within_the_errors(
    cells: list[float], errors: list[float], moves: list[float], rules: dict[str, Any], asked_n: bool
) -> None:
    """Each label's logit moves by less than its error, each group's differences by less than the group's."""
    logits = np.array([cells], np.float32)
    own = np.broadcast_to(np.array(errors, np.float32), (1, 2, 6))
    rule = Leaving(decoder(**rules), "margin", 0.1, own, (0,))
    asked = np.ones((1, 10), bool)
    asked[:, 8:] = asked_n
    if not rule.leaves(0, logits, asked)[0]:
        return
    reach = np.repeat(errors, [1, 1, 1, 3, 2, 2]) * np.array([1, 1, 1, *[0.5] * 7])  # two labels of a group move apart
    reach[6:8] *= 2  # but "none" stays at 0 ...
    shift = np.array(moves) * reach * 0.999
    if shift[6] * shift[7] < 0:  # ... so there the two may not move apart by more
        shift[6:8] *= 0.5
    moved = logits + shift.astype(np.float32)
    before, after = (rule.decoder.decide(probabilities(one, SPACE), asked) for one in (logits, moved))
    np.testing.assert_array_equal(before, after)


def test_errors_by_hand() -> None:
    """One label, threshold 0.5: eight rows answered, two of which flip, and three that get none."""
    space = LabelSpace(("a",))
    one = Decoder(space, np.array([0.5], np.float32), ThresholdSettings())
    early = np.array([3, 1, 2, 4, 1, 2, 5, 6, -1, -2, -3], np.float32)[None, :, None]
    last = np.array([4, -1, 2, 5, 1, -2, 5, 6, -2, 1, -3], np.float32)[:, None]
    asked = np.ones((11, 1), bool)
    scale = (1 + 2 + 0 + 1 + 0 + 4 + 0 + 0 + 1 + 3 + 0) / 11  # own and mean are the same
    # flips of answered rows: margins 1 and 2 of 8; sorted scores 0 x 6, 1, 2
    for speed, wanted in ((0.0, math.inf), (0.1, math.inf), (0.12, 2.0), (0.3, 1.0), (0.4, 0.0)):
        found = calibrate(early, last, asked, one, speed)
        assert found.shape == (1, 2, 1)
        np.testing.assert_allclose(found[0, 0, 0], wanted, rtol=2e-4)
    # unanswered: one of three flips, margin 2
    for speed, wanted in ((0.2, math.inf), (0.25, 2.0), (0.5, 0.0)):
        np.testing.assert_allclose(calibrate(early, last, asked, one, speed)[0, 1, 0], wanted, rtol=2e-4)
    assert scale > 0


def test_labels_that_move_more_have_larger_errors_and_unasked_rows_do_not_count() -> None:
    random = np.random.default_rng(0)
    early = random.normal(size=(1, 400, 10)).astype(np.float32)
    step = np.array([0.1, 0.1, 2.0, *[0.5] * 5, 3.0, 3.0])
    last = (early[0] + random.normal(size=(400, 10)) * step).astype(np.float32)
    asked = np.ones((400, 10), bool)
    found = calibrate(early, last, asked, decoder(), 0.02)[0, 0]
    assert found[2] > 1.5 * found[0]
    assert found[5] > found[3]
    asked[:, 8:] = False
    other = calibrate(early, last, asked, decoder(), 0.02)[0, 0]
    assert np.isfinite(other).all()
    assert other[5] < found[5]


@pytest.mark.parametrize("own", [decoder(), with_costs()])
@pytest.mark.parametrize("speed", [0.05, 0.1, 0.3])
def test_at_most_the_asked_share_of_further_rows_leaves_and_flips(speed: float, own: Decoder) -> None:
    random = np.random.default_rng(1)
    early = (random.normal(size=(1, 6000, 10)) * 3).astype(np.float32)
    last = (early[0] + random.normal(size=(6000, 10))).astype(np.float32)
    asked = np.ones((6000, 10), bool)
    first, second = np.arange(3000), np.arange(3000, 6000)
    errors = calibrate(early[:, first], last[first], asked[first], own, speed)
    rule = Leaving(own, "margin", speed, errors, (0,))
    leaves = rule.leaves(0, early[0, second], asked[second])
    flips = (margins(last[second], own, answers=early[0, second]) < 0).any(1)
    decided = [own.decide(probabilities(values[second], SPACE), asked[second]) for values in (early[0], last)]
    np.testing.assert_array_equal(flips, (decided[0] != decided[1]).any(1))
    assert (leaves & flips).mean() <= speed * 1.3
    assert leaves.mean() > 0.02


def test_unasked_cells_hold_no_row_back() -> None:
    logits = np.array([[5.0, -5.0, 5.0, 5.0, 0.0, 0.0, 5.0, 0.0, 0.1, 0.1]], np.float32)
    asked = np.ones((1, 10), bool)
    for criterion, speed in (("margin", 0.1), ("entropy", 0.1)):
        rule = Leaving(decoder(), criterion, speed, np.full((1, 2, 6), 0.5, np.float32), (0,))  # type: ignore[arg-type]
        assert not rule.leaves(0, logits, asked)[0]
        without = asked.copy()
        without[:, 8:] = False
        assert rule.leaves(0, logits, without)[0]
    assert asked_decisions(without, SPACE).tolist() == [[True] * 5 + [False]]


def test_at_speed_0_and_at_unused_exits_nobody_leaves() -> None:
    logits, asked = np.full((1, 10), 9.0, np.float32), np.ones((1, 10), bool)
    logits[0, [4, 5, 7, 9]] = -9
    zeros = np.zeros((2, 2, 6), np.float32)
    for criterion in ("margin", "entropy"):
        stays = Leaving(decoder(), criterion, 0.0, zeros, (0, 1))  # type: ignore[arg-type]
        assert stays.is_full
        assert not stays.leaves(0, logits, asked)[0]
        some = Leaving(decoder(), criterion, 0.9, zeros, (1,))  # type: ignore[arg-type]
        assert not some.leaves(0, logits, asked)[0]
        assert some.leaves(1, logits, asked)[0]
    assert not np.isfinite(calibrate(logits[None].repeat(20, 1), logits.repeat(20, 0), asked.repeat(20, 0), decoder(), 0)).any()


# ---- entropy -----------------------------------------------------------------------------------------


def test_entropy_by_hand() -> None:
    proba = np.array([[0.9, 0.5, 0.2, 0.7, 0.2, 0.1, 0.3, 0.5, 0.25, 0.75]], np.float32)
    asked = np.ones((1, 10), bool)

    def normal(*values: float) -> float:
        return -sum(p * math.log(p) for p in values if p) / math.log(len(values))

    wanted = [normal(0.9, 0.1), 1.0, normal(0.2, 0.8), normal(0.7, 0.2, 0.1), normal(0.3, 0.5, 0.2), normal(0.25, 0.75)]
    np.testing.assert_allclose(uncertainty(proba, asked, SPACE), sum(wanted) / 6, rtol=1e-5)
    asked[:, 8:] = False
    np.testing.assert_allclose(uncertainty(proba, asked, SPACE), sum(wanted[:5]) / 5, rtol=1e-5)


def test_one_exclusive_group_has_the_papers_normalised_entropy() -> None:
    space = LabelSpace.from_dict({"groups": {"g": {"labels": ["x", "y", "z", "w"]}}})
    proba = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.6, 0.3, 0.1, 0.0]], np.float32)
    paper = [sum(p * math.log(p) for p in row.tolist() if p) / math.log(1 / 4) for row in proba]
    np.testing.assert_allclose(uncertainty(proba, np.ones((4, 4), bool), space), paper, atol=1e-6)


def test_a_row_that_is_asked_nothing_leaves_at_once() -> None:
    space = LabelSpace.from_dict({"groups": {"g": {"labels": ["x", "y"], "contexts": ["N"]}}})
    empty = Decoder(space, np.zeros(0, np.float32), ThresholdSettings())
    for criterion in ("margin", "entropy"):
        rule = Leaving(empty, criterion, 0.1, np.full((1, 2, 1), np.inf, np.float32), (0,))  # type: ignore[arg-type]
        assert rule.leaves(0, np.zeros((1, 2), np.float32), np.zeros((1, 2), bool)).tolist() == [True]


@pytest.mark.parametrize(("rules", "side"), [({"min_k": 1}, -1), ({"max_k": 1}, 1), ({"min_k": 2, "max_k": 2}, 1)])
def test_rows_whose_labels_are_picked_by_rank_wait_until_the_rank_is_sure(rules: dict[str, Any], side: int) -> None:
    """Two labels on the same side of their thresholds, of which the rule picks one (or drops the third)."""
    middle = np.log(THRESHOLDS / (1 - THRESHOLDS))
    third = 3.0 if rules == {"min_k": 2, "max_k": 2} else -3.0
    asked = np.ones((1, 10), bool)
    asked[:, 3:] = False
    for apart, leaves in ((0.9, False), (1.1, True)):
        distance = np.array([side * 1.0, side * 1.0 + side * apart, third])
        if third > 0:
            distance = np.array([1.0, 1.0 + apart, 3.0])  # the lowest of three is dropped
        logits = np.zeros((1, 10), np.float32)
        logits[0, :3] = middle + distance
        errors = np.full((1, 2, 6), 0.5, np.float32)
        assert Leaving(decoder(**rules), "margin", 0.1, errors, (0,)).leaves(0, logits, asked)[0] == leaves
        assert Leaving(decoder(), "margin", 0.1, errors, (0,)).leaves(0, logits, asked)[0]


def test_a_forbidden_pair_holds_a_row_back_until_it_is_sure_which_label_stays() -> None:
    middle = np.log(THRESHOLDS / (1 - THRESHOLDS))
    asked = np.ones((1, 10), bool)
    asked[:, 3:] = False
    errors = np.full((1, 2, 6), 0.5, np.float32)
    for apart, leaves in ((0.9, False), (1.1, True)):
        logits = np.zeros((1, 10), np.float32)
        logits[0, :3] = middle + np.array([1.0, 1.0 + apart, -3.0])
        held = Leaving(decoder(forbidden=[("a", "b")]), "margin", 0.1, errors, (0,))
        assert held.leaves(0, logits, asked)[0] == leaves
        assert Leaving(decoder(forbidden=[("a", "c")]), "margin", 0.1, errors, (0,)).leaves(0, logits, asked)[0]


def test_calibrated_logits_decide_who_leaves() -> None:
    """A temperature of 2 halves the distances of that label, and no other."""
    calibration = Calibration({"a": 2.0})
    errors = np.full((1, 2, 6), 0.8, np.float32)
    logits = np.array([[1.5, -4.0, -4.0, *[0.0] * 7]], np.float32)
    asked = np.ones((1, 10), bool)
    asked[:, 3:] = False
    assert Leaving(decoder(), "margin", 0.1, errors, (0,)).leaves(0, logits, asked)[0]
    assert not Leaving(decoder(), "margin", 0.1, errors, (0,), calibration).leaves(0, logits, asked)[0]


def test_stored_errors_are_read_as_they_were() -> None:
    errors = np.array([[[0.25, np.inf], [1e-6, 3.0]]], np.float32)
    stored = errors_to_list(errors)
    assert stored[0][0][1] is None
    np.testing.assert_array_equal(errors_from_list(stored), errors)
