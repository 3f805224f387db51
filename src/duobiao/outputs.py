"""Where results go: what is refused before any work, so that no result costs an input, another result, or itself."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from duobiao.errors import DataError

FORMAT, MANIFEST = "duobiao-bundle", "bundle.json"

Place = str | Path | None
Named = Iterable[tuple[str, Place]]
"""Places, each with the option that names it."""


def check_outputs(files: Named = (), inputs: Iterable[Place] = (), folders: Named = ()) -> None:
    """Refuses places where a result would replace an input or another result, spoil a bundle, or cannot be written.

    Every command asks this before any work, of everything that it is going to write; nothing is made.

    Args:
        files: Files that will be written; None is one that nobody asked for.
        inputs: Everything that is read, files and bundles. What is not there means nothing.
        folders: Folders that are put in their place whole, as bundles are: all that was there goes.

    Raises:
        DataError: Naming the place, or all that cannot be written.
    """
    places = [(option, Path(path), False) for option, path in files if path is not None]
    places += [(option, Path(path), True) for option, path in folders if path is not None]
    sources = [Path(path) for path in inputs if path is not None and _is_there(Path(path))]
    for option, path, whole in places:
        _refuse_inputs(option, path, whole, sources)
        _refuse_bundles(option, path)
    for one, other in itertools.combinations(places, 2):
        _refuse_both(one, other)
    problems = [f"{path}: {why}" for _, path, whole in places if (why := _hindrance(path, whole))]
    if problems:
        raise DataError("the result cannot be written", hint="choose another place", problems=problems)


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one place, there or not: through links of both kinds, and however they are written."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def is_bundle(folder: Path) -> bool:
    """Whether a folder has the manifest of a bundle, whatever else is in it."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def beside(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _refuse_inputs(option: str, path: Path, whole: bool, sources: Iterable[Path]) -> None:
    for source in sources:
        if is_same(path, source):
            raise DataError(f"{path}: is the input itself", hint=f"name another {option}")
        if whole and _holds(path, source):
            raise DataError(f"{path}: is replaced whole, and holds the input {source}", hint=f"name another {option}")


def _refuse_bundles(option: str, path: Path) -> None:
    around = next((folder for folder in Path(os.path.realpath(path)).parents if is_bundle(folder)), None)
    if around is not None:
        raise DataError(
            f"{path}: lies in the bundle {around}, whose folder holds nothing else", hint=f"name an {option} outside of it"
        )


def _refuse_both(one: tuple[str, Path, bool], other: tuple[str, Path, bool]) -> None:
    if is_same(one[1], other[1]):
        names = " and ".join(dict.fromkeys((one[0], other[0])))
        raise DataError(f"{other[1]}: is the place of two results ({names})", hint="give each a place of its own")
    for (option, folder, whole), (inner, path, _) in ((one, other), (other, one)):
        if whole and _holds(folder, path):
            raise DataError(f"{path}: lies in {folder} ({option}), which is replaced whole", hint=f"name another {inner}")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _holds(folder: Path, path: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _hindrance(path: Path, whole: bool) -> str | None:
    """What stands against writing a file, or a folder, found without leaving anything behind."""
    try:
        if path.is_dir() and not whole:
            return "it is a folder"
        if path.exists() and not path.is_dir() and not path.is_file():
            return "it is no ordinary file"
        folder = next(one for one in path.absolute().parents if one.exists())
        missing = path.absolute().parent.relative_to(folder).parts
        if missing and (folder / missing[0]).is_symlink():
            return f"{folder / missing[0]} is a link to nothing"
        for name in (*missing, beside(path).name):
            with suppress(FileNotFoundError, NotADirectoryError):
                (folder / name).lstat()  # names may be too long
    except OSError as error:
        return error.strerror or str(error)
    if not folder.is_dir():
        return f"{folder} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder}: Permission denied"
    try:
        with tempfile.TemporaryFile(dir=folder):  # without a name where that can be; folders like /proc allow no file at all
            return None
    except OSError as error:
        return f"no file can be made in {folder} ({error.strerror})"
