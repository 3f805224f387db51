"""Where a scoring run writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from duobiao.errors import ConfigError, DataError
from duobiao.score.settings import Format

_FILES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


@dataclass(frozen=True)
class Places:
    """All files of a run.

    Attributes:
        out: The output: a folder of part files, or one file.
        format: Format of the parts.
        is_file: Whether the output is one file.
    """

    out: Path
    format: Format
    is_file: bool

    @classmethod
    def of(cls, out: Path, format: Format | None, inputs: Sequence[str | Path] = (), files: Sequence[Path] = ()) -> Places:
        """Places beside an output.

        Args:
            out: The output; a name that ends in ``.jsonl`` or ``.parquet`` is one file.
            format: Format of the parts of a folder; Parquet by default.
            inputs: Files, globs and folders as they were given.
            files: The files that they stand for.

        Raises:
            DataError: If the output cannot stand there, or what is written would be read, or replaced, as an input.
            ConfigError: If there is no such format.
        """
        if format not in (None, "parquet", "jsonl"):
            raise ConfigError(f"--format {format!r}: no such format", hint="parquet or jsonl")
        named = _FILES.get(out.suffix.lower())
        if named and format not in (None, named):
            raise DataError(f"{out}: is no {format} file", hint="leave --format out, or name a folder")
        if named and out.is_dir():
            raise DataError(f"{out}: is a folder", hint="name a file, or a folder without such an ending")
        places = cls(out, named or format or "parquet", bool(named))
        problems = [*places._inputs_that_stand_for_us(inputs), *places._files_of_ours(files)]
        if problems:
            raise DataError(
                f"{out}: what is written there would be read as an input, or replace one",
                hint="name an --output away from the inputs, or inputs that leave it out",
                problems=problems,
            )
        return places

    def _inputs_that_stand_for_us(self, inputs: Sequence[str | Path]) -> Iterator[str]:
        """Folders and globs in which the output, or what stands beside it, would be found the next time."""
        ours = [self.out, self.bad, self.report, *([] if self.is_file else [self.out / self.part(0).name])]
        for given in inputs:
            path = Path(given)
            if path.is_dir() and self.out.resolve().is_relative_to(path.resolve()):
                yield f"the output stands in the input folder {given}"
            elif not path.exists():
                matched = next((place for place in ours if _matches(str(given), place)), None)
                if matched is not None:
                    yield f"the glob {str(given)!r} matches {matched}"

    def _files_of_ours(self, files: Sequence[Path]) -> Iterator[str]:
        places = {place.resolve() for place in (self.out, self.bad, self.report)}
        for file in files:
            place = file.resolve()
            if place == self.out.resolve():
                yield f"the output is the input itself: {file}"
            elif place in places or any(place.is_relative_to(one.resolve()) for one in (self.out, self.run)):
                yield f"the input {file} stands where the output goes"

    @property
    def run(self) -> Path:
        """The folder of a run under way."""
        return self._beside(".run")

    @property
    def report(self) -> Path:
        """What the finished run was."""
        return self._beside(".score.json")

    @property
    def bad(self) -> Path:
        """The side file of bad rows."""
        return bad_file(self.out)

    @property
    def parts(self) -> Path:
        return self.run / "parts"

    @property
    def bad_parts(self) -> Path:
        return self.run / "bad"

    @property
    def joined(self) -> Path:
        """All parts in one file, before it is in its place."""
        return self.run / f"joined.{self.format}"

    @property
    def ready(self) -> Path:
        """What becomes the output."""
        return self.joined if self.is_file else self.parts

    def part(self, number: int) -> Path:
        """The answers of a part."""
        return self.parts / f"part-{number:05d}.{self.format}"

    def bad_part(self, number: int) -> Path:
        """The bad rows of a part."""
        return self.bad_parts / f"part-{number:05d}.jsonl"

    def _beside(self, ending: str) -> Path:
        return self.out.with_name(self.out.name + ending)


def bad_file(out: Path) -> Path:
    """The side file of bad rows of an output."""
    return out.with_name(out.name + ".bad.jsonl")


def _matches(pattern: str, place: Path) -> bool:
    """Whether a glob would find a place, be it there or not."""
    patterns, names = (Path(os.path.abspath(one)).parts for one in (pattern, place))  # noqa: PTH100 - may stay unresolved
    return _fits(patterns, names)


def _fits(patterns: Sequence[str], names: Sequence[str]) -> bool:
    if not patterns:
        return not names
    if patterns[0] == "**":  # any number of folders; at the end the place itself, too
        return any(_fits(patterns[1:], names[at:]) for at in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], patterns[0]) and _fits(patterns[1:], names[1:])
