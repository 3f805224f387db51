"""One more label for a finished model: a logistic regression on what its output layer reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse import identity, issparse
from scipy.special import expit

from duobiao.train.grow import Inputs

Doubles = npt.NDArray[np.float64]
GRID = tuple(10.0**power for power in range(-3, 5))
"""Strengths that are tried; ``c`` multiplies the log-loss against the pull towards the start."""
FOLDS = 5
_MOST_ROWS = 3000


@dataclass(frozen=True)
class Column:
    """A fitted output row.

    Attributes:
        weights: Shape ``(width,)``.
        bias: Its bias.
        c: The chosen strength.
        held_out: The logit of each row, from a fit that had not seen it, ``(rows,)``.
    """

    weights: npt.NDArray[np.float32]
    bias: float
    c: float
    held_out: Doubles


def fit_column(
    inputs: Inputs, truth: npt.NDArray[np.bool_], offsets: Doubles, start: npt.NDArray[np.float32], seed: int = 0
) -> Column:
    """The output row ``w`` with bias ``b`` that minimises

        ``c * sum of log(1 + exp(-y z)) + |s (w - w0)|^2 / 2``,  ``z = x w + b - offset``,  ``y`` = 1 or -1.

    ``s`` are the deviations of the inputs, so that all coordinates count alike (1 for sparse inputs, whose rows have length 1).
    ``c`` is that of ``GRID`` with the lowest log-loss on held-out fifths. Nothing else of the model moves.

    In an exclusive group the offset of a row is ``log sum exp`` of the old members' logits: then the loss is the group's
    cross-entropy with the old logits held fixed.

    Args:
        inputs: What the output layer reads of the rows, ``(rows, width)``.
        truth: Whether the label is true, ``(rows,)``; both must occur.
        offsets: Shape ``(rows,)``.
        start: ``w0``, ``(width,)``.
        seed: Of the folds.
    """
    dense = isinstance(inputs, np.ndarray)
    spread = np.maximum(inputs.std(axis=0), 1e-6).astype(np.float64) if dense else np.ones(inputs.shape[1])
    middle = inputs.mean(axis=0).astype(np.float64) if dense else np.zeros(inputs.shape[1])
    scaled, back = _reduced((inputs - middle) / spread if dense else inputs)
    moved = offsets - inputs @ start.astype(np.float64)
    folds = _folds(truth, seed)

    def unseen(c: float) -> Doubles:
        scores = np.zeros(len(truth))
        for fold in np.unique(folds):
            inside, outside = folds != fold, folds == fold
            if len(np.unique(truth[inside])) == 2:
                step, bias = _solve(scaled[inside], truth[inside], moved[inside], c)
                scores[outside] = scaled[outside] @ step + bias - moved[outside]
        return scores

    tried = {c: unseen(c) for c in GRID}
    c = min(GRID, key=lambda one: float(np.logaddexp(0.0, np.where(truth, -tried[one], tried[one])).sum()))
    step, bias = _solve(scaled, truth, moved, c)
    weights = start + (back @ step) / spread
    return Column(weights.astype(np.float32), float(bias - middle @ (weights - start)), c, tried[c])


def best_cut(true: Doubles, false: Doubles, share: float) -> float:
    """The logit to cut at for the best F1 where a ``share`` of the rows is true; of equally good ones the nearest to their middle.

    With the shares ``T`` of true and ``N`` of false rows above the cut, F1 is ``2 s T / (s + s T + (1 - s) N)``.

    Args:
        true: Logits of rows where the label is true.
        false: Logits of rows where it is false.
        share: How many of the rows to come are true, whatever their share here.
    """
    ends = np.unique(np.concatenate([true, false]))
    cuts = np.concatenate([[ends[0] - 1], (ends[1:] + ends[:-1]) / 2, [ends[-1] + 1]])
    found, wrong = (1 - np.searchsorted(np.sort(own), cuts) / len(own) for own in (true, false))
    f1 = 2 * share * found / (share + share * found + (1 - share) * wrong)
    best = cuts[f1 >= f1.max() - 1e-9]
    middle = (best[0] + best[-1]) / 2
    return float(best[np.argmin(np.abs(best - middle))])


def _reduced(inputs: Any) -> tuple[Any, Any]:
    """The same rows in as many coordinates as there are rows, and the matrix that takes weights back to the old ones.

    The best step is a sum of rows, so nothing is lost: with ``X X' = U S U'``, the rows are ``U sqrt(S)`` in the coordinates
    ``X' U / sqrt(S)``. Only where rows are few and coordinates many; else both stay as they are.
    """
    rows, width = inputs.shape
    if rows >= min(width, _MOST_ROWS):
        return inputs, identity(width, format="csr")
    gram = inputs @ inputs.T
    values, vectors = np.linalg.eigh(np.asarray(gram.todense() if issparse(gram) else gram, dtype=np.float64))
    kept = values > 1e-10 * values[-1]
    roots = np.sqrt(values[kept])
    return vectors[:, kept] * roots, inputs.T @ (vectors[:, kept] / roots)


def _solve(inputs: Any, truth: npt.NDArray[np.bool_], offsets: Doubles, c: float) -> tuple[Doubles, float]:
    signs = np.where(truth, 1.0, -1.0)

    def loss(values: Doubles) -> tuple[float, Doubles]:
        margins = signs * (inputs @ values[:-1] + values[-1] - offsets)
        slope = -c * signs * expit(-margins)
        value = c * float(np.logaddexp(0.0, -margins).sum()) + float(values[:-1] @ values[:-1]) / 2
        return value, np.append(inputs.T @ slope + values[:-1], slope.sum())

    begin = np.zeros(inputs.shape[1] + 1)
    begin[-1] = float(np.mean(offsets)) + np.log((truth.sum() + 0.5) / ((~truth).sum() + 0.5))
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x[:-1], float(found.x[-1])


def _folds(truth: npt.NDArray[np.bool_], seed: int) -> npt.NDArray[np.int64]:
    """A fold for each row, true and false rows dealt out evenly."""
    random, folds = np.random.default_rng(seed), np.zeros(len(truth), dtype=np.int64)
    for side in (True, False):
        places = random.permutation(np.flatnonzero(truth == side))
        folds[places] = np.arange(len(places)) % FOLDS
    return folds
