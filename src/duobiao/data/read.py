"""Rows from files: JSONL, JSON, CSV, TSV, Parquet, Excel; UTF-8 or GB18030; every problem named at once."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from duobiao.data.rows import Row
from duobiao.errors import DataError, MissingExtraError
from duobiao.labels import LabelSpace

FIELDS = ("text", "context", "labels", "unknown", "id", "group_id")
FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".xlsx")
_SEPARATORS = re.compile(r"[,，;；|、\n]")
_SHORT, _LONG = re.compile("[\u0080-\u07ff]"), re.compile("[\u0800-\U0010ffff]")
_TRUE, _FALSE, _OPEN = {"1", "1.0", "true"}, {"0", "0.0", "false"}, {"", "-1", "-1.0", "nan", "none", "?", "null"}

Record = tuple[int, dict[str, Any]]


def read_rows(
    path: str | Path,
    *,
    space: LabelSpace | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    labelled: bool = True,
) -> list[Row]:
    """Reads all rows of a file.

    Args:
        path: The file; its ending names the format. ``-`` reads JSONL from standard input.
        space: The label space. It lets one 0/1 column a label be recognised, and label cells be checked.
        columns: Own column names, ``{"text": "内容"}``.
        separator: What parts the labels in a cell; any of ``, ， ; ； | 、`` or a line break by default. A cell that is
            itself a label of the space is never parted.
        labelled: Whether labels are read; if not, label columns are kept as they are, whatever they hold.

    Returns:
        Rows in file order, each with its ``source``.

    Raises:
        DataError: With every problem found: encoding, broken JSON, missing column, labels foreign to the space.
        MissingExtraError: If the format needs a package that is not installed.
    """
    name = "<stdin>" if str(path) == "-" else str(path)
    columns = dict(columns or {})
    foreign = [key for key in columns if key not in FIELDS]
    if foreign:
        raise DataError(f"--columns: no such field: {', '.join(foreign)}", hint=f"fields are {', '.join(FIELDS)}")
    if not labelled:
        columns = {field: column for field, column in columns.items() if field not in ("labels", "unknown")}
        space = None
    problems: list[str] = []
    records = list(_records(path, name, problems))
    header: dict[str, None] = {}
    for _, record in records:
        header.update(dict.fromkeys(record))
    missing = _missing(name, header, columns) if records else []
    flags = _label_columns(records, header, columns, space) if labelled else ()
    problems += missing
    if flags and space is not None:
        problems += _missing_flags(name, header, space)
    fields = FIELDS if labelled else tuple(field for field in FIELDS if field not in ("labels", "unknown"))
    parser = _Parser(name, {field: columns.get(field, field) for field in fields}, flags, separator, space, problems)
    rows = [parser.row(number, record) for number, record in records] if not missing else []
    if problems:
        raise DataError(
            f"{name}: {len(problems)} problems", hint="correct the file; nothing was read from it", problems=problems
        )
    return rows


def _missing(name: str, header: Mapping[str, None], columns: Mapping[str, str]) -> list[str]:
    wanted = {"text": columns.get("text", "text"), **columns}
    return [
        f"{name}: there is no column {column!r} for {field} (there are: {', '.join(map(str, header))}); "
        f"name it with --columns {field}=..."
        for field, column in wanted.items()
        if column not in header
    ]


def _missing_flags(name: str, header: Mapping[str, None], space: LabelSpace) -> list[str]:
    return [
        f"{name}: there is no column {label!r}, though labels stand in columns of their own "
        f"(there are: {', '.join(map(str, header))}); add it, blank where unknown"
        for label in space.names
        if label not in header
    ]


# ---- files to records ------------------------------------------------------------------------------


def _records(path: str | Path, name: str, problems: list[str]) -> Iterator[Record]:
    if str(path) == "-":
        yield from _json_lines(decode(sys.stdin.buffer.read(), name), name, problems)
        return
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"{name}: format {suffix or 'without ending'!r} is not read", hint=f"use {', '.join(FORMATS)}")
    if not path.is_file():
        raise DataError(f"{name}: there is no such file", hint="check the path")
    if suffix == ".parquet":
        yield from _parquet(path)
    elif suffix == ".xlsx":
        yield from _excel(path, problems)
    else:
        text = decode(path.read_bytes(), name)
        if suffix == ".json":
            yield from _json_list(text, name)
        elif suffix in {".jsonl", ".ndjson"}:
            yield from _json_lines(text, name, problems)
        else:
            yield from _table(text, "\t" if suffix == ".tsv" else ",", name, problems)


def decode(data: bytes, name: str) -> str:
    """Bytes to text: UTF-8 with or without a byte-order mark, else GB18030.

    A file that is UTF-8 but for some damaged bytes is refused with their lines, never read as GB18030.

    Raises:
        DataError: Naming the lines that are neither.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data:
        raise DataError(f"{name}: is UTF-16, or no text", hint="save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    encoding = "utf-8" if _mostly_utf8(data) else "gb18030"
    broken = [number for number, line in enumerate(data.split(b"\n"), 1) if not _decodes(line, encoding)]
    if not broken:
        return data.decode(encoding)
    problems = [f"{name}: line {number}: bytes are neither UTF-8 nor GB18030" for number in broken]
    raise DataError(f"{name}: damaged encoding", hint="save the file as UTF-8 and mend these lines", problems=problems)


def _mostly_utf8(data: bytes) -> bool:
    """Whether more characters are whole than broken.

    In GB18030 text hardly any bytes look like a whole character of three bytes, such as Chinese ones are in UTF-8; about
    every fifth character looks like one of two bytes, so these count half.
    """
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return len(_LONG.findall(text)) - broken + len(_SHORT.findall(text)) / 2 > broken


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _json_lines(text: str, name: str, problems: list[str]) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"{name}: line {number}: broken JSON: {error}")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            problems.append(f'{name}: line {number}: not a JSON object (write {{"text": ...}})')


def _json_list(text: str, name: str) -> Iterator[Record]:
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: broken JSON: {error}", hint="a .json file holds one list of objects") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{name}: is no list of objects", hint="write [{...}, ...], or one object a line as .jsonl")
    yield from enumerate(records, 1)


def _table(text: str, delimiter: str, name: str, problems: list[str]) -> Iterator[Record]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(f"{name}: line {line}: the row that begins here: {error}")
            return
        if header is None:
            header = [cell.strip() for cell in cells]
            problems += _repeated(name, header)
        elif not any(cells):
            continue
        elif len(cells) != len(header):
            problems.append(f"{name}: line {line}: {len(cells)} cells, but the header has {len(header)}")
        else:
            yield line, dict(zip(header, cells, strict=True))


def _repeated(name: str, header: list[str]) -> list[str]:
    twice = sorted({cell for cell in header if header.count(cell) > 1})
    return [f"{name}: line 1: column names stand there twice: {', '.join(twice)}"] if twice else []


def _parquet(path: Path) -> Iterator[Record]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "tables") from error
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not readable as Parquet: {error}", hint="write the file anew") from error
    yield from enumerate(table.to_pylist(), 1)


def _excel(path: Path, problems: list[str]) -> Iterator[Record]:
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtraError("openpyxl", "tables") from error
    try:
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
        rows = list(sheet.iter_rows(values_only=True))
    except Exception as error:  # openpyxl passes on whatever zipfile and its XML parser raise
        raise DataError(f"{path}: not readable as Excel: {error}", hint="save it as .xlsx or .csv") from error
    if not rows:
        return
    header = ["" if cell is None else str(cell).strip() for cell in rows[0]]
    problems += _repeated(str(path), [cell for cell in header if cell])
    for number, cells in enumerate(rows[1:], 2):
        if any(cell is not None for cell in cells):
            yield number, {name: cell for name, cell in zip(header, cells, strict=False) if name}


# ---- records to rows -------------------------------------------------------------------------------


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
        values = {_cell(record.get(name)).strip().lower() for _, record in records}
        if name not in own and values & (_TRUE | _FALSE) and values <= (_TRUE | _FALSE | _OPEN):
            found.append(name)
    return tuple(found)


def _cell(value: Any) -> str:
    if value is None or value != value:  # NaN is how some tables write a blank
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


class _Parser:
    """Turns one record after another into a Row, adding what is wrong to ``problems``."""

    def __init__(
        self,
        name: str,
        column: Mapping[str, str],
        flags: Sequence[str],
        separator: str | None,
        space: LabelSpace | None,
        problems: list[str],
    ) -> None:
        self.name, self.flags, self.space, self.problems = name, flags, space, problems
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
        context, group_id = (_cell(record.get(self.column[field])) for field in ("context", "group_id"))
        row = Row(
            id=_cell(record.get(self.column["id"])) or str(number),
            text=_cell(text),
            context=context or None,
            labels=labels,
            unknown=unknown,
            group_id=group_id or None,
            extra={key: value for key, value in record.items() if key not in taken},
            source=where,
        )
        if self.space is not None and labels is not None:
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
            names = [_cell(item).strip() for item in value]
        elif isinstance(value, dict):
            self.problems.append(f"{where}: {column!r} must be a list or a cell of names, not an object")
            return ()
        else:
            cell = _cell(value).strip()
            names = [cell] if cell in self.whole else [part.strip() for part in self.separator.split(cell)]
        return tuple(dict.fromkeys(name for name in names if name))

    def _flagged(self, record: dict[str, Any], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        labels, blank = [], []
        for name in self.flags:
            value = _cell(record.get(name)).strip().lower()
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
