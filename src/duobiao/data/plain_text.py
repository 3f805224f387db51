"""Plain text of any size, line by line: what encoders are trained on without labels."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from duobiao.data.files import FORMATS, PACKED, ending_of, mostly_utf8, opened
from duobiao.data.read import parse_rows
from duobiao.errors import DataError

ENDINGS = (".txt", ".jsonl", ".ndjson")
TABLES = tuple(ending for ending in FORMATS if ending not in ENDINGS)
_BLOCK = 1 << 20


def check_texts(paths: Sequence[Path], *, tables: bool = False) -> None:
    """Refuses files that ``lines_of`` cannot read.

    Args:
        paths: The files.
        tables: Whether rows of tables will do too.

    Raises:
        DataError: Naming every such file, or if there is none.
    """
    problems = []
    for path in paths:
        if not path.is_file():
            problems.append(f"{path}: there is no such file")
        elif ending_of(path) not in ENDINGS and not (tables and path.suffix.lower() in TABLES):
            more = f"; or {', '.join(TABLES)}" if tables else ""
            problems.append(f"{path}: is none of {', '.join(ENDINGS)}, plain or packed as {', '.join(PACKED)}{more}")
    if problems or not paths:
        hint = "give text files with a text a line, or JSONL with a field 'text'" + (", or tables" if tables else "")
        what = f"{len(problems)} files of text cannot be read" if paths else "no text is given"
        raise DataError(what, hint=hint, problems=problems)


def lines_of(path: Path, column: str = "text") -> Iterator[str]:
    """Yields the texts of a file, in order and without empty ones; only tables are held whole.

    ``.txt`` has a text a line, ``.jsonl`` an object a line with ``text``; both may be packed as ``.gz`` or ``.xz``. UTF-8, else
    GB18030. Tables (``.csv``, ``.xlsx`` and so on) are read as rows are, without their labels.

    Args:
        path: The file.
        column: The column or field that holds the text.

    Raises:
        DataError: Naming every line that cannot be read, when the others have been given.
        MissingExtraError: If the format needs a package that is not installed.
    """
    if path.suffix.lower() in TABLES:
        yield from _rows_of(path, column)
        return
    problems: list[str] = []
    is_json = ending_of(path) != ".txt"
    try:
        with opened(path) as file:
            for number, line in enumerate(_whole_lines(file), 1):
                text = _text_of(line.removeprefix("\ufeff") if line and number == 1 else line, column if is_json else None)
                if text is None:
                    problems.append(
                        f"{path}: line {number}: "
                        + (f"no object with a {column!r}" if is_json and line is not None else "damaged encoding")
                    )
                elif text.strip():
                    yield text.strip()
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path}: cannot be read to its end: {error}", hint="fetch or pack the file anew") from error
    if problems:
        raise DataError(f"{len(problems)} lines cannot be read", hint="mend or delete these lines", problems=problems)


def _rows_of(path: Path, column: str) -> Iterator[str]:
    parsed = parse_rows(path, columns={"text": column}, labelled=False)
    yield from (text for row in parsed.rows if (text := _whole(row.text).strip()))
    if parsed.problems:
        raise DataError(
            f"{path}: {len(parsed.problems)} problems", hint="correct the file, or give another one", problems=parsed.problems
        )


def _whole_lines(file: IO[bytes]) -> Iterator[str | None]:
    """Decoded lines, None where one cannot be. The first lines that are not plain ASCII tell the encoding."""
    encoding, rest = "", b""
    while block := file.read(_BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        encoding = encoding or _encoding_of(lines)
        yield from (_decoded(line, encoding) for line in lines)
    if rest:
        yield _decoded(rest, encoding or _encoding_of([rest]))


def _encoding_of(lines: Sequence[bytes]) -> str:
    if all(line.isascii() for line in lines):
        return ""
    return "utf-8" if mostly_utf8(b"\n".join(lines)) else "gb18030"


def _decoded(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding or "ascii")
    except UnicodeDecodeError:
        return None


def _text_of(line: str | None, column: str | None) -> str | None:
    if line is None or column is None or not line.strip():
        return line
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    found = record.get(column) if isinstance(record, dict) else None
    return _whole(found) if isinstance(found, str) else None


def _whole(text: str) -> str:
    """The text without halves of characters: lone surrogates, which JSON can spell and no tokenizer reads."""
    return text if text.isascii() else text.encode("utf-8", "ignore").decode("utf-8")
