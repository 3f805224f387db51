"""Repaired copies in the format of the original."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from duobiao.data.excel_cells import NewSheet
from duobiao.data.write import write_text, written_beside
from duobiao.data.write_rows import json_text, write_records

Records = Sequence[dict[str, Any]]


def write_copy(target: Path, original: Path, records: Records, header: Sequence[str] = ()) -> None:
    """Writes records in the format that the target's ending names; text files as UTF-8.

    Args:
        target: The copy.
        original: The file it is a copy of, for the column types of Parquet.
        records: Its records.
        header: Column names of a table, which stand there even if no record does.

    Raises:
        DataError: If the place cannot be written.
    """
    suffix = target.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        write_records(target, records)
    elif suffix == ".json":
        write_text(target, _json_list(records))
    elif suffix in (".csv", ".tsv"):
        write_text(target, _table(records, header, "\t" if suffix == ".tsv" else ","))
    else:
        with written_beside(target) as beside:
            (_parquet if suffix == ".parquet" else _excel)(beside, original, records, header)


def _json_list(records: Records) -> Iterator[str]:
    yield "["
    for number, record in enumerate(records):
        yield ("\n" if number == 0 else ",\n") + json_text(record)
    yield "\n]\n"


def _table(records: Records, header: Sequence[str], delimiter: str) -> Iterable[str]:
    yield "\ufeff"  # without it Excel takes UTF-8 for GBK
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    for cells in [header, *(record.values() for record in records)]:
        writer.writerow(cells)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _parquet(path: Path, original: Path, records: Records, header: Sequence[str]) -> None:
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.parquet.read_schema(original)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(records), schema=schema), path)


def _excel(path: Path, original: Path, records: Records, header: Sequence[str]) -> None:
    sheet = NewSheet(original)
    for cells in [header, *(record.values() for record in records)]:
        sheet.add(cells)
    sheet.save(path)
