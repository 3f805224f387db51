"""Copies of Parquet and Excel files in which some columns are rewritten; ``rewrite.py`` is the way in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from duobiao import progress
from duobiao.data.excel_cells import UNCALCULATED, NewSheet, read_cells, uncalculated
from duobiao.errors import SHOWN_PROBLEMS, DataError, MissingExtraError

Rewrite = Callable[[list[Any]], list[Any]]
BATCH = 5000


def missing(source: Path, header: Iterable[Any], wanted: Mapping[str, str]) -> list[str]:
    """A problem for each wanted column that is not there."""
    there = list(header)
    return [
        f"{source}: there is no column {column!r} for {field} (there are: {', '.join(map(str, there))}); "
        f"name it with --columns {field}=..."
        for field, column in wanted.items()
        if column not in there
    ]


def refuse(source: Path, problems: list[str]) -> None:
    """Stops if there are problems.

    Raises:
        DataError: With all of them.
    """
    if problems:
        many = f"{SHOWN_PROBLEMS} problems or more" if len(problems) >= SHOWN_PROBLEMS else f"{len(problems)} problems"
        raise DataError(f"{source}: {many}", hint="correct the file; nothing was written", problems=problems)


def rewrite_parquet(source: Path, place: Path | None, wanted: Mapping[str, str], row: Rewrite, notes: list[str]) -> None:
    """Row group by row group; ``place`` None: nothing is written."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "tables") from error
    try:
        file = parquet.ParquetFile(source)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{source}: not readable as Parquet: {error}", hint="write the file anew") from error
    schema = file.schema_arrow
    problems = missing(source, schema.names, wanted)
    places = [schema.names.index(column) for column in wanted.values() if column in schema.names]
    problems += [
        f"{source}: column {schema.names[at]!r} holds {schema.types[at]}, not text"
        for at in places
        if schema.types[at] not in (pyarrow.string(), pyarrow.large_string())
    ]
    refuse(source, problems)
    writer = None if place is None else parquet.ParquetWriter(place, schema)
    try:
        with progress.task(f"{source.name}: rows", file.metadata.num_rows) as task:
            for batch in file.iter_batches(batch_size=BATCH):
                rows = [row(list(cells)) for cells in zip(*(batch.column(at).to_pylist() for at in places), strict=True)]
                if writer is not None:
                    columns = batch.columns
                    for number, at in enumerate(places):
                        columns[at] = pyarrow.array([_storable(cells[number]) for cells in rows], schema.types[at])
                    writer.write_batch(pyarrow.record_batch(columns, schema=schema))
                task.advance(len(rows))
    except (pyarrow.ArrowException, ValueError) as error:  # a text that is no UTF-8
        raise DataError(f"{source}: not readable as Parquet: {error}", hint="write the file anew") from error
    finally:
        if writer is not None:
            writer.close()


def _storable(cell: Any) -> Any:
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


def rewrite_excel(source: Path, place: Path | None, wanted: Mapping[str, str], row: Rewrite, notes: list[str]) -> None:
    """The first sheet, row by row; formulas are their last values."""
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtraError("openpyxl", "tables") from error
    try:
        book = openpyxl.load_workbook(source, read_only=True, data_only=True)
        blank = uncalculated(source)
        rows = map(read_cells, book.worksheets[0].iter_rows(values_only=True))
        header = ["" if cell is None else str(cell).strip() for cell in next(rows, [])]
    except Exception as error:  # openpyxl passes on whatever zipfile and its XML parser raise
        raise DataError(f"{source}: not readable as Excel: {error}", hint="save it as .xlsx or .csv") from error
    refuse(source, missing(source, header, wanted) + [f"{source}: cell {cell}: {UNCALCULATED}" for cell in blank])
    places = [header.index(column) for column in wanted.values()]
    if len(book.sheetnames) > 1:
        notes.append(f"only the first of {len(book.sheetnames)} sheets was read; the copy has no other, and no formats")
    copy = None if place is None else NewSheet(source, book.sheetnames[0])
    if copy is not None:
        copy.add(header)
    with progress.task(f"{source.name}: rows", book.worksheets[0].max_row or 0) as task:
        for given in rows:
            cells = [*given, *[None] * (len(header) - len(given))]
            if any(cell is not None for cell in cells):
                for at, cell in zip(places, row([cells[at] for at in places]), strict=True):
                    cells[at] = cell
            if copy is not None:
                copy.add(cells)
            task.advance()
    book.close()
    if copy is not None and place is not None:
        copy.save(place)
