"""The files under examination: what can be read of them, however damaged, and what cannot."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from duobiao import progress
from duobiao.data.clean import build_chain
from duobiao.data.files import FORMATS, decode
from duobiao.data.read import parse_rows
from duobiao.data.rows import Row
from duobiao.errors import DataError
from duobiao.labels import LabelSpace

SPLITS = ("data", "train", "dev", "test")
_BINARY = (".parquet", ".xlsx")


@dataclass(frozen=True)
class Split:
    """One file.

    Attributes:
        name: What it is for: ``train``, ``dev``, ``test``; ``data`` where the user did not say.
        path: The file.
        rows: Its sound rows.
        numbers: Their row numbers.
        problems: What could not be read.
        damaged: Lines whose bytes are broken; they are read all the same, with U+FFFD for what is lost.
        text_column: The column that holds the text.
    """

    name: str
    path: Path
    rows: list[Row]
    numbers: list[int]
    problems: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    text_column: str = "text"


@dataclass(frozen=True)
class Dataset:
    """All rows of all files, in order.

    Attributes:
        splits: The files.
        space: The label space that was given; None if none was.
        columns: Own column names.
        separator: What parts the labels in a cell.
    """

    splits: Sequence[Split]
    space: LabelSpace | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str | None = None

    @cached_property
    def rows(self) -> list[Row]:
        return [row for split in self.splits for row in split.rows]

    @cached_property
    def owners(self) -> list[str]:
        """The name of each row's split."""
        return [split.name for split in self.splits for _ in split.rows]

    @cached_property
    def places(self) -> list[str]:
        """``file:row`` of each row; the file's name alone where that says which one it is."""
        names = [split.path.name for split in self.splits]
        shown = [str(split.path) if names.count(split.path.name) > 1 else split.path.name for split in self.splits]
        return [f"{name}:{number}" for name, split in zip(shown, self.splits, strict=True) for number in split.numbers]

    @cached_property
    def texts(self) -> list[str]:
        """Each row's text as a model with the default cleaning sees it."""
        clean = build_chain(("invisible", "whitespace"))
        return [clean(row.text) for row in self.rows]

    @cached_property
    def labels(self) -> LabelSpace | None:
        """The label space that was given, else the one that the rows imply; None if they have no labels."""
        if self.space is not None:
            return self.space
        seen = [[label for label in row.labels or () if _nameable(label)] for row in self.rows]
        return LabelSpace.infer(seen) if any(seen) else None

    def sizes(self) -> dict[str, int]:
        return {split.name: len(split.rows) for split in self.splits}


def _nameable(label: str) -> bool:
    return not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", label)


def read_dataset(
    files: Mapping[str, Path],
    space: LabelSpace | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Dataset:
    """Reads files as far as they can be read.

    Args:
        files: ``data``, ``train``, ``dev``, ``test`` to a path.
        space: The label space.
        columns: Own column names.
        separator: What parts the labels in a cell.

    Raises:
        DataError: If no file is given, one does not exist, has an unknown format or is given twice.
        MissingExtraError: If a format needs a package that is not installed.
    """
    _check_files(files)
    splits = []
    with progress.task("files", len(files)) as task:
        for name in sorted(files, key=SPLITS.index):
            splits.append(_read(name, files[name], space, dict(columns or {}), separator))
            task.advance(note=name)
    return Dataset(splits, space, dict(columns or {}), separator)


def _check_files(files: Mapping[str, Path]) -> None:
    problems = []
    for path in files.values():
        if path.suffix.lower() not in FORMATS:
            problems.append(f"{path}: format {path.suffix or 'without ending'!r} is not read (there are {', '.join(FORMATS)})")
        elif not path.is_file():
            problems.append(f"{path}: there is no such file")
    known: dict[Path, str] = {}
    for name, path in files.items():
        other = known.setdefault(path.resolve(), name)
        if other != name:
            problems.append(f"{path}: is given as {other} and as {name}")
    if problems or not files:
        raise DataError("there is nothing to check", hint="give files: F, --train, --dev, --test", problems=problems)


def _read(name: str, path: Path, space: LabelSpace | None, columns: Mapping[str, str], separator: str | None) -> Split:
    with readable(path) as (copy, damaged):
        try:
            parsed = parse_rows(copy, name=str(path), space=space, columns=columns, separator=separator, fit=False)
        except DataError as error:
            if error.message.startswith("--columns"):
                raise
            found = [*(error.problems or [error.message.replace(str(copy), str(path))])]
            return Split(name, path, [], [], found, damaged, columns.get("text", "text"))
        return Split(name, path, parsed.rows, parsed.numbers, parsed.problems, damaged, parsed.text_column)


@contextmanager
def readable(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """The file, or where its encoding is damaged a copy that can be read; and what is damaged."""
    if path.suffix.lower() in _BINARY:
        yield path, []
        return
    data = path.read_bytes()
    try:
        decode(data, str(path))
    except DataError as error:
        damaged = [*(error.problems or [error.message])]
    else:
        del data
        yield path, []
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(_decoded(data).encode("utf-8"))
        yield copy, damaged


def _decoded(data: bytes) -> str:
    """Text from bytes that are damaged, with U+FFFD for what is lost; NULs are dropped."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    data = data.replace(b"\0", b"")
    utf8, gb18030 = data.decode("utf-8-sig", "replace"), data.decode("gb18030", "replace")
    return utf8 if utf8.count("\ufffd") <= gb18030.count("\ufffd") else gb18030
