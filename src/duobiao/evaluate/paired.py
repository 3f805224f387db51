"""Two systems on the same rows: what one gains over the other, and whether the rows could show it by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duobiao.evaluate.bootstrap import Gain, Ids, few_units, gain_of, resample
from duobiao.evaluate.evaluation import Judged
from duobiao.evaluate.intervals import DRAWS, LEAST_UNITS
from duobiao.evaluate.swap import ratio_fall
from duobiao.evaluate.tally import Tally
from duobiao.labels import LabelSpace

COMPARED = ("micro_f1", "macro_f1", "weighted_f1", "samples_f1", "subset_accuracy", "group_accuracy")
"""Metrics of which more is better."""


@dataclass(frozen=True)
class Flips:
    """Rows that one system has right in every known cell and the other has not.

    Attributes:
        only_ours: Rows that only the first has right.
        only_theirs: Rows that only the second has right.
        p: How often systems that are equally good would differ at least as much, two-sided.
        test: ``mcnemar`` (exact) where every row is a unit of its own, else ``permutation`` (whole units change sides).
    """

    only_ours: int
    only_theirs: int
    p: float
    test: str


def paired(
    ours: Judged, theirs: Judged, units: Ids, space: LabelSpace, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Gain]:
    """What the first system gains over the second, metric by metric, with 95 % percentile intervals over units.

    Both are scored on the same drawn units, so what makes rows easy or hard cancels out.

    Args:
        ours: The first system's answers.
        theirs: The second's, on the same rows.
        units: The unit of each row, ``(rows,)``; see ``bootstrap.units_of``.
        space: The label space.
        draws: How many.
        seed: Of the draws.

    Returns:
        By metric of ``COMPARED``, without those that are not defined. Empty with fewer than 10 units.

    Raises:
        ValueError: If the two were not judged on the same cells.
    """
    _check_same(ours, theirs)
    few = few_units(units, 2 * Tally.width(space, False))
    sides = [Tally.of(one.cells, one.decided, space, few) for one in (ours, theirs)]
    width = sides[0].table.shape[1]
    both = np.hstack([one.table for one in sides])
    if len(both) < LEAST_UNITS:
        return {}
    whole, drawn = both.sum(axis=0), np.concatenate(list(resample(both, draws, seed)))
    wholes, draws_of = (
        [side.metrics(totals[..., place : place + width]) for side, place in zip(sides, (0, width), strict=True)]
        for totals in (whole, drawn)
    )
    found = {}
    for name in COMPARED:
        gain = float(wholes[0][name] - wholes[1][name])
        if not np.isnan(gain):
            differences = draws_of[0][name] - draws_of[1][name]
            found[name] = gain_of(gain, differences[~np.isnan(differences)])
    return found


def flips(ours: Judged, theirs: Judged, units: Ids) -> Flips:
    """Tests whether two systems have equally many rows right in every known cell.

    With rows as units this is McNemar's test in its exact form: of the n rows that only one has right, each is ours with
    probability 1/2. Rows of one ``group_id`` stand or fall together; there whole units change sides, and p is the share of all
    such changes with sums at least as far from 0. Both are ``swap.ratio_fall``, asked in both directions.

    Args:
        ours: The first system's answers.
        theirs: The second's, on the same rows.
        units: The unit of each row, ``(rows,)``.

    Raises:
        ValueError: If the two were not judged on the same cells.
    """
    _check_same(ours, theirs)
    known = ours.cells >= 0
    right = [((one.decided == (one.cells == 1)) | ~known).all(axis=1) for one in (ours, theirs)]
    first, second = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    sides = [np.stack([np.bincount(units, weights=own), 2 * np.bincount(units)]).astype(np.int64) for own in right]
    p = min(1.0, 2 * min(ratio_fall(*sides).p, ratio_fall(*sides[::-1]).p))
    return Flips(first, second, p, "mcnemar" if len(np.unique(units)) == len(units) else "permutation")


def _check_same(ours: Judged, theirs: Judged) -> None:
    if not np.array_equal(ours.cells, theirs.cells):
        raise ValueError("the two systems were not judged on the same rows and labels")
