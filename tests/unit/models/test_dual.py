"""The dual solver against the primal minimum, found by a general method."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from duobiao.models.dual import START, solve

ROWS, FEATURES, LABELS = 40, 12, 3


@pytest.fixture(scope="module")
def problem() -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    inputs = random.normal(size=(ROWS, FEATURES)) * (random.random((ROWS, FEATURES)) < 0.4)
    shares = random.random((ROWS, LABELS))
    shares[:10] = (shares[:10] > 0.5).astype(float)
    weights = random.choice([0.0, 0.2, 1.0], (ROWS, LABELS))
    return csr_matrix(inputs.astype(np.float32)), shares.astype(np.float32), weights.astype(np.float32)


def primal(inputs: csr_matrix, shares: np.ndarray, weights: np.ndarray, c: float) -> np.ndarray:
    """Minimises the documented loss of one label directly; the last entry is the intercept."""
    dense = np.hstack([inputs.toarray(), np.ones((inputs.shape[0], 1))]).astype(np.float64)

    def loss(v: np.ndarray) -> float:
        z = dense @ v + START
        hinge = shares * np.maximum(0, 1 - z) ** 2 + (1 - shares) * np.maximum(0, 1 + z) ** 2
        return 0.5 * v @ v + c * (weights * hinge).sum()

    found = minimize(loss, np.zeros(dense.shape[1]), method="BFGS", options={"gtol": 1e-9}).x
    found[-1] += START
    return found


@pytest.mark.parametrize("c", [0.1, 2.0])
def test_it_finds_the_minimum_of_the_soft_loss(problem: tuple[csr_matrix, np.ndarray, np.ndarray], c: float) -> None:
    inputs, shares, weights = problem
    coefficients, intercepts = solve(inputs, shares, weights, c=c, passes=600)
    for label in range(LABELS):
        wanted = primal(inputs, shares[:, label], weights[:, label], c)
        np.testing.assert_allclose(coefficients[:, label], wanted[:-1], atol=2e-3)
        np.testing.assert_allclose(intercepts[label], wanted[-1], atol=2e-3)


def test_hard_labels_give_a_support_vector_machine(problem: tuple[csr_matrix, np.ndarray, np.ndarray]) -> None:
    inputs = problem[0]
    truth = (inputs.toarray()[:, :1] + 0.1 > 0).astype(np.float32)
    coefficients, _ = solve(inputs, truth, np.ones_like(truth), c=0.5, passes=600)
    machine = LinearSVC(C=0.5, loss="squared_hinge", tol=1e-8, max_iter=100_000, intercept_scaling=1).fit(inputs, truth[:, 0])
    # the machine draws its intercept to 0, ours draws it to -1: nearly the same direction, not the same numbers
    ours, theirs = coefficients[:, 0], machine.coef_[0]
    assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.98


def test_cells_without_weight_say_nothing(problem: tuple[csr_matrix, np.ndarray, np.ndarray]) -> None:
    inputs, shares, weights = problem
    other = np.where(weights == 0, 1 - shares, shares).astype(np.float32)
    first, second = (solve(inputs, given, weights, c=1.0, passes=5) for given in (shares, other))
    np.testing.assert_array_equal(first[0], second[0])
    silent = solve(inputs, shares, np.zeros_like(weights), c=1.0, passes=2)
    assert not silent[0].any()
    assert (silent[1] == START).all()


def test_the_same_seed_gives_the_same_weights_and_tolerance_ends_early(
    problem: tuple[csr_matrix, np.ndarray, np.ndarray],
) -> None:
    first, again = (solve(*problem, c=1.0, passes=4, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    lazy = solve(*problem, c=1.0, passes=4, seed=1, tolerance=1e9)
    once = solve(*problem, c=1.0, passes=1, seed=1)
    np.testing.assert_array_equal(lazy[0], once[0])
    assert (first[0] != once[0]).any()


def test_rows_without_features_move_the_intercept_alone() -> None:
    empty = csr_matrix((4, 3), dtype=np.float32)
    coefficients, intercepts = solve(empty, np.ones((4, 1), np.float32), np.ones((4, 1), np.float32), c=5.0, passes=200)
    assert not coefficients.any()
    # minimise (b + 1)^2 / 2 + 5 * 4 * (1 - b)^2
    assert intercepts[0] == pytest.approx((40 - 1) / 41, abs=1e-4)
