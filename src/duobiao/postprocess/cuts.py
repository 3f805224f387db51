"""All ways to cut the rows of a label in two by their probability, and what each predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
EQUAL = 1e-12


@dataclass(frozen=True)
class Cuts:
    """Candidate thresholds of one label; a row is predicted where ``value >= threshold``.

    Attributes:
        thresholds: The middles between neighbouring values, the outermost ones (just under the lowest value, just over the
            highest), and 0.5; shape ``(cuts,)``.
        predicted: Rows that each predicts, ``(cuts,)``.
        hits: True rows among them, ``(cuts,)``.
        positives: True rows.
    """

    thresholds: Doubles
    predicted: Counts
    hits: Counts
    positives: int

    @classmethod
    def of(cls, values: Doubles, truth: npt.NDArray[np.bool_], low: float = 0.0, high: float = 1.0) -> Cuts:
        """The cuts of at least one row.

        Args:
            values: Probabilities, ``(rows,)``.
            truth: Which rows are true, ``(rows,)``.
            low: Candidates below it are moved there.
            high: Candidates above it are moved there.
        """
        distinct = np.unique(values)
        middles = np.concatenate([(distinct[1:] + distinct[:-1]) / 2, [distinct[0] / 2, (distinct[-1] + 1) / 2, 0.5]])
        thresholds = np.clip(middles, low, high)
        below, hits_below = sums_below(values, truth.astype(np.float64), thresholds)
        positives = int(truth.sum())
        return cls(thresholds, len(values) - below, positives - np.rint(hits_below).astype(np.int64), positives)

    def best(self, *scores: npt.NDArray[np.floating]) -> float:
        """The threshold with the highest score; of equals that with the highest next score, then the nearest to 0.5."""
        left = np.arange(len(self.thresholds))
        for score in scores:
            own = score[left]
            left = left[own >= own.max() - EQUAL]
        return float(self.thresholds[left[np.argmin(np.abs(self.thresholds[left] - 0.5))]])

    def at(self, threshold: float) -> int:
        """The place of one of the candidates."""
        return int(np.flatnonzero(self.thresholds == threshold)[0])


def sums_below(values: Doubles, weights: Doubles, thresholds: Doubles) -> tuple[Counts, Doubles]:
    """How many values lie below each threshold, and the sum of their weights."""
    ascending = np.argsort(values, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(weights[ascending])])
    below = np.searchsorted(values[ascending], thresholds, side="left")
    return below, sums[below]
