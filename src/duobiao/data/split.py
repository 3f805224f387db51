"""Splitting rows so that nothing stands on both sides."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from duobiao import progress
from duobiao.data.frozen import Frozen, Placing, freeze, place, read_frozen, write_frozen
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.split_report import Account, report_of
from duobiao.data.split_time import DATE_COLUMNS, TimeCut, cut_by_time, dates_of
from duobiao.data.stratify import strata_of, stratify
from duobiao.data.units import Together, Units, tied_units
from duobiao.data.write import write_text
from duobiao.data.write_rows import write_rows
from duobiao.errors import DataError
from duobiao.labels import LabelSpace
from duobiao.outputs import check_outputs

SHARES: Mapping[str, float] = {"train": 0.8, "dev": 0.1, "test": 0.1}


@dataclass(frozen=True)
class Split:
    """Rows in their splits.

    Attributes:
        parts: Split name -> its rows, in file order.
        aside: Rows that an earlier split claims for two sides at once; in no split.
        report: What was wanted, what came out, and what that cost.
        frozen: Where each row stands, for ``--freeze``; entries of earlier exports are kept. None unless asked for.
    """

    parts: dict[str, list[Row]]
    aside: list[Row]
    report: dict[str, Any]
    frozen: Frozen | None = None


def split_rows(
    rows: Sequence[Row],
    *,
    shares: Mapping[str, float] = SHARES,
    space: LabelSpace | None = None,
    by: Literal["stratified", "time"] = "stratified",
    date: str | None = None,
    together: Together = "both",
    seed: int = 0,
    frozen: Frozen | None = None,
    freeze_them: bool = False,
) -> Split:
    """Splits rows; those of one dialogue or with the same text stay together.

    Args:
        rows: Labelled or not.
        shares: Split name -> wanted share; where time decides, the earliest split first.
        space: The label space; adds "no label of this group" to what is stratified.
        by: ``stratified`` brings every label, alone and in its context, near its share in each split; ``time`` puts later
            rows into later splits.
        date: The column of the date, for ``time``.
        together: What ties rows.
        seed: Decides ties.
        frozen: An earlier split: its rows stay where they were, and only new ones are distributed. It brings its own shares
            and its own ``together``.
        freeze_them: Whether to note where each row stands.

    Raises:
        DataError: If a split would be empty, dates cannot be read, or ids are not unique where they are needed.
    """
    if frozen is not None:
        if by == "time":
            raise DataError("a frozen split cannot be continued by time", hint="leave --by time or --frozen out")
        shares, together = frozen.shares, frozen.together
    names, parts = list(shares), list(shares.values())
    cut: TimeCut | None = None
    placing: Placing | None = None
    split: list[int | None]
    if frozen is not None:
        placing = place(rows, frozen)
        units, split = _continue(rows, placing, parts, space, seed, together)
    else:
        units = tied_units(rows, together)
        if by == "time":
            date, dates = dates_of(rows, date)
            cut = cut_by_time(units, dates, parts)
            chosen = cut.split
        else:
            chosen = stratify([strata_of(row, space) for row in rows], units, parts, seed)
        split = [chosen[unit] for unit in units.tolist()]
    _refuse_empty(names, split, units)
    account = Account(rows, split, shares, units, together, by, seed, space, date, cut, placing)
    noted = freeze(rows, split, shares, together) if freeze_them else None
    if noted is not None and frozen is not None:
        there = {entry.id for entry in noted.entries}
        gone = [entry for entry in frozen.entries if entry.id is None or entry.id not in there]
        noted = Frozen(shares, together, [*noted.entries, *gone])
    return Split(
        {name: [row for row, at in zip(rows, split, strict=True) if at == number] for number, name in enumerate(names)},
        [row for row, at in zip(rows, split, strict=True) if at is None],
        report_of(account),
        noted,
    )


def _continue(
    rows: Sequence[Row], placing: Placing, shares: list[float], space: LabelSpace | None, seed: int, together: Together
) -> tuple[Units, list[int | None]]:
    """Distributes the rows that an earlier split leaves open; settled rows count as one unit for each split."""
    free = [number for number, at in enumerate(placing.split) if at is None and number not in placing.aside]
    counted = [number for number in range(len(rows)) if number not in placing.aside]
    own = tied_units([rows[number] for number in free], together) + len(shares)
    units = np.zeros(len(rows), dtype=np.int64)
    units[free] = own
    for number, at in enumerate(placing.split):
        if at is not None:
            units[number] = at
    strata = [strata_of(rows[number], space) for number in counted]
    chosen = (
        stratify(strata, units[counted], shares, seed, {number: number for number in range(len(shares))}) if counted else []
    )
    split: list[int | None] = list(placing.split)
    for number in free:
        split[number] = chosen[int(units[number])]
    return tied_units(rows, together), split


def _refuse_empty(names: Sequence[str], split: Sequence[int | None], units: Units) -> None:
    empty = [name for number, name in enumerate(names) if number not in split]
    if not empty:
        return
    blocks = np.bincount(units) if len(units) else np.zeros(0, dtype=np.int64)
    largest = int(blocks.max()) if len(blocks) else 0
    raise DataError(
        f"too few rows to split: nothing is left for {', '.join(empty)}",
        hint=f"the {len(units)} rows hang together in {len(blocks)} blocks, the largest of {largest} rows; "
        "give more rows, larger shares, or --together group",
    )


def parse_shares(shares: str, names: str | None = None) -> dict[str, float]:
    """``0.8,0.1,0.1`` (or ``80,10,10``) and ``train,dev,test`` as a mapping.

    Raises:
        DataError: If they are no shares or do not fit together.
    """
    hint = "write for example --shares 0.8,0.1,0.1"
    try:
        values = [float(part) for part in shares.split(",")]
    except ValueError as error:
        raise DataError(f"--shares {shares!r}: not numbers parted by commas", hint=hint) from error
    total = sum(values)
    if len(values) < 2 or not all(0 < value < float("inf") for value in values):
        raise DataError(f"--shares {shares!r}: two shares or more, all above 0", hint=hint)
    if abs(total - 1) > 1e-6 and abs(total - 100) > 1e-6:
        raise DataError(f"--shares {shares!r}: they add up to {total:g}, not to 1 or 100", hint=hint)
    called = [part.strip() for part in names.split(",")] if names else list(SHARES)[: len(values)]
    if len(called) != len(values) or len(set(called)) != len(called):
        raise DataError(f"{len(values)} shares need as many different names", hint="write --names train,dev,test")
    unfit = [name for name in called if not name or name in ("aside", "split") or Path(name).name != name]
    if unfit:
        raise DataError(f"--names: {', '.join(map(repr, unfit))} cannot be a file's name", hint="write --names train,dev,test")
    return dict(zip(called, (value / total for value in values), strict=True))


def split_file(
    path: Path,
    out: Path,
    *,
    shares: Mapping[str, float] = SHARES,
    labels: Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    by: Literal["stratified", "time"] = "stratified",
    date: str | None = None,
    together: Together = "both",
    seed: int = 0,
    freeze_to: Path | None = None,
    frozen: Path | None = None,
) -> Split:
    """Reads rows, splits them, and writes one JSONL file a split, ``split.json``, and ``aside.jsonl`` where rows are set aside.

    Raises:
        DataError: If the rows cannot be read or split, or a file would replace the input.
    """
    earlier = read_frozen(frozen) if frozen is not None else None
    names = list(earlier.shares if earlier is not None else shares)
    places = [("--out", place) for place in _places(out, names)]
    check_outputs([*places, ("--freeze", freeze_to)], [path, labels])
    check_outputs(places, [frozen])  # --freeze may renew what --frozen names
    space = LabelSpace.from_yaml(labels) if labels is not None else None
    rows = read_rows(path, space=space, columns=columns, separator=separator)
    split = split_rows(
        rows,
        shares=shares,
        space=space,
        by=by,
        date=date,
        together=together,
        seed=seed,
        frozen=earlier,
        freeze_them=freeze_to is not None,
    )
    if by == "stratified":
        dated = [name for name in DATE_COLUMNS if any(name in row.extra for row in rows)]
        if dated:
            progress.say(f"there is a column {dated[0]!r}; --by time would put the later rows into the later splits")
    block = split.report["units"]
    if len(rows) - block["largest"] < len(rows) * (1 - max(split.report["splits"][name]["wanted"] for name in names)) * 0.9:
        progress.say(
            f"{block['largest']} of {len(rows)} rows hang together by dialogue or text and cannot be parted, so the splits are "
            "far from their shares; --together group lets short answers that everybody gives stand on several sides"
        )
    for name, part in split.parts.items():
        write_rows(out / f"{name}.jsonl", part)
    (out / "aside.jsonl").unlink(missing_ok=True)
    if split.aside:
        write_rows(out / "aside.jsonl", split.aside)
    write_text(out / "split.json", json.dumps(split.report, ensure_ascii=False, indent=1) + "\n")
    if freeze_to is not None and split.frozen is not None:
        write_frozen(freeze_to, split.frozen)
    return split


def _places(out: Path, names: Iterable[str]) -> list[Path]:
    """What is written for splits of these names."""
    return [*(out / f"{name}.jsonl" for name in (*names, "aside")), out / "split.json"]


def split_off(rows: Sequence[Row], share: float, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """Splits rows in two at random; rows of one ``group_id`` or with the same text stay together.

    A label's last rows stay in the larger part: what is that rare can be learned or judged, not both.

    Returns:
        The larger part and the split-off part of about ``share`` of the rows.

    Raises:
        DataError: If a part would be empty.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for row in rows:
        if row.group_id is not None:
            parent[root(f"t{row.text}")] = root(f"g{row.group_id}")
    owners = [root(f"t{row.text}") for row in rows]
    random = np.random.default_rng(seed)
    names = sorted(set(owners))
    wanted, taken = round(len(rows) * share), set[str]()
    sizes, held = dict.fromkeys(names, 0), {name: set[str]() for name in names}
    for row, owner in zip(rows, owners, strict=True):
        sizes[owner] += 1
        held[owner] |= set(row.labels or ())
    left = Counter(label for labels in held.values() for label in labels)
    count = 0
    for number in random.permutation(len(names)):
        if count >= wanted:
            break
        owner = names[number]
        if any(left[label] == 1 for label in held[owner]):
            continue
        taken.add(owner)
        count += sizes[owner]
        left -= Counter(held[owner])
    first = [row for row, owner in zip(rows, owners, strict=True) if owner not in taken]
    second = [row for row, owner in zip(rows, owners, strict=True) if owner in taken]
    if not first or not second:
        raise DataError("too few rows to split", hint="give a dev file of your own")
    return first, second
