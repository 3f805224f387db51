"""Two systems on the same rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from duobiao.evaluate.bootstrap import counts, paired_bootstrap
from duobiao.evaluate.evaluation import Judged
from duobiao.evaluate.metrics import score
from duobiao.evaluate.paired import COMPARED, flips, paired
from duobiao.labels import Group, LabelSpace

SPACE = LabelSpace(("a", "b"), (Group("g", ("c", "d")),))
ROWS = 120


def judged(wrong: float, seed: int, rows: int = ROWS) -> Judged:
    truth = np.random.default_rng(0).random((rows, 4)) < 0.5
    truth[:, 3] = ~truth[:, 2]
    cells = truth.astype(np.int8)
    cells[::9, 1] = -1
    flip = np.random.default_rng(seed).random((rows, 4)) < wrong
    flip[:, 3] = flip[:, 2]
    return Judged(cells, np.where(truth ^ flip, 0.8, 0.3).astype(np.float32), truth ^ flip)


def test_gains_are_differences_of_scores_and_agree_with_the_bootstrap_of_f1() -> None:
    ours, theirs, units = judged(0.1, 1), judged(0.3, 2), np.arange(ROWS) // 2
    found = paired(ours, theirs, units, SPACE, draws=500, seed=4)
    assert list(found) == list(COMPARED)
    scores = [score(one.cells, one.decided, SPACE) for one in (ours, theirs)]
    for name, gain in found.items():
        assert gain.gain == pytest.approx(scores[0][name] - scores[1][name])
        assert 0 < gain.low < gain.gain < gain.high
        assert gain.below == 0
    plain = paired_bootstrap(*([counts(one.cells, one.decided, units)] for one in (ours, theirs)), draws=500, seed=4)
    for name, gain in plain.items():
        assert (found[name].low, found[name].high) == pytest.approx((gain.low, gain.high))


def test_what_is_not_defined_is_left_out_and_few_units_prove_nothing() -> None:
    space = LabelSpace(("a", "b", "c", "d"))
    ours, theirs = judged(0.1, 1), judged(0.3, 2)
    assert set(paired(ours, theirs, np.arange(ROWS), space)) == set(COMPARED) - {"group_accuracy"}
    assert paired(ours, theirs, np.arange(ROWS) // 20, space) == {}


def test_mcnemar_is_the_exact_binomial_test_of_rows_that_only_one_has_right() -> None:
    ours, theirs = judged(0.1, 1), judged(0.25, 2)
    right = [((one.decided == (one.cells == 1)) | (one.cells < 0)).all(axis=1) for one in (ours, theirs)]
    first, second = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    found = flips(ours, theirs, np.arange(ROWS))
    assert (found.only_ours, found.only_theirs, found.test) == (first, second, "mcnemar")
    assert found.p == pytest.approx(2 * binom.cdf(min(first, second), first + second, 0.5))
    back = flips(theirs, ours, np.arange(ROWS))
    assert (back.only_ours, back.only_theirs, back.p) == (second, first, pytest.approx(found.p))
    same = flips(ours, ours, np.arange(ROWS))
    assert (same.only_ours, same.only_theirs, same.p) == (0, 0, 1.0)


def test_the_permutation_test_is_the_share_of_all_sign_changes() -> None:
    ours, theirs, units = judged(0.2, 1, 48), judged(0.3, 2, 48), np.arange(48) // 4  # 12 units: 4096 sign changes
    right = [((one.decided == (one.cells == 1)) | (one.cells < 0)).all(axis=1).astype(int) for one in (ours, theirs)]
    sums = np.bincount(units, weights=right[0] - right[1])
    signs = np.array(list(itertools.product([-1, 1], repeat=12)))
    exact = np.mean(np.abs(signs @ sums) >= abs(sums.sum()))
    found = flips(ours, theirs, units)
    assert found.test == "permutation"
    assert 0.005 < exact < 0.9
    assert found.p == pytest.approx(exact, rel=1e-9)


def test_rows_that_repeat_are_less_evidence_as_one_dialogue_than_as_rows() -> None:
    ours, theirs = judged(0.15, 1, 40), judged(0.25, 2, 40)
    many = [one.of(np.repeat(np.arange(40), 6)) for one in (ours, theirs)]
    assert flips(*many, np.arange(240)).p < flips(*many, np.arange(240) // 6).p / 3


def test_other_rows_are_refused() -> None:
    ours = judged(0.1, 1)
    with pytest.raises(ValueError, match="same rows"):
        paired(ours, judged(0.1, 1, 30), np.arange(ROWS), SPACE)
    with pytest.raises(ValueError, match="same rows"):
        flips(ours, ours.of(np.arange(30)), np.arange(ROWS))
