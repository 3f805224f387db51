"""Average precisions of units that are drawn with replacement: a draw is a weight, so that one sort serves all draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from duobiao.evaluate.bootstrap import Ids, Numbers, draw_times, few_units
from duobiao.evaluate.intervals import DRAWS, LEAST_UNITS, Interval, percentiles
from duobiao.evaluate.metrics import ratio
from duobiao.evaluate.ranking import sort_keys
from duobiao.labels import Targets
from duobiao.postprocess.probabilities import Floats

LEAST_DRAWS = 200
WORK = 200_000_000
"""Known cells times draws; of more cells there are fewer draws, but never fewer than ``LEAST_DRAWS``."""
_CHUNK = 100_000
"""Sorted cells that are weighed at once."""
_BLOCK = 64
"""Draws that are weighed at once."""

Weights = npt.NDArray[np.float32]


def precision_intervals(
    cells: Targets, probabilities: Floats, units: Ids, draws: int = DRAWS, seed: int = 0
) -> dict[str, Interval]:
    """95 % intervals of the average precisions: a bootstrap over units.

    A label whose true rows a draw does not hold is left out of that draw's mean. Where many labels have one or two true rows,
    the interval of the mean is a little too narrow, since draws know no other true rows than these.

    Args:
        cells: Truth, ``(rows, labels)``; cells that are not 0 or 1 are left out.
        probabilities: Scores in [0, 1], ``(rows, labels)``.
        units: The unit of each row, ``(rows,)``, from 0.
        draws: How many at most; see ``draws_for``.
        seed: Of the draws.

    Returns:
        ``mean_average_precision`` and ``micro_average_precision``: ``[low, high]``, or None without draws, with fewer than 10
        units, and for what is not defined.

    Raises:
        ValueError: If a known cell has no probability.
    """
    few = few_units(units, 1)
    count = int(few.max(initial=-1)) + 1
    if draws <= 0 or count < LEAST_UNITS:
        return {"mean_average_precision": None, "micro_average_precision": None}
    draws = draws_for(int(np.count_nonzero(cells >= 0)), draws)
    weights = [times.T.astype(np.float32) for times in draw_times(count, draws, seed, _BLOCK)]
    total, labels = np.zeros(draws), np.zeros(draws)
    for column in range(cells.shape[1]):
        own = weighted_precisions(cells[:, column], probabilities[:, column], few, weights)
        labels += ~np.isnan(own)
        total += np.nan_to_num(own)
    return {
        "mean_average_precision": percentiles(ratio(total, labels, np.nan)),
        "micro_average_precision": percentiles(weighted_precisions(cells, probabilities, few, weights)),
    }


def draws_for(known: int, draws: int) -> int:
    """How many draws are made where so many cells are known."""
    return min(draws, max(LEAST_DRAWS, WORK // max(known, 1)))


def weighted_precisions(cells: Targets, probabilities: Floats, units: Ids, weights: list[Weights]) -> Numbers:
    """Average precision under weights of units; equals scikit-learn's with ``sample_weight``.

    Along falling scores, cells are added up to the next tie that holds a true one: precision matters nowhere else.

    Args:
        cells: Truth, ``(rows,)`` or ``(rows, labels)``; cells that are not 0 or 1 are left out.
        probabilities: Scores in [0, 1] of the same shape.
        units: The unit of each row, ``(rows,)``.
        weights: Of the units, in blocks of draws ``(units, block)``.

    Returns:
        One a draw, ``(draws,)``; NaN where no true cell has a weight.

    Raises:
        ValueError: If a known cell has no probability.
    """
    known = cells >= 0
    owners = np.broadcast_to(units.reshape(-1, *[1] * (cells.ndim - 1)), cells.shape)[known].astype(np.uint64)
    ranked = (sort_keys(probabilities[known], cells[known] == 1).astype(np.uint64) << np.uint64(32)) | owners
    ranked.sort()
    sides = [np.zeros((3, block.shape[1])) for block in weights]  # area, weight of true cells, of all cells
    stop = len(ranked)
    while stop:  # from the highest score down, never cutting between equal scores
        start = max(stop - _CHUNK, 0)
        start = int(np.searchsorted(ranked, ranked[start] >> np.uint64(33) << np.uint64(33))) if start else 0
        part = ranked[start:stop][::-1]
        keys, owner = part >> np.uint64(32), (part & np.uint64(0xFFFFFFFF)).astype(np.int32)
        true = (keys & np.uint64(1)).astype(np.bool_)
        ends = np.flatnonzero(np.append((keys[1:] ^ keys[:-1]) > 1, True)) + 1  # of ties, and of the part
        hits = np.diff(np.cumsum(true)[ends - 1], prepend=0)
        stops = np.append(ends[:-1][hits[:-1] > 0], ends[-1])
        everyone = _sums(owner, stops, len(weights[0]))
        right = _sums(owner[true], np.cumsum(true)[stops - 1], len(weights[0]))
        for side, block in zip(sides, weights, strict=True):
            own, positive = everyone @ block, right @ block
            all_so_far = side[2] + np.cumsum(own, axis=0, dtype=np.float64)
            true_so_far = side[1] + np.cumsum(positive, axis=0, dtype=np.float64)
            side[0] += (positive * ratio(true_so_far, all_so_far)).sum(axis=0)
            side[1], side[2] = true_so_far[-1], all_so_far[-1]
        stop = start
    area, positives, _ = np.concatenate(sides, axis=1)
    return ratio(area, positives, np.nan)


def _sums(owner: npt.NDArray[np.int32], stops: Ids, units: int) -> csr_matrix:
    """Which units are added up between one stop and the next, ``(stops, units)``."""
    starts = np.concatenate([[0], stops])
    return csr_matrix((np.ones(len(owner), dtype=np.float32), owner, starts), shape=(len(stops), units))
