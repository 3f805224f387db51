"""Rows of files of any size, in flat memory: a file is cut into stretches, and any stretch can be read on its own.

What is wrong with a row is told with the row, and costs that row only. A quotation mark in a table that is never closed costs
the line it stands in, not the rest of the file.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import lzma
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from duobiao.data.files import encoding_of, ending_of, opened, repeated_columns
from duobiao.data.parquet_rows import ParquetRows, parquet_shape
from duobiao.errors import DataError

LINES, TABLES, PARQUET = (".jsonl", ".ndjson"), (".csv", ".tsv"), ".parquet"
STREAMED = (*LINES, *TABLES, PARQUET)
LARGEST_CELL = 1 << 20
"""Bytes of a cell in a table; a larger one is a quotation mark that nobody closed."""


@dataclass(frozen=True, slots=True)
class Item:
    """A row as it stands in its file.

    Attributes:
        number: Its row number: the line where it begins or, in Parquet, its place from 1.
        record: What it says; None if that cannot be told.
        raw: Its text in the file; nothing for Parquet.
        problem: Why it cannot be read.
    """

    number: int
    record: dict[str, Any] | None
    raw: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a file.

    Attributes:
        start: Where it begins: a byte of the unpacked text or, in Parquet, a row from 0.
        stop: Where it ends.
        number: The number of its first row.
        rows: How many rows it holds.
    """

    start: int
    stop: int
    number: int
    rows: int


@dataclass(frozen=True)
class Form:
    """How a file is to be read.

    Attributes:
        path: The file.
        encoding: ``utf-8-sig``, ``utf-8`` or ``gb18030``; nothing for Parquet.
        columns: The columns of a table; nothing for JSON lines, where each row has its own.
    """

    path: Path
    encoding: str = ""
    columns: tuple[str, ...] = ()

    @property
    def ending(self) -> str:
        return ending_of(self.path)

    @property
    def delimiter(self) -> str:
        return "\t" if self.ending == ".tsv" else ","


def form_of(path: Path) -> Form:
    """Looks at a file.

    Raises:
        DataError: If it is not there, of another format, or damaged as a whole.
        MissingExtraError: If Parquet cannot be read here.
    """
    ending = ending_of(path)
    if ending not in STREAMED or (ending == PARQUET and path.suffix.lower() != PARQUET):
        raise DataError(
            f"{path}: format {ending or 'without ending'!r} is not read row by row",
            hint=f"use {', '.join(STREAMED)}; text files may be packed as .gz or .xz",
        )
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", hint="check the path")
    if ending == PARQUET:
        return Form(path, "", parquet_shape(path)[0])
    with _unbroken(path):
        form = Form(path, encoding_of(path, whole=False))
        return form if ending in LINES else Form(path, form.encoding, _header(form)[0])


def stretches_of(form: Form, size: int) -> Iterator[Stretch]:
    """Cuts a file into stretches of ``size`` rows, the last one shorter; always the same ones. Blank rows don't count.

    Raises:
        DataError: If it cannot be read to its end.
    """
    if form.ending == PARQUET:
        count = parquet_shape(form.path)[1]
        yield from (Stretch(at, min(at + size, count), at + 1, min(size, count - at)) for at in range(0, count, size))
        return
    with _unbroken(form.path), opened(form.path) as file:
        lines = _table_ends(file, form) if form.ending in TABLES else _line_ends(file)
        begin, number = _header(form)[1:] if form.ending in TABLES else (0, 1)
        rows, end, after = 0, begin, number
        for end, after, is_row in lines:
            rows += is_row
            if rows == size:
                yield Stretch(begin, end, number, rows)
                begin, number, rows = end, after, 0
        if rows:
            yield Stretch(begin, end, number, rows)


def _line_ends(file: IO[bytes]) -> Iterator[tuple[int, int, bool]]:
    """Behind each line: the byte, the number of the next line, and whether the line holds anything."""
    at = 0
    for number, line in enumerate(file, 2):
        at += len(line)
        yield at, number, bool((line.removeprefix(codecs.BOM_UTF8) if number == 2 else line).strip())


def _table_ends(file: IO[bytes], form: Form) -> Iterator[tuple[int, int, bool]]:
    _, at, number = _header(form)
    file.seek(at)
    for cells, raw, lines, problem in _table_rows(_plain_lines(file), form.delimiter, len(form.columns)):
        at += len(raw)
        number += lines
        yield at, number, bool(problem) or any(cells)


# ---- reading a stretch -------------------------------------------------------------------------------


class StretchReader:
    """Reads stretches; keeps the last file open, so that stretches in their order are read in one go.

    Args:
        columns: The columns that are read of Parquet files; all by default.
    """

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.columns = columns
        self._path: Path | None = None
        self._file: IO[bytes] | None = None
        self._parquet: ParquetRows | None = None

    def items(self, form: Form, stretch: Stretch) -> Iterator[Item]:
        """The rows of a stretch, in order.

        Raises:
            DataError: If the file cannot be read.
        """
        if self._path != form.path:
            self.close()
            self._path = form.path
        if form.ending == PARQUET:
            self._parquet = self._parquet or ParquetRows(form.path, self.columns)
            records = self._parquet.rows(stretch.start, stretch.stop)
            return (Item(number, record) for number, record in enumerate(records, stretch.number))
        with _unbroken(form.path):
            if self._file is None:
                self._file = opened(form.path)
            self._file.seek(stretch.start)  # in a packed file: forward to there
            data = self._file.read(stretch.stop - stretch.start)
        return _table_items(data, form, stretch.number) if form.ending in TABLES else _line_items(data, form, stretch.number)

    def close(self) -> None:
        """Closes what is open."""
        if self._file is not None:
            self._file.close()
        self._path = self._file = self._parquet = None


def _line_items(data: bytes, form: Form, number: int) -> Iterator[Item]:
    for at, line in enumerate(data.split(b"\n"), number):
        if at == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        try:
            raw = line.decode(form.encoding)
        except UnicodeDecodeError:
            yield Item(at, None, line.decode(form.encoding, "backslashreplace"), "damaged encoding")
            continue
        try:
            record = json.loads(raw)
        except (ValueError, RecursionError) as error:
            yield Item(at, None, raw, f"broken JSON: {error}")
            continue
        if isinstance(record, dict):
            yield Item(at, record, raw)
        else:
            yield Item(at, None, raw, 'not a JSON object (write {"text": ...})')


def _table_items(data: bytes, form: Form, number: int) -> Iterator[Item]:
    lines = io.StringIO(data.decode("latin-1"), newline="")
    for cells, raw, count, problem in _table_rows(lines, form.delimiter, len(form.columns)):
        at, number = number, number + count
        if not problem and not any(cells):
            continue
        text = raw.encode("latin-1").decode(form.encoding, "backslashreplace").rstrip("\r\n")
        if problem:
            yield Item(at, None, text, problem)
            continue
        try:
            yield Item(at, dict(zip(form.columns, [_decoded(cell, form.encoding) for cell in cells], strict=True)), text)
        except UnicodeDecodeError:
            yield Item(at, None, text, "damaged encoding")


# ---- tables ------------------------------------------------------------------------------------------
#
# Tables are taken apart as bytes (read as Latin-1, one character a byte) and decoded cell by cell: delimiters, quotation marks
# and line breaks are no part of a character in UTF-8 nor in GB18030, and a damaged byte costs its row only.


def _table_rows(lines: Iterator[str], delimiter: str, width: int) -> Iterator[tuple[list[str], str, int, str]]:
    """Rows of a table: cells, the text that they stood in, its number of lines, and what is wrong.

    A row that is wrong ends with its first line, whatever a quotation mark in it made of the lines below.
    """
    csv.field_size_limit(LARGEST_CELL)
    waiting: deque[str] = deque()
    taken: list[str] = []

    def feed() -> Iterator[str]:
        while line := waiting.popleft() if waiting else next(lines, ""):
            taken.append(line)
            yield line

    while True:
        taken.clear()
        cells, problem = list[str](), ""
        try:
            cells = next(csv.reader(feed(), delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"the row that begins here: {error}"
        if not problem and width and any(cells) and len(cells) != width:
            problem = f"{len(cells)} cells, but the header has {width}"
        if problem:
            waiting.extendleft(reversed(taken[1:]))
            del taken[1:]
        yield cells, "".join(taken), len(taken), problem


def _header(form: Form) -> tuple[tuple[str, ...], int, int]:
    """Column names of a table, the byte behind them, and the number of the next line.

    Raises:
        DataError: If there is none, or a name stands there twice.
    """
    with opened(form.path) as file:
        start = len(codecs.BOM_UTF8) if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
        file.seek(start)
        cells, raw, lines, problem = next(_table_rows(_plain_lines(file), form.delimiter, 0), ([], "", 0, ""))
    try:
        header = [_decoded(cell, form.encoding).strip() for cell in cells]
    except UnicodeDecodeError:
        problem = "damaged encoding"
    problems = [f"{form.path}: line 1: {problem}"] if problem else repeated_columns(str(form.path), header)
    if problems:
        raise DataError(f"{form.path}: the header cannot be read", hint="correct the first line", problems=problems)
    return tuple(header), start + len(raw), 1 + lines


def _plain_lines(file: IO[bytes]) -> Iterator[str]:
    return io.TextIOWrapper(file, encoding="latin-1", newline="")


def _decoded(cell: str, encoding: str) -> str:
    return cell if cell.isascii() else cell.encode("latin-1").decode(encoding)


class _unbroken:  # noqa: N801 - reads as a statement: with _unbroken(path)
    """Turns what breaks off the reading of a file into a DataError that names the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (OSError, EOFError, lzma.LZMAError)):
            raise DataError(f"{self.path}: cannot be read to its end: {error}", hint="fetch or pack the file anew") from error
