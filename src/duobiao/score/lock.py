"""One process at a time at a scoring run, from the first look at its folder to its last file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from duobiao.errors import DataError

LOCK = "lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds the folder of a run, which is made if it is not there; the system lets go when the process ends, however it ends.

    At the end the folder goes, if nothing else is in it. On Windows nothing is held.

    Raises:
        DataError: If another process is at it, or the folder cannot be written.
    """
    try:
        file = _locked(folder)
    except BlockingIOError as error:
        raise DataError(f"{folder}: another process is at this run", hint="wait for it, or choose another --output") from error
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror}", hint="choose another --output") from error
    try:
        yield
    finally:
        with suppress(OSError):
            if [child.name for child in folder.iterdir()] in ([LOCK], []):
                (folder / LOCK).unlink(missing_ok=True)  # while it is held: who waits for it sees that it has gone
        if file is not None:
            file.close()
        with suppress(OSError):
            folder.rmdir()


def _locked(folder: Path) -> IO[bytes] | None:
    try:
        import fcntl
    except ImportError:  # Windows
        folder.mkdir(parents=True, exist_ok=True)
        return None
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = (folder / LOCK).open("ab")
        except FileNotFoundError:  # its owner has just removed the folder
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), (folder / LOCK).stat()):
                return file
        file.close()  # a lock that its owner has removed
