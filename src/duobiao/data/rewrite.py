"""A copy of a file in which some columns are rewritten, row by row, in flat memory."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from duobiao import progress
from duobiao.data.files import FORMATS, encoding_of, records_of
from duobiao.data.rewrite_tables import Rewrite, missing, refuse, rewrite_excel, rewrite_parquet
from duobiao.data.write import write_text, written_beside
from duobiao.errors import SHOWN_PROBLEMS, DataError
from duobiao.outputs import check_outputs

_TABLES, _LINES = (".csv", ".tsv"), (".jsonl", ".ndjson")
_EVERY = 5000


def rewrite(source: str | Path, output: str | Path | None, wanted: Mapping[str, str], row: Rewrite) -> list[str]:
    """Copies a file with the wanted cells of each row replaced.

    Args:
        source: JSONL, JSON, CSV, TSV, Parquet or Excel; only a JSON list is held in memory as a whole.
        output: Where the copy goes, in the same format (CSV and TSV may be exchanged); None: rows are only looked at.
        wanted: Field to column, ``{"text": "内容"}``; every one must be there.
        row: Gives the new cells for the old ones, in the order of ``wanted``.

    Returns:
        What a user should know about the copy.

    Raises:
        DataError: If the file cannot be read (every problem is named, and nothing is written), or the output is the
            source, or of another format.
        MissingExtraError: If the format needs a package that is not installed.
    """
    source, output = Path(source), None if output is None else Path(output)
    _check(source, output)
    suffix, notes = source.suffix.lower(), list[str]()
    if suffix in (".parquet", ".xlsx"):
        with written_beside(output) if output else nullcontext() as place:
            (rewrite_parquet if suffix == ".parquet" else rewrite_excel)(source, place, wanted, row, notes)
        return notes
    if suffix == ".json":
        pieces = _list(source, wanted, row)
    else:
        encoding = _encoding(source)
        if encoding != "utf-8-sig" and output is not None:
            notes.append(f"{source} is {encoding}; {output} is UTF-8")
        delimiter = "\t" if (output or source).suffix.lower() == ".tsv" else ","
        read = _table(source, encoding, delimiter, wanted, row) if suffix in _TABLES else _lines(source, encoding, wanted, row)
        pieces = _marked(source, encoding, read) if suffix in _TABLES else read
    if output is None:
        for _ in pieces:
            pass
    else:
        write_text(output, pieces)
    return notes


def _check(source: Path, output: Path | None) -> None:
    suffix = source.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"{source}: format {suffix or 'without ending'!r} is not read", hint=f"use {', '.join(FORMATS)}")
    if not source.is_file():
        raise DataError(f"{source}: there is no such file", hint="check the path")
    if output is None:
        return
    family = next((family for family in (_TABLES, _LINES) if suffix in family), (suffix,))
    if output.suffix.lower() not in family:
        raise DataError(f"{output}: a {suffix} file is written as {' or '.join(family)}", hint="name the output accordingly")
    check_outputs([("--output", output)], [source])


# ---- text files --------------------------------------------------------------------------------------


def _encoding(path: Path) -> str:
    """UTF-8 or GB18030, by the rule of ``files.decode``, found block by block.

    Raises:
        DataError: Naming the lines that are neither.
    """
    encoding = encoding_of(path)
    if encoding == "utf-8-sig":
        return encoding
    problems: list[str] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError:
                problems.append(f"{path}: line {number}: bytes are neither UTF-8 nor GB18030")
                if len(problems) == SHOWN_PROBLEMS:
                    break
    if problems:
        raise DataError(f"{path}: damaged encoding", hint="save the file as UTF-8 and mend these lines", problems=problems)
    return encoding


@contextmanager
def _opened(path: Path, encoding: str, newline: str) -> Iterator[tuple[io.TextIOWrapper, Callable[[], None]]]:
    """The file as text, and a function that tells the progress."""
    with path.open("rb") as raw, progress.task(f"{path.name}: MB", path.stat().st_size >> 20) as task:
        told = 0

        def tell() -> None:
            nonlocal told
            now = raw.tell() >> 20
            task.advance(now - told)
            told = now

        yield io.TextIOWrapper(raw, encoding=encoding, newline=newline), tell
        tell()


def _marked(source: Path, encoding: str, pieces: Iterator[str]) -> Iterator[str]:
    """A byte-order mark where the source had one or was GB18030: spreadsheets read the copy as they read the source."""
    with source.open("rb") as file:
        if encoding != "utf-8-sig" or file.read(3) == codecs.BOM_UTF8:
            yield "\ufeff"
    yield from pieces


def _table(source: Path, encoding: str, delimiter: str, wanted: Mapping[str, str], row: Rewrite) -> Iterator[str]:
    csv.field_size_limit(2**31 - 1)
    problems: list[str] = []
    out = io.StringIO()
    write = csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow
    with _opened(source, encoding, "") as (file, tell):
        reader = csv.reader(file, delimiter="\t" if source.suffix.lower() == ".tsv" else ",", strict=True)
        width, places, rows = -1, list[int](), 0
        while len(problems) < SHOWN_PROBLEMS:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                problems.append(f"{source}: line {line}: the row that begins here: {error}")
                break
            if width < 0:
                header, width = [cell.strip() for cell in cells], len(cells)
                twice = sorted({cell for cell in header if header.count(cell) > 1})
                problems += [f"{source}: line 1: column names stand there twice: {', '.join(twice)}"] if twice else []
                problems += missing(source, header, wanted)
                if problems:
                    break
                places = [header.index(column) for column in wanted.values()]
            elif any(cells) and len(cells) != width:
                problems.append(f"{source}: line {line}: {len(cells)} cells, but the header has {width}")
            elif any(cells) and not problems:
                for place, cell in zip(places, row([cells[place] for place in places]), strict=True):
                    cells[place] = cell
            write(cells)
            rows += 1
            if rows % _EVERY == 0:
                tell()
                yield _taken(out)
    refuse(source, problems)
    yield _taken(out)


def _taken(out: io.StringIO) -> str:
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text


def _lines(source: Path, encoding: str, wanted: Mapping[str, str], row: Rewrite) -> Iterator[str]:
    """A line whose cells stay as they are is copied as it stands."""
    problems: list[str] = []
    with _opened(source, encoding, "\n") as (file, tell):
        for number, line in enumerate(file, 1):
            if not line.strip():
                yield line
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                problems.append(f"{source}: line {number}: broken JSON: {error}")
                record = None
            else:
                problems += _wrong(f"{source}: line {number}", record, wanted)
            if len(problems) >= SHOWN_PROBLEMS:
                break
            if not problems:
                yield json.dumps(record, ensure_ascii=False) + "\n" if _replaced(record, wanted, row) else line
            if number % _EVERY == 0:
                tell()
    refuse(source, problems)


def _list(source: Path, wanted: Mapping[str, str], row: Rewrite) -> Iterator[str]:
    problems: list[str] = []
    records = [record for _, record in records_of(source, str(source), problems)]
    for number, record in enumerate(records, 1):
        problems += _wrong(f"{source}: row {number}", record, wanted)
    refuse(source, problems)
    for record in records:
        _replaced(record, wanted, row)
    yield json.dumps(records, ensure_ascii=False, indent=1) + "\n"


def _wrong(where: str, record: Any, wanted: Mapping[str, str]) -> list[str]:
    """What is wrong with an object; only the text must be there."""
    if not isinstance(record, dict):
        return [f'{where}: not a JSON object (write {{"text": ...}})']
    if wanted["text"] not in record:
        return [f"{where}: has no {wanted['text']!r} (it has: {', '.join(record)}); name it with --columns text=..."]
    return [
        f"{where}: {column!r} is a {type(record[column]).__name__}, not a text"
        for column in wanted.values()
        if isinstance(record.get(column), (dict, list))
    ]


def _replaced(record: dict[str, Any], wanted: Mapping[str, str], row: Rewrite) -> bool:
    columns = [column for column in wanted.values() if column in record]
    old = [record[column] for column in columns]
    new = row(old)
    record.update(zip(columns, new, strict=True))
    return new != old
