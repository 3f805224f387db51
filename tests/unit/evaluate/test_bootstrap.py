"""The bootstrap against the project's metrics on rows that are really drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from duobiao.data.rows import Row
from duobiao.evaluate import bootstrap as module
from duobiao.evaluate.bootstrap import METRICS, counts, f1, few_units, paired_bootstrap, units_of
from duobiao.evaluate.metrics import score
from duobiao.labels import LabelSpace

SPACE = LabelSpace(("a", "b", "c", "d"))
ROWS = 30


@pytest.fixture(scope="module")
def systems() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    cells = random.choice([0, 0, 1, -1, -2], (ROWS, 4)).astype(np.int8)
    cells[:, 3] = -1
    cells[4, 3] = 0  # a label that is known of one row only
    return cells, (cells == 1) ^ (random.random(cells.shape) < 0.2), (cells == 1) ^ (random.random(cells.shape) < 0.3)


def test_f1_from_counts_is_that_of_the_metrics(systems: Any) -> None:
    cells, ours, _ = systems
    for picked in (np.arange(ROWS), np.array([4, 4, 9]), np.array([0, 1, 2])):
        found = f1(counts(cells[picked], ours[picked], np.arange(len(picked))).sum(axis=1))
        wanted = score(cells[picked], ours[picked], SPACE)
        for metric in METRICS:
            assert float(found[metric]) == pytest.approx(wanted[metric])


@pytest.mark.parametrize("grouped", [False, True])
def test_each_draw_scores_the_drawn_rows_anew(systems: Any, grouped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    cells, ours, theirs = systems
    units = np.arange(ROWS) // 3 if grouped else np.arange(ROWS)
    monkeypatch.setattr(module, "_CELLS", 400)  # several blocks
    pairs = [[counts(cells, one, units)] for one in (ours, theirs)]
    found = paired_bootstrap(*pairs, draws=50, seed=9)
    random, members = np.random.default_rng(9), units.max() + 1
    size = max(1, min(50, 400 // max(members, 24)))
    slow: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for start in range(0, 50, size):
        for picked in random.integers(0, members, (min(size, 50 - start), members)):
            rows = np.concatenate([np.flatnonzero(units == unit) for unit in picked])
            first, second = (score(cells[rows], one[rows], SPACE) for one in (ours, theirs))
            for metric in METRICS:
                slow[metric].append(first[metric] - second[metric])
    for metric in METRICS:
        low, high = np.quantile(slow[metric], [0.025, 0.975])
        assert (found[metric].low, found[metric].high) == pytest.approx((low, high))
        assert found[metric].below == np.mean(np.array(slow[metric]) < 0)
        whole = [score(cells, one, SPACE)[metric] for one in (ours, theirs)]
        assert found[metric].gain == pytest.approx(whole[0] - whole[1])


def test_seeds_are_averaged(systems: Any) -> None:
    cells, ours, theirs = systems
    units = np.arange(ROWS)
    a, b = (counts(cells, one, units) for one in (ours, theirs))
    assert paired_bootstrap([a, b], [b, a])["micro_f1"].gain == pytest.approx(0)
    half, whole = paired_bootstrap([a, a], [b, a])["macro_f1"].gain, paired_bootstrap([a], [b])["macro_f1"].gain
    assert half == pytest.approx(whole / 2)


def test_a_system_against_itself_has_no_gain_at_all(systems: Any) -> None:
    cells, ours, _ = systems
    own = counts(cells, ours, np.arange(ROWS))
    for gain in paired_bootstrap([own], [own]).values():
        assert (gain.gain, gain.low, gain.high) == (0, 0, 0)


def test_groups_make_the_interval_wider_where_rows_repeat(systems: Any) -> None:
    cells, ours, theirs = (np.repeat(one, 5, axis=0) for one in systems)
    rows, groups = np.arange(len(cells)), np.arange(len(cells)) // 5
    widths = []
    for units in (rows, groups):
        found = paired_bootstrap([counts(cells, ours, units)], [counts(cells, theirs, units)])["micro_f1"]
        widths.append(found.high - found.low)
    assert widths[1] > 1.5 * widths[0]


def test_a_paired_bootstrap_of_very_many_units_draws_groups_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    cells = (random.random((8000, 4)) < 0.3).astype(np.int8)
    ours, theirs = ((cells == 1) ^ (random.random(cells.shape) < error) for error in (0.1, 0.2))
    rows = np.arange(8000)
    plain = paired_bootstrap([counts(cells, ours, rows)], [counts(cells, theirs, rows)], draws=500)
    monkeypatch.setattr(module, "MOST_UNITS", 1000)
    groups = few_units(rows, 24)
    assert groups.max() + 1 == 1000
    found = paired_bootstrap([counts(cells, ours, rows)], [counts(cells, theirs, rows)], draws=500)
    assert found == paired_bootstrap([counts(cells, ours, groups)], [counts(cells, theirs, groups)], draws=500)
    for metric in METRICS:
        assert found[metric].gain == plain[metric].gain
        width, wanted = (one[metric].high - one[metric].low for one in (found, plain))
        assert width == pytest.approx(wanted, rel=0.2)


def test_rows_of_a_group_are_one_unit() -> None:
    rows = [
        Row("0", "x", group_id="d1"),
        Row("1", "x"),
        Row("2", "x", group_id="d1"),
        Row("3", "x", group_id=""),
        Row("4", "x"),
    ]
    assert units_of(rows).tolist() == [0, 1, 0, 2, 3]
