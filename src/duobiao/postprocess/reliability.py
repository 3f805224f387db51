"""How far probabilities are what they say: Brier score, expected calibration error, reliability bins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.labels import Mask

BINS = 15
Values = npt.NDArray[np.floating[Any]]


def brier(proba: Values, truth: Mask) -> float:
    """The mean of ``(p - y)^2`` over cells; 0 where there are none. Both of shape ``(cells,)``."""
    return float(np.mean((proba.astype(np.float64) - truth) ** 2)) if len(proba) else 0.0


def log_loss(proba: Values, truth: Mask) -> float:
    """The mean of ``-log p(y)`` over cells, ``p`` kept 1e-12 away from 0 and 1; 0 where there are none."""
    values = np.clip(proba.astype(np.float64), 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(truth, np.log(values), np.log1p(-values)))) if len(values) else 0.0


def reliability_bins(proba: Values, truth: Mask, bins: int = BINS) -> list[dict[str, float]]:
    """Cells by their probability, in bins of equally many.

    Bin edges are the quantiles of the probabilities; equal probabilities stay together, so bins may be fewer and uneven.

    Args:
        proba: Shape ``(cells,)``.
        truth: Shape ``(cells,)``.
        bins: How many at most.

    Returns:
        For each bin, the lowest first: ``count``, ``mean`` (of the probabilities), ``share`` (of true cells).
    """
    values = proba.astype(np.float64)
    if not len(values):
        return []
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, values, side="left")
    counts = np.bincount(place, minlength=len(edges) + 1)
    sums, hits = (np.bincount(place, weights=of, minlength=len(counts)) for of in (values, truth.astype(np.float64)))
    return [
        {"count": int(count), "mean": float(total / count), "share": float(hit / count)}
        for count, total, hit in zip(counts, sums, hits, strict=True)
        if count
    ]


def ece(proba: Values, truth: Mask, bins: int = BINS) -> float:
    """The expected calibration error: ``sum_b n_b / n |share_b - mean_b|`` over bins of equally many cells.

    Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (2015), with equal mass in
    the place of equal width (Nixon et al., "Measuring Calibration in Deep Learning", arXiv 1904.01685, section 4.2): most cells
    of a multi-label problem lie near 0, where bins of equal width would hold nearly all of them.
    """
    found = reliability_bins(proba, truth, bins)
    return sum(one["count"] * abs(one["share"] - one["mean"]) for one in found) / max(len(proba), 1)


def scores_of(proba: Values, truth: Mask) -> Mapping[str, float]:
    """``log_loss``, ``brier`` and ``ece`` of cells."""
    return {"log_loss": log_loss(proba, truth), "brier": brier(proba, truth), "ece": ece(proba, truth)}
