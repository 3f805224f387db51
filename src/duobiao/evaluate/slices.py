"""Where a model is better or worse than elsewhere: scores of slices of the rows, and which of them chance does not explain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from duobiao.evaluate.bootstrap import Ids, Numbers, few_units, resample
from duobiao.evaluate.cuts import Cut
from duobiao.evaluate.intervals import ALPHA, DRAWS, LEAST_UNITS, Interval, dice_bounds, percentiles
from duobiao.evaluate.metrics import marked, ratio
from duobiao.evaluate.tally import scores_by
from duobiao.labels import LabelSpace, Mask, Targets

LEAST_FLAGGED = 30
"""A slice of fewer units is shown, but never flagged."""


def slice_scores(
    cells: Targets,
    decided: Mask,
    space: LabelSpace,
    cuts: Mapping[str, Cut],
    units: Ids,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, list[dict[str, Any]]]:
    """Scores every slice, beside the rows outside it.

    Units are drawn from all rows, so a dialogue whose rows lie in several slices is drawn into all of them. A slice ``differs``
    if it has 30 units, and if the 95 % interval of its micro-F1 minus that of the rest leaves out 0. Where a table asks this of
    m slices, the interval is widened to ``1 - 0.05 / m`` (Bonferroni), so that a table of equal slices mostly flags none. Where
    a slice is right throughout (or wrong), the rest must lie outside its exact bounds.

    Args:
        cells: Truth, ``(rows, labels)``.
        decided: Decisions, ``(rows, labels)``.
        space: The label space.
        cuts: Slices by name of the table.
        units: The unit of each row, ``(rows,)``.
        draws: Of the bootstrap; with 0 there are no intervals and no flags.
        seed: Of the draws.

    Returns:
        For each table a list of ``name``, ``rows``, ``units``, ``micro_f1``, ``macro_f1`` (over labels that are true or decided
        in the slice), ``low`` and ``high`` (95 % interval of ``micro_f1``; None with fewer than 10 units), ``rest`` (micro-F1
        of all other rows; None if there are none), ``differs``.
    """
    hits, marks = (part.sum(axis=1) for part in marked(cells, decided))
    few = few_units(units, 2 * sum(len(cut.names) for cut in cuts.values()))
    tables = {name: _table(hits, marks, cut, few) for name, cut in cuts.items()}
    wide = np.concatenate([table.reshape(len(table), -1) for table in tables.values()], axis=1)
    drawn = np.concatenate(list(resample(wide, draws, seed))) if draws > 0 else None
    found, start = {}, 0
    for name, cut in cuts.items():
        own, stop = tables[name], start + 2 * len(cut.names)
        sums = None if drawn is None else drawn[:, start:stop].reshape(len(drawn), 2, -1)
        lines = _lines(cells, decided, space, cut, units)
        _bound(lines, own, sums)
        found[name], start = lines, stop
    return found


def _table(hits: Ids, marks: Ids, cut: Cut, units: Ids) -> Numbers:
    """Hits, and true plus decided labels, of each unit in each slice: ``(units, 2, slices)``."""
    size, count = len(cut.names), int(units.max(initial=-1)) + 1
    place = units * size + cut.ids
    parts = [np.bincount(place, weights=part, minlength=count * size).reshape(count, size) for part in (hits, marks)]
    return np.stack(parts, axis=1)


def _lines(cells: Targets, decided: Mask, space: LabelSpace, cut: Cut, units: Ids) -> list[dict[str, Any]]:
    size = len(cut.names)
    members = np.bincount(np.unique(units * size + cut.ids) % size, minlength=size)
    return [
        {"name": name, "rows": own["rows"], "units": int(count), "micro_f1": own["micro_f1"], "macro_f1": own["macro_f1"]}
        for name, count, own in zip(cut.names, members, scores_by(cells, decided, space, cut.ids), strict=True)
    ]


def _bound(lines: list[dict[str, Any]], table: Numbers, sums: Numbers | None) -> None:
    """Adds interval, rest and flag to each slice."""
    whole = table.sum(axis=0)
    holding = (table[:, 1] > 0).sum(axis=0)
    rest = _f1(whole.sum(axis=1, keepdims=True) - whole)
    asked = sum(line["units"] >= LEAST_FLAGGED for line in lines)
    if sums is not None:
        drawn, against = _f1(sums), _f1(sums.sum(axis=2, keepdims=True) - sums)
    for place, line in enumerate(lines):
        line |= {"low": None, "high": None, "rest": None if np.isnan(rest[place]) else float(rest[place]), "differs": False}
        if sums is None or line["units"] < LEAST_UNITS:
            continue
        exact = dice_bounds(line["micro_f1"], int(holding[place]))
        line["low"], line["high"] = exact or percentiles(drawn[:, place]) or (None, None)
        if line["units"] >= LEAST_FLAGGED and line["rest"] is not None:
            strict = ALPHA / asked
            sure = dice_bounds(line["micro_f1"], int(holding[place]), strict)
            gap = percentiles(drawn[:, place] - against[:, place], strict)
            line["differs"] = _outside(line["rest"], sure) if sure else _outside(0.0, gap)


def _f1(sums: Numbers) -> Numbers:
    """Micro-F1 from hits and marks, ``(..., 2, slices)``: ``(..., slices)``; NaN where nothing is true or decided."""
    return ratio(2 * sums[..., 0, :], sums[..., 1, :], np.nan)


def _outside(value: float, interval: Interval) -> bool:
    return interval is not None and not interval[0] <= value <= interval[1]
