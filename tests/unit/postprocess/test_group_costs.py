"""Groups answered by costs, against the sum over all answers and all truths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duobiao.config import Costs, PointSettings, ThresholdSettings
from duobiao.errors import BundleError, ConfigError
from duobiao.evaluate.point_options import check_points
from duobiao.labels import Group, LabelSpace
from duobiao.postprocess.band import unsure_names
from duobiao.postprocess.calibration import FURTHEST
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.group_worth import GROUP_COSTS, GroupWorth
from duobiao.postprocess.leaving import margins
from duobiao.postprocess.probabilities import probabilities
from duobiao.postprocess.targets import expected_cost, thresholds_for
from duobiao.postprocess.thresholds import thresholds_to_dict

SPACE = LabelSpace(
    ("a",), (Group("g", ("x", "y", "z")), Group("m", ("p", "q"), at_most_one=True), Group("n", ("u", "v"), at_most_one=True))
)
G, M, N = SPACE.slices
COSTED = ("x", "y", "z", "p", "q")
PRICES = st.sampled_from([0.1, 0.5, 1.0, 2.0, 7.0, 30.0])
LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.just(len(SPACE))), elements=st.floats(-6, 6, width=32))
TABLES = st.fixed_dictionaries({label: st.tuples(PRICES, PRICES) for label in COSTED})
Table = dict[str, tuple[float, float]]


def costs_of(table: Table) -> dict[str, Costs]:
    return {label: Costs(false_positive=wrong, false_negative=missed) for label, (wrong, missed) in table.items()}


def decoder(table: Table, **rules: Any) -> Decoder:
    worth = GroupWorth.of(SPACE, costs_of(table))
    return Decoder(SPACE, np.array([0.5], np.float32), ThresholdSettings(**rules), worth)


def decide(own: Decoder, logits: np.ndarray) -> np.ndarray:
    return own.decide(probabilities(logits, SPACE), np.ones(logits.shape, bool))


def price(given_label: str | None, true_label: str | None, table: Table) -> float:
    if given_label == true_label:
        return 0.0
    return (table[given_label][0] if given_label else 0.0) + (table[true_label][1] if true_label else 0.0)


def expected(row: np.ndarray, columns: slice, table: Table, none: bool) -> dict[str | None, float]:
    """What each answer is expected to cost."""
    chances: dict[str | None, float] = dict(zip(SPACE.names[columns], row[columns].astype(float).tolist(), strict=True))
    if none:
        chances[None] = 1 - sum(chances.values())
    return {answer: sum(chance * price(answer, truth, table) for truth, chance in chances.items()) for answer in chances}


@settings(deadline=None, max_examples=150)
@given(LOGITS, TABLES)
def test_the_answer_costs_least_of_all(logits: np.ndarray, table: Table) -> None:
    proba, chosen = probabilities(logits, SPACE), decide(decoder(table), logits)
    for number in range(len(logits)):
        for columns, none in ((G, False), (M, True)):
            prices = expected(proba[number], columns, table, none)
            given_labels = [SPACE.names[columns.start + at] for at in np.flatnonzero(chosen[number, columns])]
            assert len(given_labels) <= 1
            assert none or given_labels
            assert prices[given_labels[0] if given_labels else None] <= min(prices.values()) + 1e-4
    plain = decide(Decoder(SPACE, np.array([0.5], np.float32), ThresholdSettings()), logits)
    np.testing.assert_array_equal(chosen[:, N], plain[:, N])  # has no costs
    np.testing.assert_array_equal(chosen[:, 0], plain[:, 0])


@settings(deadline=None, max_examples=60)
@given(LOGITS, PRICES)
def test_equal_costs_leave_the_likeliest_label_and_its_margin(logits: np.ndarray, cost: float) -> None:
    top = np.sort(logits[:, G], axis=1)
    logits = logits[top[:, -1] - top[:, -2] > 1e-3]
    own, plain = decoder(dict.fromkeys(COSTED, (cost, cost))), Decoder(SPACE, np.array([0.5], np.float32), ThresholdSettings())
    np.testing.assert_array_equal(decide(own, logits)[:, G], decide(plain, logits)[:, G])
    np.testing.assert_allclose(margins(logits, own)[:, [0, 1, 3]], margins(logits, plain)[:, [0, 1, 3]], atol=1e-5)


@settings(deadline=None, max_examples=150)
@given(LOGITS, TABLES)
def test_an_answer_flips_where_its_logit_falls_by_its_margin(logits: np.ndarray, table: Table) -> None:
    own = decoder(table)
    found, chosen = margins(logits, own), decide(own, logits)
    for number, columns in ((1, G), (2, M)):
        for row in range(len(logits)):
            at, distance = np.flatnonzero(chosen[row, columns]), found[row, number]
            assert distance <= FURTHEST
            if distance < 0.05:  # where single precision decides
                continue
            for step, stays in ((-0.02, True), (0.02, False)) if distance < 5 else ((4 - distance, True),):
                moved = logits[row : row + 1].astype(np.float64)
                if len(at):
                    moved[0, columns.start + at[0]] -= distance + step
                else:  # "none" falls where all else rises
                    moved[0, columns] += distance + step
                assert (decide(own, moved)[0, columns] == chosen[row, columns]).all() == stays
    other = margins(-logits, own, answers=logits)
    flipped = [(decide(own, -logits)[:, columns] != chosen[:, columns]).any(axis=1) for columns in (G, M)]
    for number, flips in zip((1, 2), flipped, strict=True):
        sure = np.abs(other[:, number]) > 1e-3
        np.testing.assert_array_equal((other[:, number] < 0)[sure], flips[sure])


def test_by_hand() -> None:
    """Half the chance of x, a third of y; a missed y costs ten times as much as anything else."""
    logits = np.log(np.array([[0.5, 0.5, 0.33, 0.17, 0.3, 0.2, 0.5, 0.5]])).astype(np.float32)
    table = {"x": (1.0, 1.0), "y": (1.0, 10.0), "z": (1.0, 1.0), "p": (9.0, 1.0), "q": (1.0, 9.0)}
    assert [SPACE.names[at] for at in np.flatnonzero(decide(decoder(table), logits)[0, 1:6]) + 1] == ["y", "q"]
    table["p"], table["q"] = (1.0, 1.0), (1.0, 2.0)
    assert not decide(decoder(table), logits)[0, M].any()  # p and q have 0.2 and 0.13, and need more than 1/2 and 1/3
    assert unsure_names(logits, np.ones(logits.shape, bool), decoder(table, band=0.45)) == [("a", "g", "m", "n")]


# ---- tables ------------------------------------------------------------------------------------------


def point(**costs: Any) -> PointSettings:
    table = {label: {"false_positive": wrong, "false_negative": missed} for label, (wrong, missed) in costs.items()}
    return PointSettings.model_validate({"target": "cost", "costs": table})


@pytest.mark.parametrize("only_groups", [False, True])
def test_a_table_prices_groups_too_and_their_answers_are_the_cheapest(only_groups: bool) -> None:
    space = LabelSpace((), SPACE.groups) if only_groups else SPACE
    random = np.random.default_rng(4)
    logits = random.normal(size=(4000, len(space))).astype(np.float32) * 1.5
    proba = probabilities(logits, space)
    cells, free = np.zeros(logits.shape, np.int8), len(space.independent)
    cells[:, :free] = random.random((4000, free)) < proba[:, :free]
    for columns in space.slices:
        edges, drawn = proba[:, columns].cumsum(axis=1), random.random((4000, 1)).astype(np.float32)
        place = (edges < drawn).sum(axis=1)
        inside = np.flatnonzero(place < edges.shape[1])
        cells[inside, columns.start + place[inside]] = 1
    cells[:, space.slices[0]][cells[:, space.slices[0]].sum(axis=1) == 0] = [0, 0, 1]  # rounding
    table = {"*": (2.0, 2.0), "y": (1.0, 12.0), "p": (0.5, 3.0)}
    target, rules = point(**table), ThresholdSettings()
    everywhere = np.ones(cells.shape, bool)
    tuned = thresholds_for(target, proba, cells, space, rules, everywhere)
    decided = Decoder(space, tuned.thresholds, rules, tuned.worth).decide(proba, everywhere)
    told = expected_cost(target, cells, decided, space)
    counted = sum(
        table.get(label, table["*"])[0] * int((decided[:, at] & (cells[:, at] == 0)).sum())
        + table.get(label, table["*"])[1] * int((~decided[:, at] & (cells[:, at] == 1)).sum())
        for at, label in enumerate(space.names)
    )
    assert told == {"total": counted, "per_row": counted / 4000}
    likeliest = Decoder(space, tuned.thresholds, rules).decide(proba, everywhere)
    assert told["total"] < 0.95 * expected_cost(target, cells, likeliest, space)["total"]
    again = Decoder.from_dict(thresholds_to_dict(tuned.thresholds, rules, space, tuned.worth), space)
    np.testing.assert_array_equal(again.decide(proba, everywhere), decided)


def test_groups_that_the_table_leaves_out_cost_nothing_and_are_stored_without_costs() -> None:
    proba = np.full((2, len(SPACE)), 0.3, np.float32)
    cells = np.zeros(proba.shape, np.int8)
    tuned = thresholds_for(point(a=(1, 2)), proba, cells, SPACE, ThresholdSettings(), cells == 1)
    assert not tuned.worth
    assert "group_costs" not in thresholds_to_dict(tuned.thresholds, ThresholdSettings(), SPACE, tuned.worth)
    assert expected_cost(point(a=(1, 2)), cells, np.ones(cells.shape, bool), SPACE)["total"] == 2.0


def test_a_group_has_costs_for_all_of_its_labels_or_for_none() -> None:
    check_points({"one": point(x=(1, 2), y=(1, 2), z=(2, 1)), "other": point(**{"x": (1, 2), "*": (1, 1)})}, SPACE)
    check_points({"one": point(**{"*": (1, 1)})}, LabelSpace((), SPACE.groups))
    with pytest.raises(ConfigError, match=r"one: group 'g' has costs, but not for 'y', 'z'") as caught:
        check_points({"one": point(a=(1, 1), x=(1, 2))}, SPACE)
    assert "all labels of a group, or none" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="'w' is no label of the bundle"):
        check_points({"one": point(w=(1, 1))}, SPACE)
    with pytest.raises(ConfigError, match="'w' is no label of the bundle"):
        check_points({"one": PointSettings(target="recall", at_least=0.5, labels=("x", "w"))}, SPACE)


@pytest.mark.parametrize(
    "damaged",
    [
        {"x": {"false_positive": 1, "false_negative": 1}},
        {label: {"false_positive": 1, "false_negative": 1} for label in ("p", "q", "a")},
        {label: {"false_positive": -1, "false_negative": 1} for label in ("p", "q")},
        {"p": 3, "q": 4},
    ],
)
def test_costs_that_make_no_sense_are_refused(damaged: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="costs of groups"):
        GroupWorth.from_dict({GROUP_COSTS: damaged}, SPACE)
