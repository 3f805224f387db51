"""Calls from files: one call a cell, one turn a row, or a list of turns a record; filters; everything left out is counted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duobiao.data.dialogue import Turn, dialogue_parser
from duobiao.data.files import Record, records_of
from duobiao.data.flow import Flow
from duobiao.data.read import cell_text
from duobiao.errors import DataError

FIELDS = {
    "call": ("call", "transcript", "对话内容", "通话内容", "对话文本"),
    "turns": ("turns", "messages", "utterances"),
    "id": ("id", "call_id", "dialogue_id", "通话ID", "对话ID", "会话ID"),
    "dialogue": ("dialogue", "dialogue_id", "call_id", "session_id", "通话ID", "对话ID", "会话ID"),
    "speaker": ("speaker", "role", "角色", "说话人"),
    "text": ("text", "content", "文本", "内容"),
    "time": ("time", "timestamp", "时间", "序号"),
}
"""Names under which a field is found where ``--columns`` says nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """One dialogue.

    Attributes:
        id: Its id; a call whose id has been seen with other turns keeps it here.
        key: Its id, made unique.
        turns: In order.
        kept: Columns of the file to hand on to its rows.
    """

    id: str
    key: str
    turns: tuple[Turn, ...]
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Tally:
    """What was read, and what was left out and why.

    Attributes:
        calls: Calls in the files; of one turn a row, dialogues.
        turns: Turns in the files.
        filtered: Calls that a filter left out, by the value that did it.
        filtered_turns: Turns left out with them; of one turn a row, all rows that the filters left out.
        silent: Calls without any turn.
        repeated: Calls left out because the same id with the same turns came before.
        repeated_turns: Turns left out with them.
        same_id: Calls whose id came before with other turns; they are kept.
    """

    calls: int = 0
    turns: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    filtered_turns: int = 0
    silent: int = 0
    repeated: int = 0
    repeated_turns: int = 0
    same_id: int = 0


def read_calls(
    paths: Sequence[str | Path],
    flow: Flow,
    tally: Tally,
    *,
    columns: Mapping[str, str] | None = None,
    where: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> Iterator[Call]:
    """Yields the calls of files that pass the filters and hold turns.

    Args:
        paths: Files; their endings name the formats.
        flow: Its marks tell who speaks.
        tally: Counts are added here.
        columns: Own column names by field: ``call``, ``id``; ``dialogue``, ``speaker``, ``text``, ``time``; ``turns``.
        where: ``column=value`` or ``column!=value``. Several values of one column with ``=`` are alternatives; all else must
            hold together.
        keep: Columns to hand on with each call.

    Raises:
        DataError: With all problems of all files, after the last call.
        MissingExtraError: If a format needs a package that is not installed.
    """
    reader = _Reader(flow, tally, dict(columns or {}), parse_where(where), tuple(keep))
    for path in paths:
        yield from reader.calls(path)
    if reader.problems:
        raise DataError(
            f"{', '.join(map(str, paths))}: {len(reader.problems)} problems",
            hint="correct the file; nothing was written",
            problems=reader.problems,
        )


def parse_where(where: Sequence[str]) -> dict[str, tuple[set[str], set[str]]]:
    """Filters as wanted and unwanted values by column.

    Raises:
        DataError: Naming every filter that is none.
    """
    found: dict[str, tuple[set[str], set[str]]] = {}
    problems = []
    for text in where:
        column, sign, value = (part.strip() for part in text.partition("="))
        unwanted = column.endswith("!")
        column = column.removesuffix("!").strip()
        if not sign or not column:
            problems.append(f"--where {text!r}: no filter")
        else:
            found.setdefault(column, (set(), set()))[unwanted].add(value)
    if problems:
        raise DataError("filters that cannot be read", hint="write 列=值 or 列!=值", problems=problems)
    return found


class _Reader:
    """Reads one file after another; problems are collected over all."""

    def __init__(
        self,
        flow: Flow,
        tally: Tally,
        columns: dict[str, str],
        where: dict[str, tuple[set[str], set[str]]],
        keep: tuple[str, ...],
    ) -> None:
        self.flow, self.tally, self.columns, self.where, self.keep = flow, tally, columns, where, keep
        self.problems: list[str] = []
        self.parse = dialogue_parser((*flow.robot, *flow.customer), flow.speaker)
        self.seen: dict[str, list[int]] = {}
        self.keys = set[str]()
        foreign = [name for name in columns if name not in FIELDS]
        if foreign:
            raise DataError(f"--columns: no such field: {', '.join(foreign)}", hint=f"fields are {', '.join(FIELDS)}")

    def calls(self, path: str | Path) -> Iterator[Call]:
        """The calls of one file."""
        name = "<stdin>" if str(path) == "-" else str(path)
        records = records_of(path, name, self.problems)
        first = next(records, None)
        if first is None:
            return
        # A JSON record may lack a key that others have, so the layout is told from the first hundred.
        ahead = [first, *(record for _, record in zip(range(99), records, strict=False))]
        header = dict.fromkeys(str(key) for _, record in ahead for key in record)
        layout = self._layout(header, ahead)
        if not self._complete(name, header, layout):
            return

        def everything() -> Iterator[Record]:
            yield from ahead
            yield from records

        stem = "stdin" if str(path) == "-" else Path(path).stem
        column = {field: self._column(field, header) for field in FIELDS}
        if layout == "dialogue":
            yield from self._by_turn(everything(), column, name)
        else:
            yield from self._by_call(everything(), column, layout, name, stem)

    # ---- columns --------------------------------------------------------------------------------

    def _column(self, field: str, header: Mapping[str, None]) -> str:
        """The column of a field; its own name where there is none."""
        given = self.columns.get(field)
        return given if given is not None else next((name for name in FIELDS[field] if name in header), field)

    def _layout(self, header: Mapping[str, None], ahead: Sequence[Record]) -> str:
        for name in ("call", "turns", "dialogue"):
            if name in self.columns:
                return name
        turns = self._column("turns", header)
        if any(isinstance(record.get(turns), list) for _, record in ahead):
            return "turns"
        if self._column("call", header) in header:
            return "call"
        return "dialogue" if self._column("speaker", header) in header else "call"

    def _complete(self, name: str, header: Mapping[str, None], layout: str) -> bool:
        needed = {"call": ("call",), "turns": ("turns",), "dialogue": ("dialogue", "speaker", "text")}[layout]
        inner = ("speaker", "text", "time") if layout == "turns" else ()  # names inside the list of turns
        off = ("time",) if self.columns.get("time") == "" else ()
        needed = (*needed, *(name for name in self.columns if name not in (*needed, *inner, *off)))
        there = ", ".join(header)
        missing = [(field, self._column(field, header)) for field in needed if self._column(field, header) not in header]
        self.problems += [
            f"{name}: there is no column {column!r} for {field} (there are: {there}); name it with --columns {field}=..."
            + ", or for one turn a row dialogue=...,speaker=...,text=..." * (field == "call" and field not in self.columns)
            for field, column in missing
        ]
        absent = [("--where", column) for column in self.where if column not in header]
        absent += [("--keep", column) for column in self.keep if column not in header]
        self.problems += [f"{name}: {option}: there is no column {column!r} (there are: {there})" for option, column in absent]
        return not missing and not absent

    # ---- filters, repetition ------------------------------------------------------------------------

    def _unwanted(self, record: Mapping[str, Any]) -> str | None:
        """The column and value for which a record is left out; None if it stays."""
        for column, (wanted, unwanted) in self.where.items():
            value = cell_text(record.get(column)).strip()
            if value in unwanted or (wanted and value not in wanted):
                return f"{column}={value}"
        return None

    def _call(self, name: str | None, otherwise: str, turns: tuple[Turn, ...], record: Mapping[str, Any]) -> Call | None:
        """A call with turns, unless it came before."""
        if not turns:
            self.tally.silent += 1
            return None
        if name is not None:
            content = hash(tuple((turn.mark, turn.text) for turn in turns))
            before = self.seen.setdefault(name, [])
            if content in before:
                self.tally.repeated += 1
                self.tally.repeated_turns += len(turns)
                return None
            before.append(content)
            self.tally.same_id += len(before) > 1
        key, number = name or otherwise, 1
        while key in self.keys:
            number += 1
            key = f"{name or otherwise}#{number}"
        self.keys.add(key)
        return Call(name or key, key, turns, {column: record.get(column) for column in self.keep})

    # ---- one record a call ----------------------------------------------------------------------

    def _by_call(
        self, records: Iterator[Record], column: Mapping[str, str], layout: str, name: str, stem: str
    ) -> Iterator[Call]:
        for number, record in records:
            self.tally.calls += 1
            turns = self._turns(record.get(column[layout]), f"{name}: row {number}")
            self.tally.turns += len(turns)
            reason = self._unwanted(record)
            if reason is not None:
                self.tally.filtered[reason] += 1
                self.tally.filtered_turns += len(turns)
                continue
            call = self._call(cell_text(record.get(column["id"])).strip() or None, f"{stem}-{number}", turns, record)
            if call is not None:
                yield call

    def _turns(self, value: Any, where: str) -> tuple[Turn, ...]:
        """The turns of a cell of text, a list, or a list as JSON in a cell."""
        if isinstance(value, str) and value.lstrip().startswith("[{"):
            with suppress(ValueError, RecursionError):
                value = json.loads(value)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = "\n".join(value)
        if isinstance(value, dict):
            self.problems.append(f"{where}: the dialogue is an object, neither a text nor a list of turns")
            return ()
        if not isinstance(value, list):
            return self.parse(cell_text(value))
        turns = []
        for number, item in enumerate(value, 1):
            if not isinstance(item, dict):
                self.problems.append(f"{where}: turn {number}: is no object with speaker and text")
                continue
            speaker, text, time = (self._column(field, dict.fromkeys(item)) for field in ("speaker", "text", "time"))
            missing = [name for name in (speaker, text) if name not in item]
            if missing or isinstance(item[text], (dict, list)):
                wrong = f"has no {' and no '.join(map(repr, missing))}" if missing else f"{text!r} is no text"
                self.problems.append(f"{where}: turn {number}: {wrong}; name the keys with --columns speaker=...,text=...")
                continue
            turns.append(self._turn(number, item[speaker], item[text], item.get(time)))
        return tuple(turns)

    def _turn(self, number: int, mark: Any, text: Any, time: Any) -> Turn:
        shown = cell_text(mark).strip()
        return Turn(number, self.flow.speaker(shown), cell_text(text).strip(), shown, cell_text(time).strip())

    # ---- one record a turn ------------------------------------------------------------------------

    def _by_turn(self, records: Iterator[Record], column: Mapping[str, str], name: str) -> Iterator[Call]:
        dialogues: dict[str, list[tuple[tuple[float, ...], Turn]]] = {}
        first: dict[str, dict[str, Any]] = {}
        left_out: dict[str, str] = {}
        for number, record in records:
            self.tally.turns += 1
            dialogue = cell_text(record.get(column["dialogue"])).strip()
            if not dialogue:
                self.problems.append(f"{name}: row {number}: no dialogue id in {column['dialogue']!r}")
                continue
            reason = self._unwanted(record)
            if reason is not None:
                self.tally.filtered_turns += 1
                left_out.setdefault(dialogue, reason)
                continue
            time = record.get(column["time"])
            place = _place(cell_text(time)) if column["time"] in record else ()
            if place is None:
                wrong = f"{column['time']!r} holds {cell_text(time)!r}, which tells no order"
                self.problems.append(f"{name}: row {number}: {wrong} (--columns time= leaves the order of the file)")
                continue
            first.setdefault(dialogue, record)
            turn = self._turn(number, record.get(column["speaker"]), record.get(column["text"]), time)
            dialogues.setdefault(dialogue, []).append((place, turn))
        self.tally.calls += len(dialogues.keys() | left_out.keys())
        self.tally.filtered.update(reason for dialogue, reason in left_out.items() if dialogue not in dialogues)
        for dialogue, members in dialogues.items():
            members.sort(key=lambda member: member[0])
            turns = tuple(_numbered(turn, at) for at, (_, turn) in enumerate(members, 1))
            call = self._call(dialogue, "", turns, first[dialogue])
            if call is not None:
                yield call


def _numbered(turn: Turn, number: int) -> Turn:
    return Turn(number, turn.speaker, turn.text, turn.mark, turn.time)


_NUMBER = re.compile(r"\d+")
_DECIMAL = re.compile(r"[+-]?\d+(?:\.\d+)?")


def _place(time: str) -> tuple[float, ...] | None:
    """What a time or a number sorts by: 2 before 10, 9:05 before 10:02; None if it holds no digit."""
    time = time.strip()
    if _DECIMAL.fullmatch(time):
        return (float(time),)
    return tuple(float(part) for part in _NUMBER.findall(time)) or None
