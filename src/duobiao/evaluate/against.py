"""How far apart systems are, each with each, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from duobiao.evaluate.bootstrap import DRAWS, METRICS, Counts, Ids, Metric, Numbers, counts, f1, few_units, gain_of, resample
from duobiao.evaluate.evaluation import Judged
from duobiao.evaluate.intervals import LEAST_UNITS
from duobiao.evaluate.paired import flips


def against(judged: Sequence[Judged], units: Ids, *, draws: int = DRAWS, seed: int = 0) -> list[list[dict[str, Any]]]:
    """Differences between all pairs of systems: a paired bootstrap over units of micro-F1 and macro-F1, and rows that flip.

    What ``paired.paired`` does for two metrics, with one set of draws for all systems at once, so that many pairs cost little.
    Where there are so many units that some are thrown together (``few_units``), the two may do it otherwise, and their
    intervals differ a little.

    Args:
        judged: What each system said of the same rows.
        units: The unit of each row, ``(rows,)``, from 0.
        draws: How many.
        seed: Of the draws.

    Returns:
        ``[one][other]``: ``gain``, the first's micro-F1 minus the second's; ``low`` and ``high``, its 95 % percentile interval;
        ``told_apart``, whether the interval leaves out 0; ``macro_f1``, these four in macro-F1; and ``flips``, what
        ``paired.flips`` says of the two: ``only_ours, only_theirs, p, test``. With fewer than 10 units no interval tells
        anything apart, and ``low`` and ``high`` are None.

    Raises:
        ValueError: If the systems were not judged on the same cells.
    """
    labels, systems = judged[0].cells.shape[1], len(judged)
    few = few_units(units, 3 * systems * labels)
    table = np.stack([counts(one.cells, one.decided, few) for one in judged])  # (systems, 3, units, labels)
    whole = _f1(table.sum(axis=2, dtype=np.float64)[None])
    drawn: dict[Metric, Numbers] | None = None
    if table.shape[2] >= LEAST_UNITS:
        flat = np.ascontiguousarray(np.moveaxis(table, 2, 0)).reshape(table.shape[2], -1)
        blocks = [_f1(block.reshape(-1, systems, 3, labels)) for block in resample(flat, draws, seed)]
        drawn = {metric: np.concatenate([block[metric] for block in blocks]) for metric in METRICS}
    found: list[list[dict[str, Any]]] = [[{} for _ in judged] for _ in judged]
    for one in range(systems):
        for other in range(systems):
            micro, macro = (_difference(whole[name][0], drawn[name] if drawn else None, one, other) for name in METRICS)
            found[one][other] = {**micro, "macro_f1": macro}
    for one in range(systems):
        for other in range(one, systems):
            flipped = flips(judged[one], judged[other], units)
            found[one][other]["flips"] = asdict(flipped)
            turned = replace(flipped, only_ours=flipped.only_theirs, only_theirs=flipped.only_ours)
            found[other][one]["flips"] = asdict(turned)
    return found


def _f1(totals: Counts) -> dict[Metric, Numbers]:
    """From sums ``(draws, systems, 3, labels)``: ``(draws, systems)``."""
    return f1(np.moveaxis(totals, 2, 0))


def _difference(whole: Numbers, drawn: Numbers | None, one: int, other: int) -> dict[str, Any]:
    value = float(whole[one] - whole[other])
    if drawn is None:
        return {"gain": value, "low": None, "high": None, "told_apart": False}
    gain = gain_of(value, drawn[:, one] - drawn[:, other])
    return {"gain": value, "low": gain.low, "high": gain.high, "told_apart": not gain.low <= 0 <= gain.high}
