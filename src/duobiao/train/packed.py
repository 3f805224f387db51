"""Plain text as token sequences, packed to full length and kept on disk: memory stays flat, rows can be drawn in any order."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from duobiao import progress
from duobiao.data.encode import Ids
from duobiao.data.plain_text import lines_of
from duobiao.data.write import write_text, written_beside
from duobiao.errors import DataError

TOKENS, INDEX, MARK = "tokens.bin", "lengths.npy", "corpus.json"
_LINES = 1000


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


class Packed:
    """Sequences of tokens on disk.

    Args:
        folder: Where ``pack`` wrote them.
    """

    def __init__(self, folder: Path) -> None:
        self.lengths: Ids = np.load(folder / INDEX).astype(np.int64)
        self.starts: Ids = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
        self._tokens = np.memmap(folder / TOKENS, dtype=np.uint32, mode="r")

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> Ids:
        start = self.starts[number]
        return self._tokens[start : start + self.lengths[number]].astype(np.int64)

    def batch(self, rows: Ids, pad_id: int) -> dict[str, npt.NDArray[Any]]:
        """A padded batch: ``input_ids``, ``attention_mask``, ``token_type_ids``, each ``(rows, length)``."""
        shape = (len(rows), int(self.lengths[rows].max()))
        ids, mask = np.full(shape, pad_id, np.int64), np.zeros(shape, np.int64)
        for place, row in enumerate(rows):
            found = self[int(row)]
            ids[place, : len(found)] = found
            mask[place, : len(found)] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}


def pack(
    files: Sequence[Path], tokenizer: Tokenizer, prepare: Callable[[str], str], max_length: int, folder: Path, name: str
) -> Packed:
    """Tokenizes texts and packs neighbouring lines of a file into sequences; what is there already is taken as it is.

    Args:
        files: Text files, as ``lines_of`` reads them.
        tokenizer: Without truncation and padding.
        prepare: Cleans a text.
        max_length: Tokens a sequence at most, those of the frame included.
        folder: Where the sequences go.
        name: What they are made of; sequences of another name are made anew.

    Raises:
        DataError: If the files hold no text, or lines that cannot be read.
    """
    mark = folder / MARK
    if not mark.is_file() or json.loads(mark.read_text(encoding="utf-8"))["name"] != name:
        mark.unlink(missing_ok=True)
        lengths = array("I")
        with written_beside(folder / TOKENS) as beside, beside.open("wb") as out:
            for sequence in _sequences(files, tokenizer, prepare, max_length):
                lengths.append(len(sequence))
                out.write(np.asarray(sequence, dtype=np.uint32).tobytes())
            if not lengths:
                raise DataError(
                    "the files hold no text", hint="give files with a text a line", problems=[str(f) for f in files]
                )
        with written_beside(folder / INDEX) as beside, beside.open("wb") as out:
            np.save(out, np.frombuffer(lengths, dtype=np.uint32))
        write_text(mark, json.dumps({"name": name, "sequences": len(lengths)}))
    return Packed(folder)


def _sequences(
    files: Sequence[Path], tokenizer: Tokenizer, prepare: Callable[[str], str], max_length: int
) -> Iterator[list[int]]:
    frame = Frame.of(tokenizer)
    room = max_length - len(frame.before) - len(frame.after)
    for number, path in enumerate(files):
        progress.say(f"reading {path} ({number + 1} of {len(files)})")
        inner: list[int] = []
        for ids in _tokenized(lines_of(path), tokenizer, prepare):
            for start in range(0, len(ids), room):
                piece = ids[start : start + room]
                if inner and len(inner) + len(frame.between) + len(piece) > room:
                    yield [*frame.before, *inner, *frame.after]
                    inner = []
                inner = [*inner, *frame.between, *piece] if inner else piece
        if inner:
            yield [*frame.before, *inner, *frame.after]


def _tokenized(lines: Iterator[str], tokenizer: Tokenizer, prepare: Callable[[str], str]) -> Iterator[list[int]]:
    waiting: list[str] = []
    for line in lines:
        waiting.append(prepare(line))
        if len(waiting) == _LINES:
            yield from (found.ids for found in tokenizer.encode_batch_fast(waiting, add_special_tokens=False))
            waiting = []
    yield from (found.ids for found in tokenizer.encode_batch_fast(waiting, add_special_tokens=False))
