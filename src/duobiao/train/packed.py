"""Plain text as token sequences, packed to full length and kept on disk: memory stays flat, rows can be drawn in any order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from duobiao import progress
from duobiao.data.encode import Ids
from duobiao.data.plain_text import lines_of
from duobiao.data.write import write_text, written_beside
from duobiao.errors import DataError
from duobiao.train.units import NO_PIECE, NO_WORD, Reader, Unit

MARK = "corpus.json"
_LINES = 1000
_COLUMNS: dict[str, type[np.unsignedinteger[Any]]] = {
    "ids": np.uint32,
    "words": np.uint8,
    "others": np.uint32,
    "pieces": np.uint16,
}
_ALONG = {"ids": "ids", "words": "ids", "pieces": "ids", "others": "others"}
"""The column whose lengths a column has."""


@dataclass(frozen=True)
class Frame:
    """What stands around and between lines.

    Attributes:
        before: Ids that begin a sequence ([CLS]).
        between: Ids between two lines ([SEP]).
        after: Ids that end a sequence ([SEP]).
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Frame:
        """As the tokenizer frames a single text."""
        probe = tokenizer.encode("一")
        own = [number for number, special in enumerate(probe.special_tokens_mask) if not special]
        first, last = (own[0], own[-1] + 1) if own else (1, 1)
        after = tuple(probe.ids[last:])
        return cls(tuple(probe.ids[:first]), after[:1], after)

    def room(self, length: int) -> int:
        """Tokens of text in a sequence of ``length``."""
        return length - len(self.before) - len(self.after)

    def around(self, parts: Sequence[Ids], between: Sequence[int], before: Sequence[int], after: Sequence[int]) -> Ids:
        """One sequence of the parts of lines, with the given values where the frame's ids stand."""
        inner = [piece for part in parts for piece in (part, between)][:-1]
        return np.concatenate([before, *inner, after]).astype(np.int64)

    def ids(self, parts: Sequence[Ids]) -> Ids:
        """The ids of a sequence."""
        return self.around(parts, self.between, self.before, self.after)

    def filled(self, parts: Sequence[Ids], value: int) -> Ids:
        """Values beside the ids of a sequence: ``value`` where the frame stands."""
        return self.around(parts, *([value] * len(some) for some in (self.between, self.before, self.after)))


class Packed:
    """Sequences of tokens on disk.

    Args:
        folder: Where ``pack`` wrote them.
    """

    def __init__(self, folder: Path) -> None:
        self._lengths = {
            path.stem.removesuffix("_lengths"): np.load(path).astype(np.int64) for path in folder.glob("*_lengths.npy")
        }
        self._starts = {
            name: np.concatenate([[0], np.cumsum(found)[:-1]]).astype(np.int64) for name, found in self._lengths.items()
        }
        self._columns = {
            name: np.memmap(folder / f"{name}.bin", dtype=kind, mode="r")
            for name, kind in _COLUMNS.items()
            if (folder / f"{name}.bin").is_file()
        }
        self.lengths: Ids = self._lengths["ids"]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> Ids:
        start = self._starts["ids"][number]
        return self._columns["ids"][start : start + self.lengths[number]].astype(np.int64)

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self._columns

    def column(self, name: str, rows: Ids, fill: int) -> tuple[Ids, Ids]:
        """A column of some sequences, padded with ``fill``, and the mask of what is not: both ``(rows, length)``."""
        lengths, starts = self._lengths[_ALONG[name]][rows], self._starts[_ALONG[name]][rows]
        at = np.arange(lengths.max(initial=1))
        mask = at < lengths[:, None]
        column = self._columns[name]
        found = column[np.minimum(starts[:, None] + at, len(column) - 1)].astype(np.int64)
        return np.where(mask, found, fill), mask.astype(np.int64)

    def batch(self, rows: Ids, pad_id: int) -> dict[str, npt.NDArray[Any]]:
        """A padded batch: ``input_ids``, ``attention_mask``, ``token_type_ids``, each ``(rows, length)``."""
        ids, mask = self.column("ids", rows, pad_id)
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def pack(
    files: Sequence[Path],
    reader: Reader,
    max_length: int,
    folder: Path,
    name: str,
    lines: Callable[[Path], Iterator[str]] = lines_of,
) -> Packed:
    """Tokenizes texts and packs neighbouring lines of a file into sequences; what is there already is taken as it is.

    Args:
        files: Text files, as ``lines_of`` reads them.
        reader: Makes tokens of lines.
        max_length: Tokens a sequence at most, those of the frame included.
        folder: Where the sequences go.
        name: What they are made of; sequences of another name are made anew.
        lines: Gives the texts of a file.

    Raises:
        DataError: If the files hold no text, or naming everything in them that cannot be read.
    """
    mark = folder / MARK
    if not mark.is_file() or json.loads(mark.read_text(encoding="utf-8"))["name"] != name:
        mark.unlink(missing_ok=True)
        for column in _COLUMNS:  # of those that another reader left
            (folder / f"{column}.bin").unlink(missing_ok=True)
            (folder / f"{column}_lengths.npy").unlink(missing_ok=True)
        with ExitStack() as stack:
            out = {
                column: stack.enter_context(stack.enter_context(written_beside(folder / f"{column}.bin")).open("wb"))
                for column in reader.columns
            }
            lengths = _write(_sequences(files, reader, max_length, lines), out)
            if not lengths["ids"]:
                raise DataError(
                    "the files hold no text", hint="give files with a text a line", problems=[str(f) for f in files]
                )
        for column, found in lengths.items():
            with written_beside(folder / f"{column}_lengths.npy") as beside, beside.open("wb") as file:
                np.save(file, np.asarray(found, dtype=np.uint32))
        write_text(mark, json.dumps({"name": name, "sequences": len(lengths["ids"])}))
    return Packed(folder)


def _write(sequences: Iterable[dict[str, Ids]], out: Mapping[str, IO[bytes]]) -> dict[str, list[int]]:
    lengths: dict[str, list[int]] = {name: [] for name in out if _ALONG[name] == name}
    for sequence in sequences:
        for name, values in sequence.items():
            out[name].write(values.astype(_COLUMNS[name]).tobytes())
            if name in lengths:
                lengths[name].append(len(values))
    return lengths


def _sequences(
    files: Sequence[Path], reader: Reader, max_length: int, lines: Callable[[Path], Iterator[str]]
) -> Iterator[dict[str, Ids]]:
    frame, other = Frame.of(reader.tokenizer), Frame.of(reader.other) if reader.other else None
    room = frame.room(max_length)
    errors: list[DataError] = []
    for number, path in enumerate(files):
        progress.say(f"reading {path} ({number + 1} of {len(files)})")
        waiting: list[Unit] = []
        filled = 0
        for unit in _units(_collected(lines(path), errors), reader, room):
            size = len(unit.ids) + (len(frame.between) if waiting else 0)
            if waiting and filled + size > room:
                yield _sequence(waiting, reader, frame, other)
                waiting, filled, size = [], 0, len(unit.ids)
            waiting.append(unit)
            filled += size
        if waiting:
            yield _sequence(waiting, reader, frame, other)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems = [problem for error in errors for problem in error.problems or (error.message,)]
        raise DataError(f"{len(errors)} files of text cannot be read", hint=errors[0].hint, problems=problems)


def _collected(lines: Iterator[str], errors: list[DataError]) -> Iterator[str]:
    """The lines of a file; what ends them is kept for later, so that all files are looked at."""
    try:
        yield from lines
    except DataError as error:
        errors.append(error)


def _sequence(units: Sequence[Unit], reader: Reader, frame: Frame, other: Frame | None) -> dict[str, Ids]:
    found = {"ids": frame.ids([unit.ids for unit in units])}
    if "words" in reader.columns:
        found["words"] = frame.filled([unit.words for unit in units], NO_WORD)
    if other is not None:
        found["others"] = other.ids([unit.others for unit in units])
        at, shifted = len(other.before), []
        for unit in units:
            shifted.append(np.where(unit.pieces == NO_PIECE, NO_PIECE, np.minimum(unit.pieces + at, NO_PIECE)))
            at += len(unit.others) + len(other.between)
        found["pieces"] = frame.filled(shifted, NO_PIECE)
    return found


def _units(lines: Iterator[str], reader: Reader, room: int) -> Iterator[Unit]:
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if len(waiting) == _LINES:
            yield from reader.units(waiting, room)
            waiting = []
    yield from reader.units(waiting, room)
