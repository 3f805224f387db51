"""Linear machines for labels that are true to a degree, solved row by row in the dual."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from duobiao import progress

Floats = npt.NDArray[np.float32]
START = -1.0
"""The intercept that every label starts at: false of every row."""


def solve(
    inputs: csr_matrix,
    shares: Floats,
    weights: Floats,
    *,
    c: float,
    passes: int,
    tolerance: float = 0.0,
    seed: int = 0,
    label: str = "",
) -> tuple[Floats, Floats]:
    """L2-regularised machines with the squared hinge loss, one a label, for soft labels.

    With the weight ``w`` of a cell and the share ``p`` of it that says "true", a label's coefficients ``v`` minimise

        ``|v|^2 / 2 + c * sum over rows of w * (p * max(0, 1 - z)^2 + (1 - p) * max(0, 1 + z)^2)``,  ``z = x v``.

    With ``p`` 0 or 1 that is scikit-learn's ``LinearSVC``; with ``p`` between, a cell's own minimum lies at ``z = 2 p - 1``.
    Solved by stochastic dual coordinate ascent (arXiv 1209.1873; the step is that of arXiv 1211.2717 for smooth losses): each
    cell has a dual variable ``a`` and ``v = c * sum of a x``; with ``f = w * (2 p max(0, 1 - z) - 2 (1 - p) max(0, 1 + z))``,
    minus the loss's slope, a row in turn moves ``a`` by ``(f - a) / (1 + 2 w c |x|^2)``. There is no learning rate, and any
    order goes to the one minimum. All labels move at once, and a cell of weight 0 never moves.

    Args:
        inputs: Features, ``(rows, features)``. A constant feature is added for the intercept, which starts at -1.
        shares: ``p`` of each cell, ``(rows, labels)``.
        weights: ``w`` of each cell, ``(rows, labels)``; 0: the cell says nothing.
        c: Inverse strength of regularisation.
        passes: Passes over the rows, at most.
        tolerance: Stop when a pass moved the dual variables by less, on average over cells that have a weight.
        seed: Seed of the order of rows.
        label: Name of a progress bar.

    Returns:
        Coefficients ``(features, labels)`` and intercepts ``(labels,)``.
    """
    rows, labels = shares.shape
    coefficients = np.zeros((inputs.shape[1], labels), dtype=np.float32)
    intercepts = np.full(labels, START, dtype=np.float32)
    duals = np.zeros((rows, labels), dtype=np.float32)
    true, false = 2 * weights * shares, 2 * weights * (1 - shares)
    squares = np.bincount(np.repeat(np.arange(rows), np.diff(inputs.indptr)), inputs.data.astype(np.float64) ** 2, rows) + 1
    damping = (1 / (1 + 2 * c * weights * squares[:, None])).astype(np.float32)
    counted = max(int((weights > 0).sum()), 1)
    random = np.random.default_rng(seed)
    step = np.float32(c)
    with progress.task(label, passes * rows) as task:
        for _ in range(passes):
            moved = 0.0
            for number, row in enumerate(random.permutation(rows), 1):
                part = slice(inputs.indptr[row], inputs.indptr[row + 1])
                columns, values = inputs.indices[part], inputs.data[part]
                own = coefficients.take(columns, axis=0)
                scores = values @ own + intercepts
                wanted = true[row] * np.maximum(1 - scores, 0) - false[row] * np.maximum(1 + scores, 0)
                change = (wanted - duals[row]) * damping[row]
                duals[row] += change
                moved += float(np.abs(change).sum())
                change *= step
                own += values[:, None] * change
                coefficients[columns] = own
                intercepts += change
                if number % 256 == 0:
                    task.advance(256)
            if moved / counted < tolerance:
                break
    return coefficients, intercepts
