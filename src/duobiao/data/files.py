"""Files to records: JSONL, JSON, CSV, TSV, Parquet, Excel; UTF-8 or GB18030."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import lzma
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from duobiao.data.excel_cells import UNCALCULATED, read_cells, uncalculated
from duobiao.errors import DataError, MissingExtraError

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".xlsx")
_SHORT, _LONG = re.compile("[\u0080-\u07ff]"), re.compile("[\u0800-\U0010ffff]")

PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
_BLOCK = 1 << 20

Record = tuple[int, dict[str, Any]]


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where it is ``.gz`` or ``.xz``."""
    file: IO[bytes] = PACKED.get(path.suffix.lower(), open)(path, "rb")
    return file


def ending_of(path: Path) -> str:
    """The ending that names the format, in small letters: ``.jsonl`` for ``calls.JSONL.gz``."""
    ending = path.suffix.lower()
    return Path(path.stem).suffix.lower() if ending in PACKED else ending


def records_of(path: str | Path, name: str, problems: list[str]) -> Iterator[Record]:
    """Yields (row number, record) of a file; what is wrong with single rows is added to ``problems``.

    Raises:
        DataError: If nothing of the file can be read.
        MissingExtraError: If the format needs a package that is not installed.
    """
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
    encoding = "utf-8" if mostly_utf8(data) else "gb18030"
    broken = [number for number, line in enumerate(data.split(b"\n"), 1) if not _decodes(line, encoding)]
    if not broken:
        return data.decode(encoding)
    problems = [f"{name}: line {number}: bytes are neither UTF-8 nor GB18030" for number in broken]
    raise DataError(f"{name}: damaged encoding", hint="save the file as UTF-8 and mend these lines", problems=problems)


def encoding_of(path: Path, *, whole: bool = True) -> str:
    """UTF-8 (``utf-8-sig``; ``utf-8`` where some bytes are damaged) or GB18030, by the rule of ``decode``, block by block.

    Args:
        path: The file, plain or packed.
        whole: Whether a zero byte anywhere refuses the file; else only one in the first block does.

    Raises:
        DataError: If the file is UTF-16, or no text.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    odd = last = b""
    with opened(path) as file:
        while block := file.read(_BLOCK):
            if (b"\0" in block and (whole or not last)) or (not last and block[:2] in (b"\xff\xfe", b"\xfe\xff")):
                raise DataError(f"{path}: is UTF-16, or no text", hint="save it as UTF-8")
            last = block
            if not odd:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    odd = block
    if not odd and not decoder.getstate()[0]:
        return "utf-8-sig"
    return "utf-8" if mostly_utf8(odd or last) else "gb18030"


def mostly_utf8(data: bytes) -> bool:
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
            problems += repeated_columns(name, header)
        elif not any(cells):
            continue
        elif len(cells) != len(header):
            problems.append(f"{name}: line {line}: {len(cells)} cells, but the header has {len(header)}")
        else:
            yield line, dict(zip(header, cells, strict=True))


def repeated_columns(name: str, header: list[str]) -> list[str]:
    """A problem if a column name stands there twice."""
    twice = sorted({cell for cell in header if header.count(cell) > 1})
    return [f"{name}: line 1: column names stand there twice: {', '.join(twice)}"] if twice else []


def _parquet(path: Path) -> Iterator[Record]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "tables") from error
    try:
        records = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:  # such as dates beyond the year 9999
        raise DataError(f"{path}: not readable as Parquet: {error}", hint="write the file anew") from error
    yield from enumerate(records, 1)


def _excel(path: Path, problems: list[str]) -> Iterator[Record]:
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtraError("openpyxl", "tables") from error
    try:
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
        rows = [read_cells(cells) for cells in sheet.iter_rows(values_only=True)]
        blank = uncalculated(path)
    except Exception as error:  # openpyxl passes on whatever zipfile and its XML parser raise
        raise DataError(f"{path}: not readable as Excel: {error}", hint="save it as .xlsx or .csv") from error
    if not rows:
        return
    problems += [f"{path}: cell {cell}: {UNCALCULATED}" for cell in blank]
    header = ["" if cell is None else str(cell).strip() for cell in rows[0]]
    problems += repeated_columns(str(path), [cell for cell in header if cell])
    for number, cells in enumerate(rows[1:], 2):
        if any(cell is not None for cell in cells):
            yield number, {name: cell for name, cell in zip(header, cells, strict=False) if name}
