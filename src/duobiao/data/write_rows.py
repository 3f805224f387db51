"""Rows, and other records, to JSONL; reading the file gives the same rows again."""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from duobiao.data.rows import Row
from duobiao.data.write import write_text
from duobiao.errors import DataError

FIELDS = ("id", "text", "context", "labels", "unknown", "group_id")


def row_record(row: Row, further: Collection[str] = ()) -> dict[str, Any]:
    """A row as the object of a JSONL line; an own column that has the name of a field is written as ``NAME_``.

    Args:
        row: The row.
        further: Names of fields that the caller adds.
    """
    record: dict[str, Any] = {"id": row.id, "text": row.text}
    if row.context is not None:
        record["context"] = row.context
    if row.labels is not None:
        record["labels"] = list(row.labels)
    if row.unknown:
        record["unknown"] = list(row.unknown)
    if row.group_id is not None:
        record["group_id"] = row.group_id
    fields = {*FIELDS, *further}
    taken = {*fields, *row.extra}
    for key, value in row.extra.items():
        name = str(key)
        if name in fields:
            while name in taken:
                name += "_"
        record[name] = value
    return record


def check_jsonl(path: Path) -> None:
    """Refuses a place for rows that does not end like JSONL.

    Raises:
        DataError: Naming the path.
    """
    if path.suffix.lower() not in (".jsonl", ".ndjson") or path.is_dir():
        raise DataError(f"{path}: rows are written as JSONL", hint="name a file ending in .jsonl")


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows, beside the place and renamed at the end.

    Raises:
        DataError: If the place does not end like JSONL or cannot be written.
    """
    check_jsonl(path)
    write_records(path, map(row_record, rows))


def write_records(path: str | Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Writes objects as JSON lines, beside the place and renamed at the end.

    Raises:
        DataError: If the place cannot be written.
    """
    write_text(path, (json_text(record) + "\n" for record in records))


def json_text(value: Any) -> str:
    """A value as JSON in one line, readable Chinese kept."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    """What JSON does not have: dates from Excel and Parquet as ISO, other things as they print."""
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else str(value)
