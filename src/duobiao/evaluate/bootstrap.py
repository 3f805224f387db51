"""How sure a difference between systems is: a paired bootstrap over rows, exact for micro-F1 and macro-F1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from duobiao.data.rows import Row
from duobiao.evaluate.metrics import marked, ratio
from duobiao.labels import Mask, Targets

Metric = Literal["micro_f1", "macro_f1"]
METRICS: tuple[Metric, ...] = ("micro_f1", "macro_f1")
DRAWS = 4000
MOST_UNITS = 20_000
_NUMBERS = 20_000_000
"""Of a table that is drawn from; fewer units are kept apart where labels are many."""
_CELLS = 4_000_000
"""Numbers held at once."""
_BLOCK = 16_384
"""Rows that are added at once."""

Counts = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gain:
    """A difference with its interval.

    Attributes:
        gain: On the rows as they are.
        low: Lower end of the 95 % interval.
        high: Upper end.
        below: Share of draws below 0.
    """

    gain: float
    low: float
    high: float
    below: float


def counts(cells: Targets, decided: Mask, units: Ids) -> Counts:
    """What F1 is made of: hits, true plus said, and known cells of each unit and label, ``(3, units, labels)``.

    Args:
        cells: Truth, ``(rows, labels)``; cells that are not 0 or 1 are left out.
        decided: Decisions, ``(rows, labels)``.
        units: The unit that each row belongs to, ``(rows,)``, from 0.
    """
    hits, marks = marked(cells, decided)
    found = np.zeros((3, int(units.max(initial=-1)) + 1, cells.shape[1]), dtype=np.float32)
    for place, part in enumerate((hits, marks, cells >= 0)):
        add_by_unit(found[place], units, part)
    return found


def add_by_unit(table: Counts, units: Ids, numbers: npt.NDArray[Any]) -> None:
    """Adds ``numbers``, ``(rows, columns)``, to the lines of ``table``, ``(units, columns)``, that the rows belong to."""
    for start in range(0, len(units), _BLOCK):
        part = numbers[start : start + _BLOCK].astype(table.dtype)
        there, place = np.unique(units[start : start + _BLOCK], return_inverse=True)
        members = csr_matrix((np.ones(len(part), table.dtype), (place, np.arange(len(part)))), shape=(len(there), len(part)))
        table[there] += members @ part


def units_of(rows: Sequence[Row]) -> Ids:
    """Rows of one ``group_id`` (a dialogue, a document) belong together; any other row is a unit of its own."""
    names: dict[tuple[str, str | int], int] = {}
    keys: list[tuple[str, str | int]] = [
        ("group", row.group_id) if row.group_id else ("row", number) for number, row in enumerate(rows)
    ]
    return np.array([names.setdefault(key, len(names)) for key in keys], dtype=np.int64)


def few_units(units: Ids, columns: int, seed: int = 0) -> Ids:
    """Units thrown together at random where there are more than can be drawn in bounded time and memory.

    With n independent units in g random groups, drawing groups has the variance of drawing units, known to a relative error of
    about ``(2 / g) ** 0.5``: 1 % with 20,000 (Wolter, 2007, Introduction to Variance Estimation, chapter 2: random groups).
    ``resample`` does it by itself; whoever makes a large table does it before, which comes to the same.

    Args:
        units: The unit of each row, ``(rows,)``, from 0.
        columns: Of the table that is to be drawn from.
        seed: Of the grouping.
    """
    count = int(units.max(initial=-1)) + 1
    most = max(1000, min(MOST_UNITS, _NUMBERS // columns))
    if count <= most:
        return units
    groups: Ids = np.random.default_rng(seed).permutation(np.arange(count) % most)[units]
    return groups


def f1(totals: Counts) -> dict[Metric, Numbers]:
    """Micro-F1 and macro-F1 from sums of ``counts``, ``(3, ..., labels)``, by the conventions of ``evaluate.metrics``."""
    hits, marks, known = totals.astype(np.float64)
    scored = known > 0
    macro = ratio((ratio(2 * hits, marks) * scored).sum(-1), scored.sum(-1).astype(np.float64))
    return {"micro_f1": ratio(2 * hits.sum(-1), marks.sum(-1)), "macro_f1": macro}


def paired_bootstrap(
    ours: Sequence[Counts], theirs: Sequence[Counts], *, draws: int = DRAWS, seed: int = 0
) -> dict[Metric, Gain]:
    """The mean difference between pairs of systems, with a 95 % percentile interval over units.

    A draw takes as many units as there are, with replacement, the same for all systems, and computes F1 anew from its counts.

    Args:
        ours: Counts of systems, one a training seed.
        theirs: Counts of those that they are compared with, in the same order, on the same units.
        draws: How many.
        seed: Of the draws.
    """
    systems = np.stack([*ours, *theirs])  # (systems, 3, units, labels)
    pairs, kinds, units, labels = systems.shape
    flat = np.ascontiguousarray(np.moveaxis(systems, 2, 0)).reshape(units, -1)
    found = [_difference(np.moveaxis(totals.reshape(-1, pairs, kinds, labels), 2, 0)) for totals in resample(flat, draws, seed)]
    whole = _difference(systems.sum(axis=2).swapaxes(0, 1)[:, None])
    return {metric: gain_of(float(whole[metric][0]), np.concatenate([part[metric] for part in found])) for metric in METRICS}


def resample(table: Counts, draws: int, seed: int = 0) -> Iterator[Counts]:
    """Sums over units that are drawn with replacement, as many as there are, in blocks of draws: ``(block, columns)``.

    Of very many units, groups are drawn: see ``few_units``. Whole numbers in float32 stay exact below 2^24.

    Args:
        table: What each unit adds, ``(units, columns)``.
        draws: How many.
        seed: Of the draws; the same seed and number of units draw the same units.
    """
    few = few_units(np.arange(len(table)), table.shape[1])
    units = int(few.max(initial=-1)) + 1
    if units < len(table):
        merged = np.zeros((units, table.shape[1]), table.dtype)
        add_by_unit(merged, few, table)
        table = merged
    for times in draw_times(units, draws, seed, _CELLS // max(units, table.shape[1])):
        yield times.astype(table.dtype) @ table


def draw_times(units: int, draws: int, seed: int, size: int) -> Iterator[Ids]:
    """How often each unit is drawn, in blocks of at most ``size`` draws: ``(block, units)``.

    The same seed and number of units draw the same units, whatever the blocks.
    """
    random = np.random.default_rng(seed)
    size = max(1, min(draws, size))
    for start in range(0, draws, size):
        count = min(size, draws - start)
        picked = random.integers(0, units, (count, units)) + np.arange(count)[:, None] * units
        yield np.bincount(picked.ravel(), minlength=count * units).reshape(count, units)


def _difference(totals: Counts) -> dict[Metric, Numbers]:
    """Mean difference between the first and the second half of systems, from ``(3, draws, systems, labels)``: ``(draws,)``."""
    values, half = f1(totals), totals.shape[2] // 2
    return {metric: own[:, :half].mean(1) - own[:, half:].mean(1) for metric, own in values.items()}


def gain_of(whole: float, drawn: Numbers) -> Gain:
    """A difference on the rows as they are, with those of the draws, ``(draws,)``."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Gain(whole, float(low), float(high), float(np.mean(drawn < 0)))
