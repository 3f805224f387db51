"""Sums by unit against the metrics of the rows, intervals against rows that are really drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from duobiao.evaluate import bootstrap
from duobiao.evaluate import tally as module
from duobiao.evaluate.bootstrap import add_by_unit, few_units
from duobiao.evaluate.intervals import SHARES, dice_bounds, intervals, percentiles, share_bounds
from duobiao.evaluate.metrics import score
from duobiao.evaluate.ranking import rank_rows, rank_scores
from duobiao.evaluate.tally import Tally
from duobiao.labels import Group, LabelSpace

SPACE = LabelSpace(("a", "b", "c"), (Group("g", ("d", "e")), Group("h", ("f",), at_most_one=True)))
ROWS = 60
PLAIN = ("micro_f1", "macro_f1", "weighted_f1", "samples_f1", "subset_accuracy", "hamming_loss", "group_accuracy")
RANKS = ("ranking_loss", "coverage")


def make(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth with unknown cells, scores that know something of it, decisions."""
    random = np.random.default_rng(seed)
    truth = random.random((rows, 6)) < (0.5, 0.2, 0.1, 0.5, 0.5, 0.3)
    truth[:, 4] = ~truth[:, 3]
    scores = np.clip(truth * 0.4 + random.random((rows, 6)) * 0.6, 0, 1).astype(np.float32)
    cells = np.where(random.random((rows, 6)) < 0.15, -1, truth).astype(np.int8)
    cells[cells[:, 3] < 0, 4] = -1
    cells[cells[:, 4] < 0, 3] = -1
    decided = scores > 0.5
    decided[:, 3] = scores[:, 3] > scores[:, 4]
    decided[:, 4] = ~decided[:, 3]
    return cells, scores, decided


def tally_of(cells: np.ndarray, scores: np.ndarray, decided: np.ndarray, units: np.ndarray) -> Tally:
    return Tally.of(cells, decided, SPACE, units, rank_rows(cells, scores))


def slowly(cells: np.ndarray, scores: np.ndarray, decided: np.ndarray) -> dict[str, Any]:
    ranked = rank_scores(cells, scores, rank_rows(cells, scores), SPACE)
    found = score(cells, decided, SPACE)
    values = {name: {**found, **ranked}[name] for name in (*PLAIN, *RANKS)}
    return values | {f"precision_at_{k}": value for k, value in ranked["precision_at"].items()}


@pytest.mark.parametrize("units", [np.arange(ROWS), np.arange(ROWS) // 7, np.zeros(ROWS, np.int64)])
def test_sums_give_the_metrics_of_any_rows(units: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 16)
    monkeypatch.setattr(bootstrap, "_BLOCK", 5)
    cells, scores, decided = make(ROWS)
    tally = tally_of(cells, scores, decided, units)
    for chosen in (np.arange(units.max() + 1), np.array([0]), np.array([0, 0, units.max()])):
        rows = np.concatenate([np.flatnonzero(units == unit) for unit in chosen])
        totals = tally.table[chosen].sum(axis=0)
        found, wanted = tally.metrics(totals), slowly(cells[rows], scores[rows], decided[rows])
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert float(found[name]) == pytest.approx(np.nan if value is None else value, nan_ok=True), name
        scored = score(cells[rows], decided[rows], SPACE)
        labels = [one["f1"] for one in scored["per_label"].values()]
        assert np.nan_to_num(tally.label_f1(totals)).tolist() == pytest.approx(labels)
        groups = [one["accuracy"] for one in scored["groups"].values()]
        assert tally.groups(totals).tolist() == pytest.approx([np.nan if one is None else one for one in groups], nan_ok=True)


def test_without_ranking_all_else_is_the_same() -> None:
    cells, scores, decided = make(ROWS)
    units = np.arange(ROWS) // 3
    ranked, plain = tally_of(cells, scores, decided, units), Tally.of(cells, decided, SPACE, units)
    assert plain.table.shape[1] == Tally.width(SPACE, False) == ranked.table.shape[1] - len(module.RANKS)
    full, found = intervals(ranked, draws=50), intervals(plain, draws=50)
    assert full["metrics"].keys() - found["metrics"].keys() == set(module.RANKS)
    assert found["labels"] == full["labels"]
    for name, interval in found["metrics"].items():
        assert interval == pytest.approx(full["metrics"][name]), name


def test_an_interval_is_the_middle_of_scores_of_drawn_units() -> None:
    cells, scores, decided = make(ROWS)
    units = np.arange(ROWS) // 3
    found = intervals(tally_of(cells, scores, decided, units), draws=80, seed=3)
    random, slow = np.random.default_rng(3), []
    for picked in random.integers(0, 20, (80, 20)):
        rows = np.concatenate([np.flatnonzero(units == unit) for unit in picked])
        slow.append(slowly(cells[rows], scores[rows], decided[rows]))
    for name in found["metrics"]:
        if name != "macro_f1":  # a label that no draw holds is left out there
            assert found["metrics"][name] == pytest.approx(np.quantile([one[name] for one in slow], [0.025, 0.975]).tolist())
    assert found["metrics"]["macro_f1"] == pytest.approx(
        np.quantile([one["macro_f1"] for one in slow], [0.025, 0.975]), abs=0.1
    )


def test_a_rare_label_that_is_not_drawn_does_not_lower_the_interval_of_macro_f1() -> None:
    cells = np.zeros((100, 6), np.int8)
    cells[:50, 0], cells[0, 1], cells[:, 2:] = 1, 1, -1
    decided = cells == 1
    tally = tally_of(cells, decided.astype(np.float32), decided, np.arange(100))
    assert intervals(tally)["metrics"]["macro_f1"] == [1.0, 1.0]
    low, high = intervals(tally)["labels"][1]
    assert (low, high) == (pytest.approx(2 * 0.025 / 1.025), 1.0), "one hit of one is next to no evidence"


@pytest.mark.parametrize("units", [1, 2, 10, 300])
def test_f1_of_one_or_zero_has_the_exact_bounds_of_clopper_and_pearson(units: int) -> None:
    for value, hits in ((1.0, units), (0.0, 0)):
        share = binomtest(hits, units).proportion_ci(0.95, method="exact")
        wanted = [2 * bound / (1 + bound) for bound in (share.low, share.high)]
        assert dice_bounds(value, units) == pytest.approx(wanted)
    assert dice_bounds(0.5, units) is None
    assert dice_bounds(float("nan"), units) is None
    assert dice_bounds(1.0, 0) is None


@pytest.mark.parametrize("units", [1, 3, 40])
def test_a_share_of_one_or_zero_has_the_exact_bounds_of_clopper_and_pearson(units: int) -> None:
    for value, hits in ((1.0, units), (0.0, 0)):
        share = binomtest(hits, units).proportion_ci(0.95, method="exact")
        assert share_bounds(value, units) == pytest.approx([share.low, share.high])
    assert share_bounds(0.5, units) is share_bounds(float("nan"), units) is share_bounds(1.0, 0) is None


@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_is_as_sure_as_the_rows_that_tell_of_it(right: bool) -> None:
    cells = np.full((40, 6), -1, np.int8)
    cells[:, 0] = 1
    cells[:3, 3:5] = (1, 0)  # the group is known in three rows of the forty
    decided = (cells == 1) == right
    found = intervals(tally_of(cells, decided.astype(np.float32), decided, np.arange(40)))
    value = float(right)
    assert found["groups"] == [share_bounds(value, 3), None]
    assert found["metrics"]["group_accuracy"] == share_bounds(value, 3)
    assert found["metrics"]["subset_accuracy"] == share_bounds(value, 40)
    assert found["metrics"]["micro_f1"] == found["labels"][0] == dice_bounds(value, 40)
    for name in SHARES.keys() - {"precision_at_3", "precision_at_5"}:  # rows have fewer labels than that
        assert found["metrics"][name][1] - found["metrics"][name][0] > 0.08, name


def test_draws_that_hold_nothing_are_left_out_of_micro_f1() -> None:
    cells = np.zeros((40, 6), np.int8)
    cells[:3, 0] = 1
    decided = cells == 1
    assert intervals(tally_of(cells, decided.astype(np.float32), decided, np.arange(40)))["metrics"]["micro_f1"] == dice_bounds(
        1, 3
    )
    decided[0, 1] = True  # no draw that has one of these rows is worse than 2/3
    found = intervals(tally_of(cells, decided.astype(np.float32), decided, np.arange(40)))["metrics"]
    assert min(found[name][0] for name in ("micro_f1", "weighted_f1")) >= 2 / 3 - 1e-9
    decided[:] = cells[:] = 0
    assert intervals(tally_of(cells, decided.astype(np.float32), decided, np.arange(40)))["metrics"]["micro_f1"] is None


def test_undefined_draws_are_left_out() -> None:
    assert percentiles(np.array([np.nan, 0.5, 0.5])) == [0.5, 0.5]
    assert percentiles(np.array([np.nan])) is None


def test_few_units_no_draws_and_labels_without_truth_have_no_interval() -> None:
    cells, scores, decided = make(ROWS)
    for tally, draws in (
        (tally_of(cells, scores, decided, np.arange(ROWS) // 8), 50),  # 8 units
        (tally_of(cells, scores, decided, np.arange(ROWS)), 0),
        (tally_of(cells[:0], scores[:0], decided[:0], np.arange(0)), 50),
    ):
        found = intervals(tally, draws)
        assert set(found["metrics"].values()) == set(found["labels"]) == set(found["groups"]) == {None}
    cells[:, 2] = np.minimum(cells[:, 2], 0)
    cells[:, 5] = -1
    found = intervals(tally_of(cells, scores, decided, np.arange(ROWS)), 50)
    assert [one is None for one in found["labels"]] == [False, False, True, False, False, True]
    assert [one is None for one in found["groups"]] == [False, True]
    assert found["metrics"]["micro_f1"] is not None


def test_intervals_hold_what_they_promise() -> None:
    """Of 120 samples from one population about 95 % must hold its scores (binomial: under 105 has p < 0.001)."""
    cells, scores, decided = make(20_000, seed=5)
    true = slowly(cells, scores, decided)
    label = score(cells, decided, SPACE)["per_label"]["b"]["f1"]
    inside = dict.fromkeys((*true, "b"), 0)
    for start in range(0, 120 * 150, 150):
        part = slice(start, start + 150)
        found = intervals(tally_of(cells[part], scores[part], decided[part], np.arange(150)), 300)
        for name, value in true.items():
            inside[name] += found["metrics"][name][0] <= value <= found["metrics"][name][1]
        inside["b"] += found["labels"][1][0] <= label <= found["labels"][1][1]
    assert min(inside.values()) >= 105, inside


def test_units_thrown_together_keep_the_width_of_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, scores, decided = make(8000)
    units = np.arange(8000)
    plain = intervals(tally_of(cells, scores, decided, units), 1000)["metrics"]["micro_f1"]
    monkeypatch.setattr(bootstrap, "MOST_UNITS", 1000)
    few = few_units(units, 10)
    assert np.bincount(few).tolist() == [8] * 1000
    merged = intervals(tally_of(cells, scores, decided, few), 1000)["metrics"]["micro_f1"]
    assert merged[1] - merged[0] == pytest.approx(plain[1] - plain[0], rel=0.15)


def test_rows_of_one_unit_are_thrown_together_as_one() -> None:
    units = np.repeat(np.arange(1500), 2)
    few = few_units(units, 10**9)  # 1000 is the least that is kept
    assert few.max() + 1 == 1000
    assert (few[::2] == few[1::2]).all()
    assert few_units(units, 10) is units


def test_adding_by_unit_is_adding_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_BLOCK", 4)
    random = np.random.default_rng(0)
    units, numbers = random.integers(0, 5, 23), random.integers(0, 9, (23, 3))
    found, wanted = np.ones((6, 3)), np.ones((6, 3))
    add_by_unit(found, units, numbers)
    for unit, line in zip(units, numbers, strict=True):
        wanted[unit] += line
    assert np.array_equal(found, wanted)
