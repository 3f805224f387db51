"""Where a scoring run writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    def of(cls, out: Path, format: Format | None, inputs: Sequence[Path], folders: Sequence[Path]) -> Places:
        """Places beside an output.

        Args:
            out: The output; a name that ends in ``.jsonl`` or ``.parquet`` is one file.
            format: Format of the parts of a folder; Parquet by default.
            inputs: The input files, none of which may be the output.
            folders: The input folders, in none of which the output may stand.

        Raises:
            DataError: If the output cannot stand there.
            ConfigError: If there is no such format.
        """
        if format not in (None, "parquet", "jsonl"):
            raise ConfigError(f"--format {format!r}: no such format", hint="parquet or jsonl")
        named = _FILES.get(out.suffix.lower())
        if named and format not in (None, named):
            raise DataError(f"{out}: is no {format} file", hint="leave --format out, or name a folder")
        places = cls(out, named or format or "parquet", bool(named))
        resolved = out.resolve()
        if any(file.resolve() == resolved for file in inputs):
            raise DataError(f"{out}: is the input itself", hint="name another --output")
        inside = [folder for folder in folders if resolved.is_relative_to(folder.resolve())]
        if inside:
            raise DataError(f"{out}: stands in the input folder {inside[0]}", hint="name an --output outside of it")
        if named and out.is_dir():
            raise DataError(f"{out}: is a folder", hint="name a file, or a folder without such an ending")
        return places

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
