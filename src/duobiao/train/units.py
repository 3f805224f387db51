"""Lines of plain text to tokens, with what stands beside them: where words begin, and the tokens of another tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from duobiao.data.encode import Ids
from duobiao.data.segmenter import Cut, word_begins

NO_WORD, WORD_BEGINS, WORD_GOES_ON = 0, 1, 2
"""Marks of tokens: part of no word (frames), the first token of a word, a further one."""
NO_PIECE = 65535


def _nothing() -> Ids:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Unit:
    """A line, or a part of a long one, without its frame.

    Attributes:
        ids: Its tokens.
        words: The mark of each token; empty where nobody asked.
        others: The tokens of another tokenizer for the same characters; empty where there is none.
        pieces: The number in ``others`` of the token that holds the first character of each own token, or ``NO_PIECE``.
    """

    ids: Ids
    words: Ids = field(default_factory=_nothing)
    others: Ids = field(default_factory=_nothing)
    pieces: Ids = field(default_factory=_nothing)


@dataclass(frozen=True)
class Reader:
    """Makes units of lines.

    Attributes:
        tokenizer: Without truncation and padding.
        prepare: Cleans a line.
        cut: Parts a text into words. None: no words are marked.
        other: The tokenizer of somebody who reads along, without truncation and padding.
    """

    tokenizer: Tokenizer
    prepare: Callable[[str], str]
    cut: Cut | None = None
    other: Tokenizer | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """What the units hold."""
        return ("ids", *(["words"] if self.cut else []), *(["others", "pieces"] if self.other else []))

    def units(self, lines: Sequence[str], room: int) -> Iterator[Unit]:
        """Units of at most ``room`` tokens, in order; lines without a token give none.

        A line that is longer is parted, before the first token of a word where words are known.
        """
        texts = [self.prepare(line) for line in lines]
        if self.cut is None and self.other is None:
            for found in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False):
                yield from (Unit(part) for part in _parts(np.asarray(found.ids, dtype=np.int64), room))
            return
        encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        pending: list[tuple[str, Ids, Ids, Ids]] = []
        for text, found in zip(texts, encoded, strict=True):
            ids, starts = np.asarray(found.ids, dtype=np.int64), _starts(found)
            words = self._words(text, starts)
            for first, last in _cuts(words, len(ids), room):
                begin = int(starts[first]) if first else 0
                end = int(starts[last]) if last < len(ids) else len(text)
                pending.append((text[begin:end], ids[first:last], words[first:last], starts[first:last] - begin))
        others = self.other.encode_batch([text for text, *_ in pending], add_special_tokens=False) if self.other else None
        for number, (_, ids, words, starts) in enumerate(pending):
            if others is None:
                yield Unit(ids, words)
            else:
                yield Unit(ids, words, np.asarray(others[number].ids, np.int64), _pieces(others[number], starts))

    def _words(self, text: str, starts: Ids) -> Ids:
        if self.cut is None:
            return np.full(len(starts), WORD_BEGINS)
        begins = word_begins(text, self.cut)[starts] if len(starts) else np.zeros(0, np.bool_)
        begins[1:] &= starts[1:] != starts[:-1]  # tokens of bytes: a character that is several
        begins[:1] = True
        return np.where(begins, WORD_BEGINS, WORD_GOES_ON)


def _starts(found: Any) -> Ids:
    return np.fromiter((start for start, _ in found.offsets), dtype=np.int64, count=len(found.ids))


def _pieces(theirs: Any, starts: Ids) -> Ids:
    """Which token of ``theirs`` holds each of these characters; characters that it leaves out have none."""
    pieces = np.searchsorted(_starts(theirs), starts, side="right") - 1
    ends = np.fromiter((end for _, end in theirs.offsets), dtype=np.int64, count=len(theirs.ids))
    held = pieces >= 0
    held[held] = ends[pieces[held]] > starts[held]
    return np.where(held, pieces, NO_PIECE)


def _parts(ids: Ids, room: int) -> Iterator[Ids]:
    return (ids[start : start + room] for start in range(0, len(ids), room))


def _cuts(words: Ids, size: int, room: int) -> Iterator[tuple[int, int]]:
    first = 0
    while first < size:
        last = min(first + room, size)
        if last < size:  # back to where a word begins, if there is one
            begins = np.flatnonzero(words[first + 1 : last + 1] == WORD_BEGINS)
            last = first + 1 + int(begins[-1]) if len(begins) else last
        yield first, last
        first = last
