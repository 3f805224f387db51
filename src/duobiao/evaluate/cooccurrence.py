"""Which labels stand together in the truth, and which in the decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.labels import LabelSpace, Mask, Targets

PAIRS = 20
Together = npt.NDArray[np.int64]


def cooccurrence(cells: Targets, decided: Mask) -> tuple[Together, Together]:
    """Counts of rows in which two labels are both true, and in which both are decided, each ``(labels, labels)``.

    A row counts for a pair only where both of its cells are known, so that the two tables are over the same rows. The diagonal
    holds the counts of single labels.

    Args:
        cells: Truth, ``(rows, labels)``; negative where unknown or unasked.
        decided: Decisions, ``(rows, labels)``.
    """
    known = cells >= 0
    true, said = (((marks & known).astype(np.float64)) for marks in (cells == 1, decided))
    return (true.T @ true).astype(np.int64), (said.T @ said).astype(np.int64)  # whole numbers: exact below 2^53


def differing_pairs(true: Together, said: Together, space: LabelSpace, most: int = PAIRS) -> list[dict[str, Any]]:
    """The pairs whose counts differ most, then the most frequent ones: ``labels`` (two names), ``true``, ``decided``."""
    first, second = np.triu_indices(len(space), 1)
    gaps = np.abs(true - said)[first, second]
    order = np.lexsort((-true[first, second], -gaps))[:most]
    return [
        {
            "labels": [space.names[first[at]], space.names[second[at]]],
            "true": int(true[first[at], second[at]]),
            "decided": int(said[first[at], second[at]]),
        }
        for at in order.tolist()
        if gaps[at]
    ]


def most_together(true: Together, said: Together, most: int) -> list[int]:
    """The labels with the most company, in the order of the label space: true and decided pairs counted together."""
    both = true + said
    company = both.sum(axis=1) - np.diag(both)
    chosen = np.argsort(-company, kind="stable")[:most]
    return sorted(int(at) for at in chosen if company[at])
