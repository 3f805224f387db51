"""Rows of a Parquet file from any place on, batch by batch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from duobiao.errors import DataError, MissingExtraError

BATCH = 1024


def parquet_shape(path: Path) -> tuple[tuple[str, ...], int]:
    """Columns and number of rows.

    Raises:
        DataError: If it is no Parquet file.
        MissingExtraError: If ``pyarrow`` is not installed.
    """
    file = _opened(path)
    return tuple(file.schema_arrow.names), int(file.metadata.num_rows)


def parquet_types(path: Path) -> dict[str, Any]:
    """The Arrow type of each column."""
    schema = _opened(path).schema_arrow
    return dict(zip(schema.names, schema.types, strict=True))


def _opened(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "tables") from error
    try:
        return parquet.ParquetFile(path, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not readable as Parquet: {error}", hint="write the file anew") from error


class ParquetRows:
    """Reads ranges of rows; ranges in their order are read in one go, and row groups between them are left out.

    Args:
        path: The file.
        columns: The columns that are read; all by default.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        self.path, self.file = path, _opened(path)
        there = self.file.schema_arrow.names
        self.columns = None if columns is None else [name for name in there if name in columns]
        groups = range(self.file.metadata.num_row_groups)
        self.starts = [0, *accumulate(self.file.metadata.row_group(group).num_rows for group in groups)]
        self._begin(0)

    def _begin(self, group: int) -> None:
        self.at, self.left = self.starts[group], list[dict[str, Any]]()
        groups = list(range(group, len(self.starts) - 1))
        self.batches = self.file.iter_batches(BATCH, row_groups=groups, columns=self.columns, use_threads=False)

    def rows(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """The rows from ``start`` (from 0) up to ``stop``.

        Raises:
            DataError: If the file is damaged there.
        """
        group = bisect_right(self.starts, start, hi=len(self.starts) - 1) - 1
        if start < self.at or self.at < self.starts[group]:
            self._begin(group)
        while self.at < stop:
            if not self.left:
                self._fill(start)
                continue
            wanted = self.left[max(start - self.at, 0) : stop - self.at]
            passed = min(len(self.left), stop - self.at)
            self.left = self.left[passed:]
            self.at += passed
            yield from wanted

    def _fill(self, start: int) -> None:
        """The next batch; one that ends before ``start`` is passed over without looking into it."""
        import pyarrow

        try:
            batch = next(self.batches)
            if self.at + batch.num_rows <= start:
                self.at += batch.num_rows
            else:
                self.left = batch.to_pylist()
        except StopIteration:
            raise DataError(f"{self.path}: ends before row {self.at + 1}", hint="write the file anew") from None
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:  # such as dates beyond the year 9999
            raise DataError(f"{self.path}: not readable as Parquet: {error}", hint="write the file anew") from error
