"""Splits that are kept: a file that says which row, text and dialogue stands on which side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from duobiao.data.rows import Row
from duobiao.data.units import Together, text_digest, tied_units
from duobiao.data.write import write_text
from duobiao.errors import DataError


@dataclass(frozen=True)
class Entry:
    """A row that has its place: its id (None where the file gave none), its split, its text's digest, its dialogue."""

    id: str | None
    split: int
    text: str
    group_id: str | None


@dataclass(frozen=True)
class Frozen:
    """The splits of an earlier export.

    Attributes:
        shares: Split name -> wanted share, in order.
        together: What ties rows.
        entries: Every row that has its place.
    """

    shares: Mapping[str, float]
    together: Together
    entries: Sequence[Entry]


@dataclass
class Placing:
    """Where rows go that an earlier split decides.

    Attributes:
        split: The split of each row, or None.
        aside: Rows that belong to two splits at once, with the reason.
        changed: Old rows whose text or dialogue is another one now.
        overlaps: Rows of the earlier split that now share a text or a dialogue across splits.
        missing: How many old rows are not in the file.
        kept: How many are.
    """

    split: list[int | None]
    aside: dict[int, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    missing: int = 0
    kept: int = 0


def has_own_ids(rows: Sequence[Row]) -> bool:
    """Whether the file names its rows; without a column ``id``, rows are called by their number."""
    return not all(row.source.endswith(f"row {row.id}") for row in rows)


def freeze(rows: Sequence[Row], split: Sequence[int | None], shares: Mapping[str, float], together: Together) -> Frozen:
    """Notes where each row stands; rows without a split are left out.

    Raises:
        DataError: If two rows have one id, or rows have neither ids nor, with ``together="group"``, anything to know them by.
    """
    named = has_own_ids(rows)
    if not named and together == "group":
        raise DataError("the rows have no ids to freeze", hint="add a column id, or name yours with --columns id=...")
    if named:
        _refuse_repeated(rows)
    entries = [
        Entry(row.id if named else None, place, text_digest(row.text), row.group_id)
        for row, place in zip(rows, split, strict=True)
        if place is not None
    ]
    return Frozen(shares, together, entries)


def _refuse_repeated(rows: Sequence[Row]) -> None:
    seen: dict[str, str] = {}
    problems = []
    for row in rows:
        if row.id in seen:
            problems.append(f"{row.source or row.id}: id {row.id!r} is also that of {seen[row.id]}")
        seen.setdefault(row.id, row.source or f"row {row.id}")
    if problems:
        raise DataError(f"{len(problems)} ids are not unique", hint="give each row an id of its own", problems=problems)


def place(rows: Sequence[Row], frozen: Frozen) -> Placing:
    """Old rows stay; new rows that share a text or a dialogue with them follow; what belongs to two splits is set aside.

    Raises:
        DataError: If ids are not unique, or missing where the frozen rows have some.
    """
    old = {entry.id: entry for entry in frozen.entries if entry.id is not None}
    if has_own_ids(rows):
        _refuse_repeated(rows)
    elif old:
        raise DataError("the frozen rows have ids, but these have none", hint="name their column with --columns id=...")
    owners = _Owners(frozen.together)
    for entry in frozen.entries:
        owners.add(entry.text, entry.group_id, entry.split)
    found = Placing([None] * len(rows))
    digests = [text_digest(row.text) for row in rows]
    fresh: list[int] = []
    for number, row in enumerate(rows):
        known = old.get(row.id)
        if known is None:
            fresh.append(number)
            continue
        found.kept += 1
        found.split[number] = known.split
        if (known.text, known.group_id) != (digests[number], row.group_id):
            found.changed.append(row.id)
            owners.add(digests[number], row.group_id, known.split)
    names = list(frozen.shares)
    found.overlaps = [
        f"{rows[number].source or rows[number].id}: {why}"
        for number in range(len(rows))
        if found.split[number] is not None and (why := owners.clash(digests[number], rows[number].group_id, names))
    ]
    found.missing = len(old) - found.kept
    _follow(rows, fresh, digests, owners, names, found)
    return found


def _follow(
    rows: Sequence[Row], fresh: list[int], digests: list[str], owners: _Owners, names: list[str], found: Placing
) -> None:
    """New rows, unit by unit: to the one split that owns a text or dialogue of theirs, or aside where several do."""
    units = tied_units([rows[number] for number in fresh], owners.together).tolist()
    wanted: dict[int, dict[int, str]] = {}
    for number, unit in zip(fresh, units, strict=True):
        for split, what in owners.of(digests[number], rows[number].group_id):
            wanted.setdefault(unit, {}).setdefault(split, what)
    for number, unit in zip(fresh, units, strict=True):
        ties = wanted.get(unit, {})
        if len(ties) == 1:
            found.split[number] = next(iter(ties))
        elif ties:
            found.aside[number] = " and ".join(f"{what} of {names[split]}" for split, what in sorted(ties.items()))


class _Owners:
    """Which splits hold a text or a dialogue."""

    def __init__(self, together: Together) -> None:
        self.together = together
        self.texts: dict[str, set[int]] = {}
        self.groups: dict[str, set[int]] = {}

    def add(self, digest: str, group_id: str | None, split: int) -> None:
        self.texts.setdefault(digest, set()).add(split)
        if group_id is not None:
            self.groups.setdefault(group_id, set()).add(split)

    def of(self, digest: str, group_id: str | None) -> Iterator[tuple[int, str]]:
        if self.together != "group":
            yield from ((split, "a text") for split in self.texts.get(digest, ()))
        if self.together != "text" and group_id is not None:
            yield from ((split, f"dialogue {group_id!r}") for split in self.groups.get(group_id, ()))

    def clash(self, digest: str, group_id: str | None, names: list[str]) -> str:
        holders = {split for split, _ in self.of(digest, group_id)}
        return f"its text or dialogue stands in {', '.join(names[at] for at in sorted(holders))}" if len(holders) > 1 else ""


# ---- the file --------------------------------------------------------------------------------------


def write_frozen(path: Path, frozen: Frozen) -> None:
    """One line a row: id, split, digest of the text, dialogue. The texts themselves are not in it."""
    names = list(frozen.shares)
    head = {"format": "duobiao-split", "version": 1, "together": frozen.together, "splits": dict(frozen.shares)}
    lines = [
        json.dumps([entry.id, names[entry.split], entry.text, entry.group_id], ensure_ascii=False) for entry in frozen.entries
    ]
    opening = json.dumps(head, ensure_ascii=False)[:-1]
    write_text(path, [opening, ', "rows": [\n', ",\n".join(lines), "\n]}\n"])


def read_frozen(path: Path) -> Frozen:
    """Reads what ``write_frozen`` wrote.

    Raises:
        DataError: If the file is missing or not of this kind.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", hint="give the file that --freeze wrote") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: broken JSON: {error}", hint="give the file that --freeze wrote") from error
    try:
        return _parse(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: holds no frozen splits", hint="give the file that --freeze wrote") from error


def _parse(data: Any) -> Frozen:
    if data["format"] != "duobiao-split" or data["version"] != 1 or data["together"] not in get_args(Together):
        raise ValueError
    shares = {str(name): float(share) for name, share in data["splits"].items()}
    number = {name: position for position, name in enumerate(shares)}
    entries = []
    for id_, split, text, group_id in data["rows"]:
        if not all(isinstance(item, str) or item is None for item in (id_, group_id)) or not isinstance(text, str):
            raise TypeError
        entries.append(Entry(id_, number[split], text, group_id))
    return Frozen(shares, data["together"], entries)
