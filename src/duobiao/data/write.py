"""Files that are whole or not there: written beside their place and renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from duobiao.errors import DataError


def check_writable(*paths: Path | None) -> None:
    """Refuses places at which no file can be written, before any work and without making anything.

    Args:
        paths: Places of files; None is one that nobody asked for.

    Raises:
        DataError: Naming all of them.
    """
    problems = [f"{path}: {why}" for path in paths if path is not None and (why := _hindrance(path))]
    if problems:
        raise DataError("the result cannot be written", hint="choose another place", problems=problems)


def _hindrance(path: Path) -> str | None:
    """What stands against writing a file."""
    try:
        if path.is_dir():
            return "it is a folder"
        folder = next(one for one in path.absolute().parents if one.exists())
    except OSError as error:
        return error.strerror or str(error)
    if not folder.is_dir():
        return f"{folder} is no folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder}: {os.strerror(errno.EACCES)}"


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
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            yield beside
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}", hint="choose another place") from error


def write_text(path: str | Path, lines: Iterable[str]) -> None:
    """Writes text (a string, or pieces of it); whatever stops it, no part of a file is left behind.

    Raises:
        DataError: If the place cannot be written.
    """
    # A lone surrogate, which UTF-8 does not have, becomes its JSON escape.
    with written_beside(path) as beside, beside.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(lines)
