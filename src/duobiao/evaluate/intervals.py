"""95 % intervals of metrics: a percentile bootstrap over units, with exact bounds where no draw can differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.evaluate.bootstrap import resample
from duobiao.evaluate.tally import Numbers, Tally

DRAWS = 2000
LEAST_UNITS = 10
"""Of fewer units no interval is told."""
ALPHA = 0.05

Interval = list[float] | None


def intervals(tally: Tally, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Intervals of everything that a tally tells.

    A draw takes as many units as there are, with replacement, and computes each metric anew. A label that is right (or wrong)
    throughout would look certain, since every draw repeats it; there the exact binomial bound of ``dice_bounds`` stands.

    Args:
        tally: What units add.
        draws: How many; with 0 nothing has an interval.
        seed: Of the draws.

    Returns:
        ``metrics.{name}``, ``labels`` and ``groups`` (lists in the order of the label space): ``[low, high]``, or None with
        fewer than 10 units, for what is not defined, and for labels without known positives.
    """
    units, space = len(tally.table), tally.space
    whole = tally.table.sum(axis=0)
    if draws <= 0 or units < LEAST_UNITS:
        empty = dict.fromkeys(tally.metrics(whole), None)
        return {"metrics": empty, "labels": [None] * len(space), "groups": [None] * len(space.groups)}
    drawn = np.concatenate(list(resample(tally.table, draws, seed)))
    marks = tally.part(whole, "marks")
    metrics = tally.metrics(drawn, marks > 0)
    defined = {name: not np.isnan(value) for name, value in tally.metrics(whole).items()}
    labels = _percentiles(tally.label_f1(drawn))
    own, holding = tally.label_f1(whole), (tally.part(tally.table, "marks") > 0).sum(axis=0)
    for column, true in enumerate(tally.part(whole, "true").tolist()):
        labels[column] = dice_bounds(own[column], int(holding[column])) or labels[column] if true else None
    return {
        "metrics": {name: percentiles(values) if defined[name] else None for name, values in metrics.items()},
        "labels": labels,
        "groups": _percentiles(tally.groups(drawn)),
    }


def percentiles(drawn: Numbers, alpha: float = ALPHA) -> Interval:
    """The middle ``1 - alpha`` of draws, ``(draws,)``; draws in which nothing was defined are left out."""
    there = drawn[~np.isnan(drawn)]
    return np.quantile(there, [alpha / 2, 1 - alpha / 2]).tolist() if len(there) else None


def dice_bounds(value: float, units: int, alpha: float = ALPHA) -> Interval:
    """The exact interval of an F1 that is 0 or 1, from n units in which the label is true or decided; None for any other F1.

    F1 is 2 J / (1 + J), where J is the share of hits among rows in which the label is true or decided. With all n right, J is
    at least ``(alpha / 2) ** (1 / n)`` (Clopper and Pearson, 1934); with none right, at most one minus that.
    """
    if not units or 0 < value < 1 or np.isnan(value):
        return None
    share = (alpha / 2) ** (1 / units)
    low = share if value else 1 - share
    return [2 * low / (1 + low), 1.0] if value else [0.0, 2 * low / (1 + low)]


def _percentiles(drawn: npt.NDArray[np.float64]) -> list[Interval]:
    return [percentiles(column) for column in drawn.T]
