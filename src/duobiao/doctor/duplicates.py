"""The same text twice: inside a file, across files, under other labels; and texts that are nearly the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from duobiao.data.rows import Row
from duobiao.data.units import text_key
from duobiao.doctor.dataset import Dataset
from duobiao.doctor.findings import EXAMPLES, Finding, example, row_finding, shown
from duobiao.doctor.near_duplicates import Pairs, near_duplicates, normalise
from duobiao.labels import LabelSpace

RECURRING = 8
"""A text shorter than this (letters and digits) recurs by nature, as 好的 and 我不需要 do; longer ones were copied."""

HELD_OUT = ("dev", "test")
_MUCH = 0.01


@dataclass(frozen=True)
class Twins:
    """Rows with the same text (``text_key``, as in splitting) in the same context.

    Attributes:
        data: The rows.
    """

    data: Dataset

    @cached_property
    def keys(self) -> list[str]:
        """What tells each row's text from others."""
        return [text_key(row.text) for row in self.data.rows]

    @cached_property
    def _places(self) -> dict[tuple[str, str | None], list[int]]:
        """(key, context) to positions, in order; empty texts are left out."""
        found: dict[tuple[str, str | None], list[int]] = defaultdict(list)
        for at, (key, row) in enumerate(zip(self.keys, self.data.rows, strict=True)):
            if key:
                found[key, row.context].append(at)
        return found

    def alike(self, at: int) -> list[int]:
        """Positions of all rows with the text and context of this one, itself included."""
        return self._places[self.keys[at], self.data.rows[at].context]

    @cached_property
    def repeated(self) -> list[list[int]]:
        """Positions of each text that stands there more than once."""
        return [places for places in self._places.values() if len(places) > 1]

    @cached_property
    def conflicts(self) -> list[list[int]]:
        """Those of which two rows contradict each other."""
        rows, space = self.data.rows, self.data.space
        return [places for places in self.repeated if contradict([rows[at] for at in places], space)]

    @cached_property
    def near(self) -> tuple[Pairs, list[list[int]]]:
        """Pairs of like texts, and the positions that stand behind each number in them.

        A number stands for all rows of which context, letters and digits are the same.
        """
        found: dict[tuple[str | None, str], list[int]] = defaultdict(list)
        for at, (text, row) in enumerate(zip(self.data.texts, self.data.rows, strict=True)):
            if text and (key := normalise(text)):
                found[row.context, key].append(at)
        keys = list(found)
        return near_duplicates([key for _, key in keys], [context for context, _ in keys]), list(found.values())

    @cached_property
    def copies(self) -> dict[int, int]:
        """Rows of dev and test whose text stands in an earlier file, and the first row that has it."""
        owners = self.data.owners
        return {
            at: places[0]
            for places in self.repeated
            for at in places
            if owners[at] in HELD_OUT and owners[at] != owners[places[0]]
        }

    def recurs(self, at: int) -> bool:
        """Whether a text is so short that meeting it again means nothing."""
        return sum(map(str.isalnum, self.data.texts[at])) < RECURRING


def contradict(rows: Sequence[Row], space: LabelSpace | None) -> bool:
    """Whether a label is true of one of these rows and false of another; what is unknown contradicts nothing."""
    labelled = [row for row in rows if row.labels is not None]
    if len({(frozenset(row.labels or ()), frozenset(row.unknown)) for row in labelled}) < 2:
        return False
    fitting = [row for row in labelled if space is not None and not space.problems(row.labels or (), row.unknown, row.context)]
    if space is not None and len(fitting) == len(labelled):
        cells = np.stack([space.encode(row.labels or (), row.unknown, row.context) for row in labelled])
        return bool(((cells == 1).any(axis=0) & (cells == 0).any(axis=0)).any())
    truths = [(set(row.labels or ()), set(row.unknown)) for row in labelled]
    return any(one - other - unknown for one, _ in truths for other, unknown in truths)


def check_duplicates(data: Dataset, twins: Twins) -> list[Finding]:
    """Exact duplicates inside files, texts on both sides of a split, conflicting labels."""
    first: dict[int, int] = {}
    for places in twins.repeated:
        seen: dict[str, int] = {}
        for at in places:
            home = seen.setdefault(data.owners[at], at)
            if home != at:
                first[at] = home
    clashing = [at for places in twins.conflicts for at in places]
    chosen = [at for places in twins.conflicts[:EXAMPLES] for at in _two_answers(data, places)]
    held_out = sum(owner in HELD_OUT for owner in data.owners)
    copied = sorted(at for at in first if not twins.recurs(at))
    short = sorted(at for at in twins.copies if twins.recurs(at))
    long = sorted(at for at in twins.copies if not twins.recurs(at))

    def home_of(at: int) -> str:
        return f"= {data.places[twins.copies[at]]}"

    return [
        *row_finding(
            data, "conflicts", "warning", clashing, lambda at: answer(data, at), chosen=chosen, texts=len(twins.conflicts)
        ),
        *row_finding(
            data,
            "duplicates",
            "warning" if len(copied) >= _MUCH * len(data.rows) else "note",
            copied,
            lambda at: f"= {data.places[first[at]]}",
        ),
        *row_finding(data, "repeated", "note", sorted(set(first) - set(copied)), lambda at: f"= {data.places[first[at]]}"),
        *row_finding(data, "leaks", "error", long, home_of, held_out),
        *row_finding(data, "recurring", "note", short, home_of, held_out, limit=RECURRING),
    ]


def answer(data: Dataset, at: int) -> str:
    """A row's labels as a message shows them."""
    return ", ".join(data.rows[at].labels or ()) or "∅"


def _two_answers(data: Dataset, places: Sequence[int]) -> list[int]:
    """One row for each of the first two answers."""
    found: dict[str, int] = {}
    for at in places:
        found.setdefault(answer(data, at), at)
    return list(found.values())[:2]


def check_near_duplicates(data: Dataset, twins: Twins) -> list[Finding]:
    """Texts that are nearly the same: inside a split, across splits, and with other labels.

    Exact copies are told of elsewhere, so of each text a split's first row stands for all.
    """
    inside: dict[int, tuple[float, int]] = {}
    across: dict[int, tuple[float, int]] = {}
    unlike: list[tuple[float, int, int]] = []
    for one, other, similarity in row_pairs(data, twins):
        home, copy = min(one, other), max(one, other)
        if data.owners[home] == data.owners[copy]:
            inside[copy] = max(inside.get(copy, (0.0, 0)), (similarity, home))
        elif data.owners[copy] in HELD_OUT and copy not in twins.copies:
            across[copy] = max(across.get(copy, (0.0, 0)), (similarity, home))
        if contradict([data.rows[home], data.rows[copy]], data.space):
            unlike.append((similarity, home, copy))

    def alike(similarity: float, home: int) -> str:
        return f"{similarity:.2f} {data.places[home]}: {shown(data.rows[home].text)}"

    held_out = sum(owner in HELD_OUT for owner in data.owners)
    examples = [
        example(data, at, f"{similarity:.2f} {answer(data, at)}")
        for similarity, one, other in sorted(unlike, reverse=True)[:EXAMPLES]
        for at in (one, other)
    ]
    return [
        *row_finding(data, "near_leaks", "warning", sorted(across), lambda at: alike(*across[at]), held_out),
        *row_finding(data, "near_duplicates", "note", sorted(inside), lambda at: alike(*inside[at])),
        *([Finding("near_conflicts", "note", len(unlike), len(data.rows), "pairs", examples=examples)] if unlike else []),
    ]


def row_pairs(data: Dataset, twins: Twins) -> Iterator[tuple[int, int, float]]:
    """Pairs of rows behind the pairs of texts: the first row that each split has of either text, short texts left out."""
    pairs, groups = twins.near

    def firsts(number: int) -> list[int]:
        found: dict[tuple[str, str], int] = {}
        for at in groups[number]:
            if not twins.recurs(at):
                found.setdefault((data.owners[at], twins.keys[at]), at)
        return list(found.values())

    for number, places in enumerate(groups):
        if len(places) > 1:
            rows = firsts(number)
            yield from ((rows[0], other, 1.0) for other in rows[1:] if twins.keys[other] != twins.keys[rows[0]])
    for one, other, similarity in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.similarity.tolist(), strict=True):
        yield from ((a, b, similarity) for a in firsts(one) for b in firsts(other))
