"""One more output row, against scikit-learn and against the loss itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from duobiao.train import column as module
from duobiao.train.column import best_cut, fit_column


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    inputs = random.normal(size=(60, 8)).astype(np.float32) * np.arange(1, 9, dtype=np.float32) + 3
    return inputs, inputs @ random.normal(size=8) + random.normal(size=60) > 10


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("most", [0, 3000])
def test_without_offset_and_start_it_is_logistic_regression(
    rows: Any, sparse: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRID", (2.0,))
    monkeypatch.setattr(module, "_MOST_ROWS", most)  # 0: never in the coordinates of the rows
    inputs, truth = rows
    wide = np.hstack([inputs, np.tile(inputs, 12) ** 2 / 50])  # more coordinates than rows
    given = csr_matrix(wide) if sparse else wide
    middle, spread = (0.0, 1.0) if sparse else (wide.mean(0), wide.std(0))
    wanted = LogisticRegression(C=2.0, tol=1e-8, max_iter=20000).fit((wide - middle) / spread, truth)
    found = fit_column(given, truth, np.zeros(60), np.zeros(wide.shape[1], dtype=np.float32))
    scores = wide @ found.weights + found.bias
    assert scores == pytest.approx(wanted.decision_function((wide - middle) / spread), abs=0.02)


def test_with_an_offset_it_minimises_the_cross_entropy_of_the_group(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRID", (1e6,))
    inputs, truth = rows
    truth = truth ^ (np.arange(60) % 7 == 0)  # not to be parted by a line, so that there is a minimum
    old = np.random.default_rng(5).normal(size=(60, 3)) * 2
    found = fit_column(inputs, truth, logsumexp(old, axis=1), np.zeros(8, dtype=np.float32))

    def loss(weights: np.ndarray, bias: float) -> float:
        logits = np.hstack([old, (inputs @ weights + bias)[:, None]])
        answer = np.where(truth, 3, old.argmax(1))  # which old member it is does not matter to the new row
        return float((logsumexp(logits, axis=1) - logits[np.arange(60), answer]).sum())

    least = loss(found.weights, found.bias)
    random = np.random.default_rng(1)
    for _ in range(40):
        assert least <= loss(found.weights + 0.03 * random.normal(size=8), found.bias + 0.1 * random.normal()) + 1e-6


def test_few_rows_leave_it_near_the_start(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, truth = rows
    start = np.linspace(-1, 1, 8).astype(np.float32)
    monkeypatch.setattr(module, "GRID", (1e-6,))
    assert fit_column(inputs, truth, np.zeros(60), start).weights == pytest.approx(start, abs=1e-3)
    monkeypatch.setattr(module, "GRID", (1e3,))
    assert np.abs(fit_column(inputs, truth, np.zeros(60), start).weights - start).max() > 0.1


def test_the_strength_is_chosen_on_rows_that_were_held_out() -> None:
    random = np.random.default_rng(3)
    noise = random.normal(size=(40, 30)).astype(np.float32)
    clear = noise.copy()
    truth = np.arange(40) % 2 == 0
    clear[:, 0] = np.where(truth, 4, -4)
    zero = np.zeros(30, dtype=np.float32)
    assert fit_column(noise, truth, np.zeros(40), zero).c < fit_column(clear, truth, np.zeros(40), zero).c


def test_the_best_cut_weighs_true_and_false_rows_by_the_share_to_come() -> None:
    random = np.random.default_rng(4)
    true, false = random.normal(2, 1, 50), random.normal(-2, 1.5, 180)

    def f1(cut: float, share: float) -> float:
        """As scikit-learn's, over rows that stand for the share."""
        weights = np.r_[np.full(50, share / 50), np.full(180, (1 - share) / 180)]
        truth = np.r_[np.ones(50), np.zeros(180)]
        return float(f1_score(truth, np.r_[true, false] >= cut, sample_weight=weights))

    cuts = []
    for share in (0.01, 0.1, 0.5):
        cuts.append(best_cut(true, false, share))
        found = f1(cuts[-1], share)
        assert all(found >= f1(cut, share) - 1e-9 for cut in np.r_[true, false][::4])
    assert cuts[0] > cuts[1] >= cuts[2]  # the rarer the label, the dearer a wrong positive
    assert -1 < best_cut(np.array([3.0, 4.0]), np.array([-4.0, -3.0]), 0.2) < 1


def test_scores_that_were_held_out_come_from_other_rows(rows: Any) -> None:
    inputs, truth = rows
    noise = np.random.default_rng(8).normal(size=(60, 50)).astype(np.float32)
    found = fit_column(noise, truth, np.zeros(60), np.zeros(50, dtype=np.float32))
    assert ((found.held_out > found.held_out.mean()) == truth).mean() < 0.75  # noise says nothing of rows it was not fitted to
    told = fit_column(inputs, truth, np.zeros(60), np.zeros(8, dtype=np.float32))
    assert ((told.held_out > 0) == truth).mean() > 0.8
