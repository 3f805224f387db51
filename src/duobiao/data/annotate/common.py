"""What the formats of annotation tools share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from duobiao.data.files import records_of
from duobiao.data.write import write_text
from duobiao.errors import DataError


def read_records(paths: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Yields (file and record, record, problems) of all files; what the caller adds to ``problems`` is raised at the end.

    Raises:
        DataError: With every problem found.
        MissingExtraError: If the format needs a package that is not installed.
    """
    problems: list[str] = []
    for path in paths:
        for number, record in records_of(path, str(path), problems):
            yield f"{path}: row {number}", record, problems
    if problems:
        raise DataError(
            f"{len(problems)} problems in what the annotation tool exported",
            hint="check --format, and export anew; nothing was merged",
            problems=problems,
        )


def text_of(value: Any) -> str | None:
    """A value as text; None for nothing, whole numbers without a decimal point."""
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None


def write_list(path: Path, items: Iterable[str]) -> None:
    """Writes a JSON list of items that are JSON already, one a line.

    Raises:
        DataError: If the place cannot be written.
    """

    def pieces() -> Iterator[str]:
        yield "["
        for number, item in enumerate(items):
            yield ("," if number else "") + "\n" + item
        yield "\n]\n"

    write_text(path, pieces())
