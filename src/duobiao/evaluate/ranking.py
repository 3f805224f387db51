"""How well probabilities rank: labels within a row, and rows within a label; over known cells only.

All of it is computed on sorted whole numbers: the bits of a float from 0 to 1 rise with the float, so a score and the truth of
its cell fit into one number, and equal scores stay together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.labels import LabelSpace, Targets
from duobiao.postprocess.probabilities import Floats

AT = (1, 3, 5)
_BLOCK = 32_768
"""Rows that are sorted at once."""
_CHUNK = 4_000_000
"""Sorted cells that are counted at once."""
_LEFT_OUT = np.uint32(0xFFFFFFFF)

Keys = npt.NDArray[np.uint32]
Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RankedRows:
    """What ranking says of each row; all ``(rows,)`` but ``precision_at``, which is ``(rows, len(AT))``.

    Attributes:
        known: Whether any cell of the row is known; other rows count nowhere, and the rest is 0 there.
        loss: The share of pairs of a true and a false label in the wrong order, equal scores included; 0 without pairs.
        coverage: How far down the ranking one must go to have all true labels, in labels; 0 without true labels.
        precision_at: The share of true labels among the first k.
    """

    known: npt.NDArray[np.bool_]
    loss: Numbers
    coverage: Numbers
    precision_at: Numbers

    def of(self, rows: slice | Ids) -> RankedRows:
        """The same of some rows."""
        return RankedRows(self.known[rows], self.loss[rows], self.coverage[rows], self.precision_at[rows])


def rank_rows(cells: Targets, probabilities: Floats) -> RankedRows:
    """Ranks the known labels of each row.

    Only known cells are ranked: with an unknown cell, a row is a row over fewer labels. Where all are known, ``loss`` is that
    of scikit-learn's ``label_ranking_loss`` and ``coverage`` that of ``coverage_error`` (Tsoumakas, Katakis and Vlahavas, 2010,
    Mining multi-label data). A row with fewer than k known labels still divides by k. Where labels with equal scores lie
    across place k, each of them counts with the share that has room, which is the mean over all orders.

    Args:
        cells: Truth, ``(rows, labels)``: 1, 0, or negative where unknown or unasked.
        probabilities: Scores in [0, 1], ``(rows, labels)``; those of cells that are not known are ignored and may be NaN.

    Raises:
        ValueError: If a known cell has no probability.
    """
    rows = len(cells)
    counts: Ids = (cells >= 0).sum(axis=1)
    found = RankedRows(counts > 0, np.zeros(rows), np.zeros(rows), np.zeros((rows, len(AT))))
    for start in range(0, rows, _BLOCK):
        block = slice(start, start + _BLOCK)
        known, truth = cells[block] >= 0, cells[block] == 1
        _checked(probabilities[block][known])
        keys = np.where(known, _keys(probabilities[block], ~truth), _LEFT_OUT)
        scores = np.where(known, keys >> 1, 0)
        keys.sort(axis=1)
        counted = counts[block]
        found.loss[block] = _loss(keys, truth.sum(axis=1), counted)
        lowest = np.where(truth, scores, _LEFT_OUT).min(axis=1, initial=_LEFT_OUT)
        found.coverage[block] = (known & (scores >= lowest[:, None])).sum(axis=1)
        for place, k in enumerate(AT):
            found.precision_at[block, place] = _hits_among(k, keys, scores, truth, known, counted) / k
    return found


def rank_scores(cells: Targets, probabilities: Floats, ranked: RankedRows, space: LabelSpace) -> dict[str, Any]:
    """Metrics of ranking over all rows.

    Args:
        cells: Truth, ``(rows, labels)``.
        probabilities: Scores in [0, 1], ``(rows, labels)``.
        ranked: What ``rank_rows`` says of them.
        space: The label space.

    Returns:
        ``ranking_loss``, ``coverage`` and ``precision_at.{1, 3, 5}``, means over the rows of ``rank_rows`` with a known cell;
        ``mean_average_precision``, the mean of the labels' average precisions over labels with a known positive;
        ``micro_average_precision``, all known cells in one ranking; ``average_precision.{label}``, None without known
        positives. None where there is nothing to average.

    Raises:
        ValueError: If a known cell has no probability.
    """
    own = [average_precision(cells[:, column], probabilities[:, column]) for column in range(len(space))]
    defined = [value for value in own if value is not None]
    rows = ranked.known
    shares = ranked.precision_at[rows].mean(axis=0).tolist() if rows.any() else [None] * len(AT)
    return {
        "ranking_loss": float(ranked.loss[rows].mean()) if rows.any() else None,
        "coverage": float(ranked.coverage[rows].mean()) if rows.any() else None,
        "precision_at": {str(k): share for k, share in zip(AT, shares, strict=True)},
        "mean_average_precision": float(np.mean(defined)) if defined else None,
        "micro_average_precision": average_precision(cells, probabilities),
        "average_precision": dict(zip(space.names, own, strict=True)),
    }


def average_precision(cells: Targets, probabilities: Floats) -> float | None:
    """The area under the steps of precision over recall: AP = sum of (R_n - R_(n-1)) P_n over falling distinct scores.

    Equals scikit-learn's ``average_precision_score`` on the known cells.

    Args:
        cells: Truth of any shape; cells that are not 0 or 1 are left out.
        probabilities: Scores in [0, 1] of the same shape.

    Returns:
        None without known positives.

    Raises:
        ValueError: If a known cell has no probability.
    """
    known = cells >= 0
    keys = sort_keys(probabilities[known], cells[known] == 1)
    positives = int(np.count_nonzero(keys & 1))
    if not positives:
        return None
    keys.sort()
    area, hits, stop = 0.0, 0, len(keys)
    while stop:  # from the highest score down, never cutting between equal scores
        start = max(stop - _CHUNK, 0)
        start = int(np.searchsorted(keys, keys[start] & ~np.uint32(1))) if start else 0
        part: Keys = keys[start:stop][::-1]
        ends = np.flatnonzero(np.append((part[1:] >> 1) != (part[:-1] >> 1), True))
        found = hits + np.cumsum(part & 1, dtype=np.int64)[ends]
        precision = found / (len(keys) - stop + 1 + ends)
        area += float(np.diff(found, prepend=hits) @ precision)
        hits, stop = int(found[-1]), start
    return area / positives


def sort_keys(probabilities: Floats, low: npt.NDArray[np.bool_]) -> Keys:
    """Whole numbers that rise with the scores, the lowest bit being ``low``; of known cells, ``(cells,)``.

    Raises:
        ValueError: If a cell has no probability.
    """
    return _keys(_checked(probabilities), low)


def _checked(probabilities: Floats) -> Floats:
    if np.isnan(probabilities).any():
        raise ValueError("a cell whose truth is known has no probability")
    return probabilities


def _keys(probabilities: Floats, low: npt.NDArray[np.bool_]) -> Keys:
    """Bits of each score, which rise with it, and one bit below."""
    scores = np.ascontiguousarray(np.nan_to_num(np.asarray(probabilities, dtype=np.float32)))
    bits: Keys = (scores + np.float32(0)).view(np.uint32)  # adding 0 makes -0 plain
    return (bits << np.uint32(1)) | low.astype(np.uint32)


def _loss(keys: Keys, true: Ids, known: Ids) -> Numbers:
    """Keys rise along a row and end with those left out; the lowest bit marks false cells, which follow true ones they tie."""
    false = (keys & 1).astype(np.bool_) & (keys != _LEFT_OUT)
    wrong = (np.cumsum((keys & 1) == 0, axis=1, dtype=np.int32) * false).sum(axis=1, dtype=np.int64)
    pairs = true * (known - true)
    found: Numbers = np.divide(wrong, pairs, out=np.zeros(len(keys)), where=pairs > 0)
    return found


def _hits_among(
    k: int,
    keys: Keys,
    scores: Keys,
    truth: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_],
    counted: Ids,
) -> Numbers:
    """True labels among the k known ones with the highest scores, as the mean over orders of equal scores; ``(rows,)``."""
    if not keys.shape[1]:
        return np.zeros(len(keys))
    last = np.maximum(counted - k, 0)
    cut = np.take_along_axis(keys, last[:, None], axis=1) >> 1
    above, level = known & (scores > cut), known & (scores == cut)
    room = np.minimum(k, counted) - above.sum(axis=1)
    share = np.divide(room, level.sum(axis=1), out=np.zeros(len(keys)), where=level.any(axis=1))
    found: Numbers = (above & truth).sum(axis=1) + share * (level & truth).sum(axis=1)
    return found
