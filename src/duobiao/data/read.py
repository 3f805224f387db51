"""Rows from files: JSONL, JSON, CSV, TSV, Parquet, Excel; UTF-8 or GB18030; every problem named at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duobiao.data.files import Record, records_of
from duobiao.data.rows import Row
from duobiao.errors import DataError
from duobiao.labels import LabelSpace

FIELDS = ("text", "context", "labels", "unknown", "id", "group_id")
_SEPARATORS = re.compile(r"[,，;；|、\n]")
_TRUE, _FALSE, _OPEN = {"1", "1.0", "true"}, {"0", "0.0", "false"}, {"", "-1", "-1.0", "nan", "none", "?", "null"}


def read_rows(
    path: str | Path,
    *,
    space: LabelSpace | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    labelled: bool = True,
    fit: bool = True,
) -> list[Row]:
    """Reads all rows of a file.

    Args:
        path: The file; its ending names the format. ``-`` reads JSONL from standard input.
        space: The label space. It lets one 0/1 column a label be recognised, and label cells be checked.
        columns: Own column names, ``{"text": "内容"}``.
        separator: What parts the labels in a cell; any of ``, ， ; ； | 、`` or a line break by default. A cell that is
            itself a label of the space is never parted.
        labelled: Whether labels are read; if not, label columns are kept as they are, whatever they hold.
        fit: Whether labels that do not fit the space are refused here; if not, somebody else has to.

    Returns:
        Rows in file order, each with its ``source``.

    Raises:
        DataError: With every problem found: encoding, broken JSON, missing column, labels foreign to the space.
        MissingExtraError: If the format needs a package that is not installed.
    """
    parsed = parse_rows(path, space=space, columns=columns, separator=separator, labelled=labelled, fit=fit)
    if parsed.problems:
        raise DataError(
            f"{parsed.name}: {len(parsed.problems)} problems",
            hint="correct the file; nothing was read from it",
            problems=parsed.problems,
        )
    return parsed.rows


@dataclass(frozen=True)
class Parsed:
    """What could be read of a file, and what could not.

    Attributes:
        name: The file as messages name it.
        rows: Every row that is sound, in file order.
        numbers: Their row numbers.
        problems: What is wrong with the others, and with the file.
        text_column: The column that holds the text.
    """

    name: str
    rows: list[Row]
    numbers: list[int]
    problems: list[str]
    text_column: str


def parse_rows(
    path: str | Path,
    *,
    name: str | None = None,
    space: LabelSpace | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    labelled: bool = True,
    fit: bool = True,
) -> Parsed:
    """Reads what can be read; the arguments are those of ``read_rows``.

    Args:
        path: The file.
        name: What messages call it.
        space: The label space.
        columns: Own column names.
        separator: What parts the labels in a cell.
        labelled: Whether labels are read.
        fit: Whether labels that do not fit the space make a row unsound.

    Raises:
        DataError: If nothing of the file can be read, or ``columns`` names a field that does not exist.
        MissingExtraError: If the format needs a package that is not installed.
    """
    name = name or ("<stdin>" if str(path) == "-" else str(path))
    columns = own_columns(columns, labelled)
    space = space if labelled else None
    problems: list[str] = []
    records = list(records_of(path, name, problems))
    header: dict[str, None] = {}
    for _, record in records:
        header.update(dict.fromkeys(record))
    missing = missing_columns(name, header, columns) if records else []
    flags = _label_columns(records, header, columns, space) if labelled else ()
    problems += missing
    if flags and space is not None:
        problems += _missing_flags(name, header, space)
    parser = RowParser(name, column_of_fields(columns, labelled), flags, separator, space, problems, fit)
    parsed = Parsed(name, [], [], problems, parser.column["text"])
    for number, record in records if not missing else []:
        before = len(problems)
        row = parser.row(number, record)
        if len(problems) == before:
            parsed.rows.append(row)
            parsed.numbers.append(number)
    return parsed


def own_columns(columns: Mapping[str, str] | None, labelled: bool) -> dict[str, str]:
    """Own column names; without those of labels where labels are not read.

    Raises:
        DataError: If they name a field that does not exist.
    """
    foreign = [key for key in columns or {} if key not in FIELDS]
    if foreign:
        raise DataError(f"--columns: no such field: {', '.join(foreign)}", hint=f"fields are {', '.join(FIELDS)}")
    return {field: column for field, column in (columns or {}).items() if field in _fields(labelled)}


def column_of_fields(columns: Mapping[str, str], labelled: bool) -> dict[str, str]:
    """The column of each field that is read."""
    return {field: columns.get(field, field) for field in _fields(labelled)}


def _fields(labelled: bool) -> tuple[str, ...]:
    return FIELDS if labelled else tuple(field for field in FIELDS if field not in ("labels", "unknown"))


def missing_columns(name: str, header: Iterable[str], columns: Mapping[str, str]) -> list[str]:
    """A problem for each column that must be there (the text's, and those that were named) and is not."""
    there = list(header)
    wanted = {"text": columns.get("text", "text"), **columns}
    return [
        f"{name}: there is no column {column!r} for {field} (there are: {', '.join(map(str, there))}); "
        f"name it with --columns {field}=..."
        for field, column in wanted.items()
        if column not in there
    ]


def _missing_flags(name: str, header: Mapping[str, None], space: LabelSpace) -> list[str]:
    return [
        f"{name}: there is no column {label!r}, though labels stand in columns of their own "
        f"(there are: {', '.join(map(str, header))}); add it, blank where unknown"
        for label in space.names
        if label not in header
    ]


def _label_columns(
    records: list[Record], header: Mapping[str, None], columns: Mapping[str, str], space: LabelSpace | None
) -> tuple[str, ...]:
    """Columns that hold one label each as 0/1: those named in the space or, without one, all that hold only 0, 1, blank."""
    if columns.get("labels", "labels") in header:
        return ()
    if space is not None:
        return tuple(name for name in header if name in space.index)
    own = {columns.get(field, field) for field in FIELDS}
    found = []
    for name in header:
        values = {cell_text(record.get(name)).strip().lower() for _, record in records}
        if name not in own and values & (_TRUE | _FALSE) and values <= (_TRUE | _FALSE | _OPEN):
            found.append(name)
    return tuple(found)


def cell_text(value: Any) -> str:
    """A value as the text of a cell: nothing for a blank, 3 for 3.0."""
    if value is None or value != value:  # NaN is how some tables write a blank
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


class RowParser:
    """Turns one record after another into a Row, adding what is wrong to ``problems``.

    Args:
        name: What messages call the file.
        column: The column of each field that is read.
        flags: Columns that hold one label each.
        separator: What parts the labels in a cell.
        space: The label space.
        problems: Where problems go.
        fit: Whether labels that do not fit the space are a problem.
    """

    def __init__(
        self,
        name: str,
        column: Mapping[str, str],
        flags: Sequence[str],
        separator: str | None,
        space: LabelSpace | None,
        problems: list[str],
        fit: bool = True,
    ) -> None:
        self.name, self.flags, self.space, self.problems, self.fit = name, flags, space, problems, fit
        self.column = column
        self.separator = re.compile(re.escape(separator)) if separator else _SEPARATORS
        self.whole = set(space.names) | {group.name for group in space.groups} if space else set[str]()

    def row(self, number: int, record: dict[str, Any]) -> Row:
        where = f"{self.name}: row {number}"
        taken = set(self.column.values()) | set(self.flags)
        text = record.get(self.column["text"])
        if self.column["text"] not in record:
            self.problems.append(f"{where}: has no {self.column['text']!r}")
        elif isinstance(text, (dict, list)):
            self.problems.append(f"{where}: {self.column['text']!r} is a {type(text).__name__}, not a text")
        labels = self._names(record, "labels", where)
        unknown = self._names(record, "unknown", where) or ()
        if self.flags:
            labels, blank = self._flagged(record, where)
            unknown = (*unknown, *blank)
        context, group_id = (cell_text(record.get(self.column[field])) for field in ("context", "group_id"))
        row = Row(
            id=cell_text(record.get(self.column["id"])) or str(number),
            text=cell_text(text),
            context=context or None,
            labels=labels,
            unknown=unknown,
            group_id=group_id or None,
            extra={key: value for key, value in record.items() if key not in taken},
            source=where,
        )
        if self.fit and self.space is not None and labels is not None:
            self.problems += [f"{where}: {problem}" for problem in self.space.problems(labels, unknown, row.context)]
        return row

    def _names(self, record: dict[str, Any], field: str, where: str) -> tuple[str, ...] | None:
        column = self.column.get(field)
        if column is None or column not in record:
            return None
        value = record[column]
        if isinstance(value, str) and value.lstrip().startswith("["):
            with suppress(ValueError, RecursionError):
                value = json.loads(value)
        if isinstance(value, list):
            if not all(isinstance(item, (str, int, float)) for item in value):
                self.problems.append(f"{where}: {column!r} must be a list of names")
                return ()
            names = [cell_text(item).strip() for item in value]
        elif isinstance(value, dict):
            self.problems.append(f"{where}: {column!r} must be a list or a cell of names, not an object")
            return ()
        else:
            cell = cell_text(value).strip()
            names = [cell] if cell in self.whole else [part.strip() for part in self.separator.split(cell)]
        return tuple(dict.fromkeys(name for name in names if name))

    def _flagged(self, record: dict[str, Any], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        labels, blank = [], []
        for name in self.flags:
            value = cell_text(record.get(name)).strip().lower()
            if value in _TRUE:
                labels.append(name)
            elif value in _OPEN:
                blank.append(name)
            elif value not in _FALSE:
                self.problems.append(f"{where}: column {name!r} holds {value!r}; write 1, 0, or nothing if unknown")
        return tuple(labels), self._hidden(labels, blank)

    def _hidden(self, labels: list[str], blank: list[str]) -> tuple[str, ...]:
        """Blank cells are unknown, except beside the true label of their exclusive group."""
        settled = set[str]()
        for group in self.space.groups if self.space else ():
            if any(label in group.labels for label in labels):
                settled.update(group.labels)
        return tuple(name for name in blank if name not in settled)
