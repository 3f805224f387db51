"""Training files to rows and a label space."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from duobiao import progress
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, check_labelled
from duobiao.data.split import split_off
from duobiao.errors import DataError
from duobiao.labels import LabelSpace

DEV_SHARE = 0.1


@dataclass(frozen=True)
class Splits:
    """Rows to learn from and rows to choose by, under one label space."""

    space: LabelSpace
    train: list[Row]
    dev: list[Row]


def load_splits(
    train: Path,
    dev: Path | None,
    labels: Path | LabelSpace | None,
    *,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    write_to: Path | None = None,
    fit: bool = True,
) -> Splits:
    """Reads the training and the dev file.

    Args:
        train: Labelled rows.
        dev: Labelled rows; if None, a tenth of the training rows is split off (by ``group_id`` and text, always the same).
        labels: The label space or its file; if None it is inferred as independent labels.
        columns: Own column names.
        separator: What parts labels in a cell.
        write_to: The bundle's place; an inferred space is written beside it as ``<name>.labels.yaml``, to be edited; a
            file that differs is never overwritten.
        fit: Whether labels that do not fit the space are refused here, row by row; if not, somebody else has to.

    Raises:
        DataError: If the rows cannot be read, have no labels, or do not fit the space.
    """
    space = LabelSpace.from_yaml(labels) if isinstance(labels, Path) else labels

    def read(path: Path) -> list[Row]:
        return read_rows(path, space=space, columns=columns, separator=separator, fit=fit)

    rows, dev_rows = _read_both(train, dev, read)
    check_labelled([*rows, *(dev_rows or ())])
    inferred = space is None
    if space is None:
        space = _infer([*rows, *(dev_rows or ())], train)
    if dev_rows is None:
        rows, dev_rows = split_off(rows, DEV_SHARE)
        progress.say(f"no dev file given: {len(dev_rows)} of {len(rows) + len(dev_rows)} rows split off for it")
    if inferred and write_to is not None:
        _write_space(space, write_to.with_name(f"{write_to.name}.labels.yaml"))
    return Splits(space, rows, dev_rows)


def _read_both(train: Path, dev: Path | None, read: Callable[[Path], list[Row]]) -> tuple[list[Row], list[Row] | None]:
    """Reads both files before complaining, so that the problems of both are known at once."""
    found: list[list[Row]] = []
    errors: list[DataError] = []
    for path in [train, *([dev] if dev else [])]:
        try:
            found.append(read(path))
        except DataError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems = [problem for error in errors for problem in error.problems or (error.message,)]
        raise DataError("; ".join(error.message for error in errors), hint=errors[0].hint, problems=problems)
    return found[0], found[1] if dev else None


def _infer(rows: Sequence[Row], train: Path) -> LabelSpace:
    if not any(row.labels for row in rows):
        raise DataError(
            f"{train}: no row has a label", hint="fill in the labels, or name their column with --columns labels=..."
        )
    return LabelSpace.infer(row.labels or () for row in rows)


def _write_space(space: LabelSpace, path: Path) -> None:
    """Writes an inferred space for the user to edit; what the user has edited already is left alone."""
    text = space.to_yaml()
    if path.exists() and path.read_bytes() != text.encode("utf-8"):
        progress.say(
            f"no label space given: {len(space)} independent labels; the other space in {path} is left as it is "
            f"(--labels {path} uses it)"
        )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
    progress.say(f"no label space given: {len(space)} independent labels, written to {path} for you to edit")
