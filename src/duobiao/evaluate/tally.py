"""What every metric is made of, added up by unit, so that the metrics of any set of units follow from sums alone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.evaluate.bootstrap import Ids, Numbers, add_by_unit, f1
from duobiao.evaluate.metrics import marked, ratio
from duobiao.evaluate.ranking import AT, RankedRows
from duobiao.labels import LabelSpace, Mask, Targets

RANKS = ("ranking_loss", "coverage", *(f"precision_at_{k}" for k in AT))
"""Metrics of ranking."""
PARTS = ("micro_f1", "macro_f1", "subset_accuracy", "group_accuracy")
"""Metrics of parts of the rows."""
_BLOCK = 16_384
"""Rows that are counted at once."""


@dataclass(frozen=True)
class Tally:
    """Numbers that add up over units.

    Attributes:
        space: The label space.
        table: ``(units, columns)``; ``part`` tells what stands where.
        ranked: Whether it tells of ranking.
    """

    space: LabelSpace
    table: Numbers
    ranked: bool

    @staticmethod
    def width(space: LabelSpace, ranked: bool) -> int:
        """Columns of the table."""
        return sum(_sizes(space, ranked).values())

    @classmethod
    def of(cls, cells: Targets, decided: Mask, space: LabelSpace, units: Ids, ranked: RankedRows | None = None) -> Tally:
        """Counts rows.

        Args:
            cells: Truth, ``(rows, labels)``: 1, 0, or negative where unknown or unasked.
            decided: Decisions, ``(rows, labels)``.
            space: The label space.
            units: The unit of each row, ``(rows,)``, from 0.
            ranked: What ``rank_rows`` says of these rows; without it the metrics of ranking are missing.
        """
        table = np.zeros((int(units.max(initial=-1)) + 1, cls.width(space, ranked is not None)))
        for start in range(0, len(cells), _BLOCK):
            block = slice(start, start + _BLOCK)
            numbers = _numbers(cells[block], decided[block], space, None if ranked is None else ranked.of(block))
            add_by_unit(table, units[block], numbers)
        return cls(space, table, ranked is not None)

    @cached_property
    def _places(self) -> dict[str, slice]:
        sizes = _sizes(self.space, self.ranked)
        edges = itertools.pairwise(itertools.accumulate(sizes.values(), initial=0))
        return {name: slice(*edge) for name, edge in zip(sizes, edges, strict=True)}

    def part(self, totals: Numbers, name: str) -> Numbers:
        """The columns of one kind, ``(..., size)``."""
        return totals[..., self._places[name]]

    def metrics(self, totals: Numbers, ever: npt.NDArray[np.bool_] | None = None) -> dict[str, Numbers]:
        """All metrics that are ratios or means of sums, by the conventions of ``evaluate.metrics``.

        Args:
            totals: Sums of lines of the table, ``(..., columns)``.
            ever: Labels, ``(labels,)``, that are left out of macro-F1 where nothing in the totals is true or decided: of those
                that the sample holds, a 0 would only tell that a draw did not.

        Returns:
            By name, ``(...)``; NaN where a mean is over nothing.
        """
        hits, marks, known = (self.part(totals, name) for name in ("hits", "marks", "known"))
        if ever is not None:
            known = np.where(ever & (marks == 0), 0.0, known)
        true, averages = self.part(totals, "true"), f1(np.stack([hits, marks, known]))
        found: dict[str, Numbers] = {"micro_f1": averages["micro_f1"], "macro_f1": averages["macro_f1"]}
        found["weighted_f1"] = ratio((ratio(2 * hits, marks) * true).sum(-1), true.sum(-1))
        scored = self.part(totals, "scored")[..., 0]
        for name in ("samples_f1", "subset_accuracy", *(RANKS if self.ranked else ())):
            found[name] = ratio(self.part(totals, name)[..., 0], scored, np.nan)
        found["hamming_loss"] = ratio(self.part(totals, "wrong")[..., 0], self.part(totals, "known").sum(-1), np.nan)
        right, asked = self.part(totals, "group_right").sum(-1), self.part(totals, "group_rows").sum(-1)
        found["group_accuracy"] = ratio(right, asked, np.nan)
        return found

    def label_f1(self, totals: Numbers) -> Numbers:
        """F1 of each label, ``(..., labels)``; NaN where it is neither true nor decided."""
        return ratio(2 * self.part(totals, "hits"), self.part(totals, "marks"), np.nan)

    def groups(self, totals: Numbers) -> Numbers:
        """Accuracy of each group, ``(..., groups)``; NaN where no row knows it."""
        return ratio(self.part(totals, "group_right"), self.part(totals, "group_rows"), np.nan)


def scores_by(cells: Targets, decided: Mask, space: LabelSpace, ids: Ids) -> list[dict[str, Any]]:
    """Scores of parts of the rows.

    Args:
        cells: Truth, ``(rows, labels)``.
        decided: Decisions, ``(rows, labels)``.
        space: The label space.
        ids: The part of each row, ``(rows,)``, from 0.

    Returns:
        For each part ``rows``, and the metrics of ``PARTS``, None where a mean is over nothing; ``macro_f1`` is over labels
        that are true or decided there.
    """
    tally = Tally.of(cells, decided, space, ids)
    metrics = tally.metrics(tally.table, np.ones(len(space), dtype=np.bool_))
    found = [{"rows": rows} for rows in np.bincount(ids).tolist()]
    for name in PARTS:
        for line, value in zip(found, metrics[name].tolist(), strict=True):
            line[name] = None if np.isnan(value) else value
    return found


def _sizes(space: LabelSpace, ranked: bool) -> dict[str, int]:
    labels = dict.fromkeys(("hits", "marks", "true", "known"), len(space))
    rows = dict.fromkeys(("scored", "samples_f1", "subset_accuracy", "wrong", *(RANKS if ranked else ())), 1)
    return labels | rows | dict.fromkeys(("group_right", "group_rows"), len(space.groups))


def _numbers(cells: Targets, decided: Mask, space: LabelSpace, ranked: RankedRows | None) -> Numbers:
    known = cells >= 0
    hits, marks = marked(cells, decided)
    wrong = (marks == 1).sum(axis=1)  # true or said, and not both
    samples = ratio(2 * hits.sum(axis=1), marks.sum(axis=1))
    scored = known.any(axis=1)
    rows = [scored, samples, scored & (wrong == 0), wrong]
    if ranked is not None:
        rows += [ranked.loss, ranked.coverage, *ranked.precision_at.T]
    asked = [known[:, columns].all(axis=1) for columns in space.slices]
    right = [full & (marks[:, columns] != 1).all(axis=1) for full, columns in zip(asked, space.slices, strict=True)]
    parts = [hits, marks, cells == 1, known, *rows, *right, *asked]
    return np.column_stack([np.asarray(part, dtype=np.float64) for part in parts])
