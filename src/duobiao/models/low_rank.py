"""Linear models whose labels share dimensions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from duobiao import progress
from duobiao.labels import LabelSpace
from duobiao.postprocess.probabilities import probabilities

Floats = npt.NDArray[np.float32]
DIMENSIONS = 100
PASSES = 6
RATE = 0.01
BATCH = 32
_INPUT, _OUTPUT = 0.03, 0.1
"""How far from 0 a feature's row (its length) and an output weight start."""
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def fit_low_rank(
    inputs: csr_matrix,
    shares: Floats,
    weights: Floats,
    space: LabelSpace,
    *,
    dimensions: int = DIMENSIONS,
    passes: int = PASSES,
    seed: int = 0,
    label: str = "",
) -> tuple[Floats, Floats]:
    """Learns ``z = x A B + b`` for all labels together: features are summed to a few numbers, from which all labels are read.

    That is fastText's form (arXiv 1607.01759, section 2), on weighed features and with the rules of a label space. ``A B`` is
    one matrix, so the result is as fast as any linear model. What a feature says of one label moves the numbers that all
    labels read, so a group learns from the rows of the others; a machine a label can't do that. The loss of a row is a sum
    over its cells of weight ``w`` with the share ``p`` that says "true": binary cross-entropy for an independent label,
    ``- p log softmax(z)`` inside a group (with "none of them", at logit 0, where at most one may be true); a group's weight is
    the mean of its cells'. Minimised by Adam, whose state of a feature moves only when the feature is met, at a rate that
    falls to 0.

    Args:
        inputs: Features, ``(rows, features)``.
        shares: ``p`` of each cell, ``(rows, labels)``.
        weights: ``w`` of each cell, ``(rows, labels)``; 0: the cell says nothing.
        space: The label space.
        dimensions: Columns of ``A``.
        passes: Passes over the rows that say anything.
        seed: Seed of the start and of the order of rows.
        label: Name of a progress bar.

    Returns:
        Coefficients ``A B``, ``(features, labels)``, and intercepts ``(labels,)``.
    """
    random = np.random.default_rng(seed)
    first = (random.standard_normal((inputs.shape[1], dimensions), np.float32) * np.float32(_INPUT)) / np.float32(
        dimensions**0.5
    )
    second = random.standard_normal((dimensions, len(space)), np.float32) * np.float32(_OUTPUT)
    intercepts = np.zeros(len(space), np.float32)
    moved, output, constant = _Adam(first), _Adam(second), _Adam(intercepts)
    heard = np.flatnonzero(weights.any(axis=1))
    weights = _even(weights, space)
    steps = passes * -(-len(heard) // BATCH)
    with progress.task(label, steps) as task:
        step = 0
        for _ in range(passes):
            order = random.permutation(heard)
            for begin in range(0, len(order), BATCH):
                rows = order[begin : begin + BATCH]
                batch = inputs[rows]
                met, places = np.unique(batch.indices, return_inverse=True)
                batch = csr_matrix((batch.data, places.reshape(-1), batch.indptr), shape=(len(rows), len(met)))
                inner = batch @ first[met]
                slope = _slope(inner @ second + intercepts, shares[rows], weights[rows], space) / np.float32(len(rows))
                rate = RATE * (1 - step / steps)
                step += 1
                back = batch.T @ (slope @ second.T)
                output.move(inner.T @ slope, rate, step)
                constant.move(slope.sum(axis=0), rate, step)
                moved.move(back, rate, step, met)
                task.advance()
    return first @ second, intercepts


class _Adam:
    """Adam (arXiv 1412.6980) on an array in place; with ``rows``, on those alone, as if the others had no step."""

    def __init__(self, values: Floats) -> None:
        self.values, self.mean, self.square = values, np.zeros_like(values), np.zeros_like(values)

    def move(self, slope: Floats, rate: float, step: int, rows: npt.NDArray[np.int64] | slice = slice(None)) -> None:
        mean = self.mean[rows] * np.float32(_BETA1) + slope * np.float32(1 - _BETA1)
        square = self.square[rows] * np.float32(_BETA2) + slope * slope * np.float32(1 - _BETA2)
        self.mean[rows], self.square[rows] = mean, square
        size = rate * (1 - _BETA2**step) ** 0.5 / (1 - _BETA1**step)
        self.values[rows] -= np.float32(size) * mean / (np.sqrt(square) + np.float32(_EPSILON))


def _even(weights: Floats, space: LabelSpace) -> Floats:
    """The weights, of a group's cells their mean."""
    weights = weights.copy()
    for columns in space.slices:
        weights[:, columns] = weights[:, columns].mean(axis=1, keepdims=True)
    return weights


def _slope(scores: Floats, shares: Floats, weights: Floats, space: LabelSpace) -> Floats:
    """The loss's derivative by each score, ``(rows, labels)``."""
    found = probabilities(scores, space)
    for group, columns in zip(space.groups, space.slices, strict=True):
        if not group.at_most_one:
            found[:, columns] *= shares[:, columns].sum(axis=1, keepdims=True)
    return weights * (found - shares)
