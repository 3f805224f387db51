"""Labels that share dimensions: parity with torch, and what sharing is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC
from torch import nn
from torch.nn import functional

from duobiao.labels import Group, LabelSpace
from duobiao.models.low_rank import BATCH, RATE, fit_low_rank

ROWS, FEATURES = 70, 25
SPACE = LabelSpace(("甲", "乙"), (Group("问", ("是", "否", "不清楚")), Group("缓急", ("急", "不急"), at_most_one=True)))
Problem = tuple[csr_matrix, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Soft shares, true ones, groups that are not asked, rows that say nothing."""
    random = np.random.default_rng(5)
    inputs = random.random((ROWS, FEATURES)) * (random.random((ROWS, FEATURES)) < 0.3)
    shares = random.random((ROWS, len(SPACE)))
    shares[:20] = (shares[:20] > 0.7).astype(float)
    shares[:, 2:5] /= np.maximum(shares[:, 2:5].sum(axis=1, keepdims=True), 1e-9)
    shares[:, 5:] /= np.maximum(shares[:, 5:].sum(axis=1, keepdims=True), 1)
    weights = random.choice([0.0, 0.2, 1.0], (ROWS, len(SPACE)))
    weights[:, 2:5], weights[:, 5:] = weights[:, 2:3], weights[:, 5:6]
    weights[-9:] = 0
    return tuple(
        csr_matrix(inputs.astype(np.float32)) if at == 0 else one.astype(np.float32)
        for at, one in enumerate((inputs, shares, weights))
    )  # type: ignore[return-value]


def loss(scores: torch.Tensor, shares: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    free = functional.binary_cross_entropy_with_logits(scores[:, :2], shares[:, :2], reduction="none") * weights[:, :2]
    one_of = -(shares[:, 2:5] * scores[:, 2:5].log_softmax(dim=1)).sum(dim=1) * weights[:, 2]
    none = torch.zeros(len(scores), 1)
    at_most = torch.cat([scores[:, 5:], none], dim=1).log_softmax(dim=1)
    wanted = torch.cat([shares[:, 5:], 1 - shares[:, 5:].sum(dim=1, keepdim=True)], dim=1)
    return (free.sum() + one_of.sum() - ((wanted * at_most).sum(dim=1) * weights[:, 5]).sum()) / len(scores)


def with_torch(problem: Problem, dimensions: int, passes: int) -> tuple[np.ndarray, np.ndarray]:
    """The same steps by torch: an embedding bag and its sparse Adam."""
    inputs, shares, weights = problem
    random = np.random.default_rng(0)
    bag = nn.EmbeddingBag(FEATURES, dimensions, mode="sum", sparse=True)
    bag.weight.data = torch.from_numpy(random.standard_normal((FEATURES, dimensions), np.float32) * 0.03 / dimensions**0.5)
    output = nn.Linear(dimensions, len(SPACE))
    output.weight.data = torch.from_numpy(random.standard_normal((dimensions, len(SPACE)), np.float32).T * 0.1)
    nn.init.zeros_(output.bias)
    both = [torch.optim.SparseAdam(list(bag.parameters()), lr=RATE), torch.optim.Adam(output.parameters(), lr=RATE)]
    heard = np.flatnonzero(weights.any(axis=1))
    steps = passes * -(-len(heard) // BATCH)
    falling = [torch.optim.lr_scheduler.LambdaLR(one, lambda step: 1 - step / steps) for one in both]
    for _ in range(passes):
        order = random.permutation(heard)
        for begin in range(0, len(order), BATCH):
            rows = order[begin : begin + BATCH]
            batch = inputs[rows]
            columns, starts = (torch.from_numpy(part.astype(np.int64)) for part in (batch.indices, batch.indptr[:-1]))
            scores = output(bag(columns, starts, per_sample_weights=torch.from_numpy(batch.data)))
            for one in both:
                one.zero_grad()
            loss(scores, torch.from_numpy(shares[rows]), torch.from_numpy(weights[rows])).backward()
            for one, fall in zip(both, falling, strict=True):
                one.step()
                fall.step()
    return (bag.weight @ output.weight.T).detach().numpy(), output.bias.detach().numpy()


@pytest.mark.parametrize(("dimensions", "passes"), [(3, 1), (8, 6)])
def test_parity_with_torch(problem: Problem, dimensions: int, passes: int) -> None:
    found = fit_low_rank(*problem, SPACE, dimensions=dimensions, passes=passes)
    for ours, theirs in zip(found, with_torch(problem, dimensions, passes), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_the_matrix_has_the_rank_that_was_asked_for(problem: Problem) -> None:
    coefficients, _ = fit_low_rank(*problem, SPACE, dimensions=3)
    assert np.linalg.matrix_rank(coefficients, tol=1e-4) == 3


def test_cells_without_weight_say_nothing(problem: Problem) -> None:
    inputs, shares, weights = problem
    other = np.where(weights > 0, shares, 1 - shares).astype(np.float32)
    for one, two in zip(fit_low_rank(*problem, SPACE), fit_low_rank(inputs, other, weights, SPACE), strict=True):
        np.testing.assert_array_equal(one, two)


def test_rows_that_say_nothing_change_nothing(problem: Problem) -> None:
    inputs, shares, weights = problem
    heard = np.flatnonzero(weights.any(axis=1))
    assert len(heard) < ROWS
    for one, two in zip(
        fit_low_rank(*problem, SPACE), fit_low_rank(inputs[heard], shares[heard], weights[heard], SPACE), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_no_row_that_says_anything_leaves_the_start(problem: Problem) -> None:
    coefficients, intercepts = fit_low_rank(problem[0], problem[1], np.zeros_like(problem[2]), SPACE)
    assert np.isfinite(coefficients).all()
    assert not intercepts.any()


def test_a_group_learns_from_the_rows_of_the_others() -> None:
    """Forty ways to agree or refuse; each of four questions was answered in half of them only."""
    random = np.random.default_rng(1)
    space = LabelSpace((), tuple(Group(name, (f"{name}/是", f"{name}/否")) for name in "甲乙丙丁"))
    words, nodes, rows = 40, 4, 1200
    met = random.random((nodes, words)) < 0.5

    def draw(count: int, seen: bool) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
        pairs = np.argwhere(met == seen)
        node, word = pairs[random.integers(0, len(pairs), count)].T
        cells = np.full((count, 2 * nodes), -1, np.int8)
        yes = word % 8 < 4
        cells[np.arange(count), 2 * node], cells[np.arange(count), 2 * node + 1] = yes, ~yes
        inputs = np.zeros((count, words + nodes), np.float32)
        inputs[np.arange(count), word] = inputs[np.arange(count), words + node] = 0.7
        return csr_matrix(inputs), cells, node

    inputs, cells, _ = draw(rows, seen=True)
    held, truth, node = draw(rows, seen=False)
    coefficients, intercepts = fit_low_rank(
        inputs, (cells == 1).astype(np.float32), (cells >= 0).astype(np.float32), space, dimensions=20
    )
    scores = held @ coefficients + intercepts

    def accuracy(scores: np.ndarray) -> float:
        yes = scores[np.arange(rows), 2 * node] > scores[np.arange(rows), 2 * node + 1]
        return float((yes == (truth[np.arange(rows), 2 * node] == 1)).mean())

    alone = np.zeros_like(scores)
    for label in range(2 * nodes):
        known = cells[:, label] >= 0
        alone[:, label] = LinearSVC().fit(inputs[known], cells[known, label]).decision_function(held)
    assert accuracy(scores) > 0.95
    assert accuracy(alone) < 0.75
