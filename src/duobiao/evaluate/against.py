"""How far apart systems are, each with each, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.evaluate.bootstrap import DRAWS, Ids, Numbers, gain_of, resample
from duobiao.evaluate.evaluation import Judged
from duobiao.evaluate.intervals import LEAST_UNITS
from duobiao.evaluate.metrics import marked, ratio


def against(judged: Sequence[Judged], units: Ids, *, draws: int = DRAWS, seed: int = 0) -> list[list[dict[str, Any]]]:
    """Differences in micro-F1 between all pairs of systems: a paired bootstrap over units.

    What ``paired.paired`` does for one metric, with one set of draws for all systems at once, so that many pairs cost little.
    Of more than 20,000 units the two may throw other ones together, and their intervals differ a little.

    Args:
        judged: What each system said of the same rows.
        units: The unit of each row, ``(rows,)``, from 0.
        draws: How many.
        seed: Of the draws.

    Returns:
        ``[one][other]``: ``gain``, the first's micro-F1 minus the second's; ``low`` and ``high``, its 95 % percentile interval;
        and ``told_apart``, whether the interval leaves out 0. With fewer than 10 units nothing is told apart, and ``low`` and
        ``high`` are None.
    """
    table = np.zeros((int(units.max(initial=-1)) + 1, len(judged), 2))
    for place, one in enumerate(judged):
        for column, part in enumerate(marked(one.cells, one.decided)):
            table[:, place, column] = np.bincount(units, weights=part.sum(axis=1), minlength=len(table))
    whole = _micro_f1(table.sum(axis=0))
    drawn = None
    if len(table) >= LEAST_UNITS:
        blocks = resample(table.reshape(len(table), -1), draws, seed)
        drawn = np.concatenate([_micro_f1(block.reshape(len(block), -1, 2)) for block in blocks])
    return [[_difference(whole, drawn, one, other) for other in range(len(judged))] for one in range(len(judged))]


def _micro_f1(sums: npt.NDArray[np.floating[Any]]) -> Numbers:
    return ratio(2 * sums[..., 0], sums[..., 1])


def _difference(whole: Numbers, drawn: Numbers | None, one: int, other: int) -> dict[str, Any]:
    value = float(whole[one] - whole[other])
    if drawn is None:
        return {"gain": value, "low": None, "high": None, "told_apart": False}
    gain = gain_of(value, drawn[:, one] - drawn[:, other])
    return {"gain": value, "low": gain.low, "high": gain.high, "told_apart": not gain.low <= 0 <= gain.high}
