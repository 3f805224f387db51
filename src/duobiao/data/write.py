"""Files that are whole or not there: written beside their place and renamed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from duobiao.errors import DataError
from duobiao.outputs import beside


@contextmanager
def written_beside(path: str | Path) -> Iterator[Path]:
    """A place to write a file at, which becomes ``path`` when the block ends well; else no part of it is left behind.

    Raises:
        DataError: If the place cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: cannot be written: it is a folder", hint="name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        place = beside(path)
        try:
            yield place
            os.replace(place, path)
        finally:
            place.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}", hint="choose another place") from error


def write_text(path: str | Path, lines: Iterable[str]) -> None:
    """Writes text (a string, or pieces of it); whatever stops it, no part of a file is left behind.

    Raises:
        DataError: If the place cannot be written.
    """
    # A lone surrogate, which UTF-8 does not have, becomes its JSON escape.
    with written_beside(path) as place, place.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(lines)
