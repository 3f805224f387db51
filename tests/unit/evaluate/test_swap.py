"""The swap tests against enumeration, McNemar's test and simulated systems."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from duobiao.evaluate import swap as module
from duobiao.evaluate.bootstrap import counts, f1, paired_bootstrap
from duobiao.evaluate.swap import Fall, judge, macro_fall, ratio_fall, ratio_interval, smallest_fall

LEVEL = 0.05


def ratio(sums: np.ndarray) -> float:
    return 2 * sums[0] / sums[1] if sums[1] else 0.0


def every_swap(old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """``p`` and the lowest possible ``p`` by trying all swaps."""
    found = []
    for sides in itertools.product([True, False], repeat=old.shape[1]):
        kept = np.array(sides)
        found.append(ratio(np.where(kept, new, old).sum(1)) - ratio(np.where(kept, old, new).sum(1)))
    values = np.array(found)
    return float((values <= values[0] + 1e-12).mean()), float((values <= values.min() + 1e-12).mean())


@st.composite
def units(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Hits and marks of two systems on a few units of up to three rows."""
    size = draw(st.integers(1, 9))
    true = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    sides = []
    for _ in range(2):
        hits = [draw(st.integers(0, most)) for most in true]
        sides.append(np.array([hits, [t + h + draw(st.integers(0, 2)) for t, h in zip(true, hits, strict=True)]]))
    return sides[0], sides[1]


@given(units())
@settings(max_examples=60, deadline=None)
def test_p_is_that_of_all_swaps(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found = ratio_fall(*pair)
    assert (found.p, found.least) == pytest.approx(every_swap(*pair), abs=1e-9)


def cells_of(random: Any, rows: int, labels: int, share: float = 0.15) -> np.ndarray:
    return (random.random((rows, labels)) < share).astype(np.int8)


def one_label(truth: np.ndarray, said: np.ndarray) -> np.ndarray:
    return np.stack([truth & said, truth.astype(int) + said]).astype(np.int64)


def test_where_only_hits_differ_it_is_mcnemars_exact_test() -> None:
    truth = np.ones(40, dtype=bool)
    old, new = truth.copy(), truth.copy()
    new[:9], old[9:12] = False, False
    wanted = binomtest(3, 12, 0.5, alternative="less").pvalue
    assert ratio_fall(one_label(truth, old), one_label(truth, new)).p == pytest.approx(wanted)


def test_a_lattice_that_is_too_large_is_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    truth = random.random(400) < 0.4
    pair = [one_label(truth, truth ^ (random.random(400) < error)) for error in (0.10, 0.16)]
    exact = ratio_fall(pair[0], pair[1]).p
    monkeypatch.setattr(module, "_LATTICE", 10)
    assert ratio_fall(pair[0], pair[1]).p == pytest.approx(exact, rel=0.03)
    assert 0.001 < exact < 0.3


def test_the_interval_is_that_of_the_paired_bootstrap() -> None:
    random = np.random.default_rng(5)
    cells = cells_of(random, 300, 1, 0.3)
    said = [(cells == 1) ^ (random.random(cells.shape) < error) for error in (0.1, 0.2)]
    rows = np.arange(300)
    wanted = paired_bootstrap([counts(cells, said[1], rows)], [counts(cells, said[0], rows)])["micro_f1"]
    low, high = ratio_interval(*(one_label(cells[:, 0] == 1, one[:, 0]) for one in said))
    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=0.01)


def test_macro_f1_is_swapped_unit_by_unit() -> None:
    random = np.random.default_rng(6)
    cells, units_ = cells_of(random, 24, 3, 0.4), np.arange(24) // 3
    old, new = (counts(cells, (cells == 1) ^ (random.random(cells.shape) < error), units_) for error in (0.1, 0.3))
    found = []
    for sides in itertools.product([True, False], repeat=8):
        kept = np.array(sides)[None, :, None]
        ours, theirs = np.where(kept, new, old).sum(1), np.where(kept, old, new).sum(1)
        found.append(float(f1(ours)["macro_f1"] - f1(theirs)["macro_f1"]))
    wanted = float((np.array(found) <= found[0] + 1e-9).mean())
    assert macro_fall(old, new) == pytest.approx(wanted, abs=0.01)
    assert macro_fall(old, old) == 1.0


def test_holm_leaves_out_what_could_not_be_found() -> None:
    hopeless = [Fall(0.5, 0.25)] * 60
    real = Fall(0.001, 0.0001)
    found = judge([*hopeless, real], LEVEL)
    assert found.fell.tolist() == [False] * 60 + [True]
    assert (found.tested, found.level) == (1, LEVEL)
    crowd = judge([Fall(0.001, 0.0)] + [Fall(0.9, 0.0)] * 60, LEVEL)  # the same p among 61 tests that all could find something
    assert not crowd.fell.any()
    assert crowd.adjusted[0] == pytest.approx(0.061)
    step = judge([Fall(0.02, 0.0), Fall(0.026, 0.0)], LEVEL)  # the second is judged against the whole level
    assert step.fell.all()
    assert not judge([], LEVEL).fell.size


def alarms(fall: float, runs: int, groups: bool = False) -> tuple[int, int]:
    """In how many runs any label fell, and in how many label 0 did; the new system misses more of its rows by ``fall``."""
    random, some, first = np.random.default_rng(11), 0, 0
    for _ in range(runs):
        size = 160
        cells = cells_of(random, size, 12)
        hard = random.random(cells.shape) < 0.15  # rows on which both are unsure, so that their errors go together
        said = [(cells == 1) ^ (hard & (random.random(cells.shape) < 0.5)) for _ in range(2)]
        if groups:  # dialogues whose rows are all answered alike
            cells, said = np.repeat(cells, 3, axis=0), [np.repeat(one, 3, axis=0) for one in said]
        said[1][:, 0] &= ~((cells[:, 0] == 1) & (random.random(len(cells)) < fall))
        units_ = np.arange(len(cells)) // (3 if groups else 1)
        old, new = (counts(cells, one, units_)[:2].astype(np.int64) for one in said)
        found = judge([ratio_fall(old[:, :, at], new[:, :, at]) for at in range(12)], LEVEL).fell
        some, first = some + found.any(), first + found[0]
    return some, first


@pytest.mark.parametrize("groups", [False, True])
def test_systems_that_differ_by_chance_seldom_fail(groups: bool) -> None:
    assert alarms(0.0, 120, groups)[0] <= 12  # 6 are 5 %; more than 12 have a chance below 1 %


def test_a_real_fall_is_found() -> None:
    assert alarms(0.75, 40)[1] >= 34


def test_the_smallest_fall_is_the_smallest_that_can_be_told() -> None:
    truth = np.arange(60) < 6
    level = 0.01
    told = smallest_fall(6, 12, level)
    assert told is not None
    falls = []
    for missed in range(7):
        for wrong in range(20):
            new = truth.copy()
            new[:missed], new[6 : 6 + wrong] = False, True
            if ratio_fall(one_label(truth, truth), one_label(truth, new)).p <= level:
                falls.append(1 - ratio(one_label(truth, new).sum(1)))
    assert min(falls) == pytest.approx(told)
    assert smallest_fall(0, 4, level) is None
