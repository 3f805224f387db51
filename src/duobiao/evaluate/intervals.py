"""95 % intervals of metrics: a percentile bootstrap over units, with exact bounds where every unit agrees."""

from __future__ import annotations

from typing import Any

import numpy as np

from duobiao.evaluate.bootstrap import Ids, Numbers, resample
from duobiao.evaluate.tally import RANKS, Tally

DRAWS = 2000
LEAST_UNITS = 10
"""Of fewer units no interval is told."""
ALPHA = 0.05
_OF_ROWS = ("samples_f1", "subset_accuracy", "hamming_loss", *(name for name in RANKS if name != "coverage"))
SHARES = {**dict.fromkeys(_OF_ROWS, "scored"), "group_accuracy": "group_rows"}
"""Metrics that are means of something from 0 to 1, and the part of a tally that tells of how many."""
MADE_OF = {"micro_f1": "marks", "macro_f1": "marks", "weighted_f1": "true"}
"""What a draw must hold of a tally for them to be defined."""

Interval = list[float] | None


def intervals(tally: Tally, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Intervals of everything that a tally tells.

    A draw takes as many units as there are, with replacement, and computes each metric anew; draws that hold nothing of what a
    metric is made of are left out. What is right (or wrong) throughout would look certain, since every draw repeats it; there
    exact binomial bounds stand, over the units that have a say: ``dice_bounds`` for F1 of a label and micro-F1,
    ``share_bounds`` for accuracy of groups and for means over rows. Macro-F1 and weighted F1 have none.

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
    true = tally.part(whole, "true").tolist()
    labels = zip(true, tally.label_f1(whole), _holding(tally, "marks"), tally.label_f1(drawn).T, strict=True)
    groups = zip(tally.groups(whole), _holding(tally, "group_rows"), tally.groups(drawn).T, strict=True)
    return {
        "metrics": _of_metrics(tally, whole, drawn),
        "labels": [dice_bounds(value, int(held)) or percentiles(own) if rows else None for rows, value, held, own in labels],
        "groups": [share_bounds(value, int(held)) or percentiles(own) for value, held, own in groups],
    }


def _of_metrics(tally: Tally, whole: Numbers, drawn: Numbers) -> dict[str, Interval]:
    """Intervals of ``tally.metrics``."""
    values, marks = tally.metrics(whole), tally.part(whole, "marks")
    metrics = tally.metrics(drawn, marks > 0)
    empty = {name: (tally.part(drawn, part) == 0).all(axis=-1) for name, part in MADE_OF.items()}
    found: dict[str, Interval] = {}
    for name, own in metrics.items():
        found[name] = None if np.isnan(values[name]) else percentiles(np.where(empty.get(name, False), np.nan, own))
    held = {part: int((tally.part(tally.table, part) > 0).any(axis=1).sum()) for part in ("marks", *SHARES.values())}
    found["micro_f1"] = dice_bounds(float(values["micro_f1"]), held["marks"]) or found["micro_f1"]
    for name, part in SHARES.items():
        if name in found:
            found[name] = share_bounds(float(values[name]), held[part]) or found[name]
    return found


def _holding(tally: Tally, part: str) -> Ids:
    """How many units have something of a part, ``(size of the part,)``."""
    found: Ids = (tally.part(tally.table, part) > 0).sum(axis=0)
    return found


def percentiles(drawn: Numbers, alpha: float = ALPHA) -> Interval:
    """The middle ``1 - alpha`` of draws, ``(draws,)``; draws in which nothing was defined are left out."""
    there = drawn[~np.isnan(drawn)]
    return np.quantile(there, [alpha / 2, 1 - alpha / 2]).tolist() if len(there) else None


def dice_bounds(value: float, units: int, alpha: float = ALPHA) -> Interval:
    """The exact interval of an F1 that is 0 or 1, from n units in which the label is true or decided; None for any other F1.

    F1 is 2 J / (1 + J), where J is the share of hits among rows in which the label is true or decided. With all n right, J is
    at least ``(alpha / 2) ** (1 / n)`` (Clopper and Pearson, 1934); with none right, at most one minus that.
    """
    bounds = share_bounds(value, units, alpha)
    return None if bounds is None else [2 * share / (1 + share) for share in bounds]


def share_bounds(value: float, units: int, alpha: float = ALPHA) -> Interval:
    """The exact interval of a share that is 0 or 1 in all of n units (Clopper and Pearson, 1934); None for any other share.

    It holds for the mean of anything from 0 to 1, too: that is at least the share of units which are wholly right.
    """
    if not units or 0 < value < 1 or np.isnan(value):
        return None
    share = (alpha / 2) ** (1 / units)
    return [share, 1.0] if value else [0.0, 1 - share]
