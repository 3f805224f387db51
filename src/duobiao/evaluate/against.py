"""How far apart systems are, each with each, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from duobiao.evaluate.bootstrap import DRAWS, resample
from duobiao.evaluate.evaluation import Judged
from duobiao.evaluate.tally import Ids, Numbers, few_units

ALPHA = 0.05


def against(judged: Sequence[Judged], units: Ids, *, draws: int = DRAWS, seed: int = 0) -> list[list[dict[str, Any]]]:
    """Differences in micro-F1 between all pairs of systems: a paired bootstrap over units.

    A draw takes as many units as there are, with replacement, the same for all systems, and computes each system's micro-F1 anew.

    Args:
        judged: What each system said of the same rows.
        units: The unit of each row, ``(rows,)``, from 0.
        draws: How many.
        seed: Of the draws.

    Returns:
        ``[one][other]``: ``gain``, the first's micro-F1 minus the second's; ``low`` and ``high``, its 95 % percentile interval; and
        ``told_apart``, whether the interval leaves out 0.
    """
    units = few_units(units, 2 * len(judged))
    table = np.zeros((int(units.max(initial=-1)) + 1, len(judged), 2))
    for place, one in enumerate(judged):
        known = one.cells >= 0
        truth, said = (one.cells == 1) & known, one.decided & known
        marks = truth.sum(axis=1) + said.sum(axis=1)
        for column, sums in enumerate((2 * (truth & said).sum(axis=1), marks)):
            table[:, place, column] = np.bincount(units, weights=sums, minlength=len(table))
    flat = table.reshape(len(table), -1)
    drawn = np.concatenate([_micro_f1(block.reshape(len(block), -1, 2)) for block in resample(flat, draws, seed)])
    whole = _micro_f1(table.sum(axis=0))
    return [
        [_difference(float(whole[one] - whole[other]), drawn[:, one] - drawn[:, other]) for other in range(len(judged))]
        for one in range(len(judged))
    ]


def _micro_f1(sums: Numbers) -> Numbers:
    return np.divide(sums[..., 0], sums[..., 1], out=np.zeros(sums.shape[:-1]), where=sums[..., 1] > 0)


def _difference(gain: float, drawn: Numbers) -> dict[str, Any]:
    low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2]).tolist()
    return {"gain": gain, "low": low, "high": high, "told_apart": not low <= 0 <= high}
