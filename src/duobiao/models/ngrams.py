"""Character n-grams of rows, found by array operations; exact ones by a vocabulary. For hashed ones see ``hashing``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from duobiao.data.encode import Pair

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Ids = npt.NDArray[np.int64]
Counts = tuple[Ids, Ids, Ids]
Keys = npt.NDArray[Any]
Step = Callable[[Keys, npt.NDArray[np.uint32], int], Keys]
CONTEXT = "\x02"
"""What stands before a context in a vocabulary."""
_SPACES = re.compile(r"\s\s+")
_BITS = 21
"""Enough for every code point and one more value."""
_PACKED = 64 // _BITS
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Counter(Protocol):
    """Finds n-grams."""

    def count(self, pairs: Sequence[Pair]) -> Counts:
        """Row, column and number of occurrences of everything that stands in the rows, by row, then by column."""
        ...


def gather(texts: Sequence[str], ngrams: tuple[int, int], keys: npt.DTypeLike, step: Step) -> tuple[list[Ids], list[Keys]]:
    """A key for every n-gram of every text, a size at a time: the rows they stand in, and the keys.

    Args:
        texts: As they are to be read.
        ngrams: Shortest and longest n-gram, in characters.
        keys: The keys' type; a key begins as 0.
        step: From the keys of n-grams that are one shorter, the code points that follow them, and the size: the keys.
    """
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)
    row = np.repeat(np.arange(len(texts)), sizes)
    left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(points))  # characters from here to the row's end
    owners, found = [], []
    grown = np.zeros(len(points), dtype=keys)
    for size in range(1, ngrams[1] + 1):
        grown = step(grown[: len(points) - size + 1], points[size - 1 :], size)
        if size >= ngrams[0]:
            whole = left[: len(grown)] >= size
            owners.append(row[: len(grown)][whole])
            found.append(grown[whole])
    return owners, found


def counted(rows: Ids, columns: Ids, width: int) -> Counts:
    """Occurrences as ``Counter.count`` gives them."""
    keys = rows * width + columns
    if len(keys) and keys.max() < 2**31:
        keys = keys.astype(np.int32)  # sorted in half the time
    keys.sort()
    new = np.ones(len(keys) + 1, dtype=np.bool_)  # what np.unique does, which takes longer to begin than a short text takes
    np.not_equal(keys[1:], keys[:-1], out=new[1:-1])
    edges = new.nonzero()[0]
    found = keys[edges[:-1]].astype(np.int64)
    return found // width, found % width, edges[1:] - edges[:-1]


def weighed(counts: Counts, idf: npt.NDArray[np.float32], rows: int) -> npt.NDArray[np.float32]:
    """TF-IDF of counts: ``(1 + log count) * idf``, a row's weights divided by their length."""
    own, columns, often = counts
    values = (1.0 + np.log(often)).astype(np.float32) * idf[columns]
    lengths = np.sqrt(np.bincount(own, weights=values.astype(np.float64) ** 2, minlength=rows))
    values /= lengths[own].astype(np.float32)
    return values


def features(counter: Counter, idf: npt.NDArray[np.float32], pairs: Sequence[Pair]) -> csr_matrix:
    """TF-IDF features ``(rows, len(idf))`` of cleaned (text, context) pairs, float32; each row of length 1."""
    from scipy.sparse import csr_matrix

    counts = counter.count(pairs)
    edges = np.zeros(len(pairs) + 1, dtype=np.int32)
    np.cumsum(np.bincount(counts[0], minlength=len(pairs)), out=edges[1:])
    return csr_matrix((weighed(counts, idf, len(pairs)), counts[1].astype(np.int32), edges), shape=(len(pairs), len(idf)))


class VocabularyNgrams:
    """Character n-grams of the lower-case text, and the context, that are in a vocabulary; as scikit-learn finds them.

    N-grams of up to three characters are packed into one number each and looked up together; longer ones one by one.

    Args:
        ngrams: Shortest and longest n-gram.
        vocabulary: What the columns stand for, in order.
        idf: Weight of each column, ``(columns,)``; 1 by default.
    """

    def __init__(self, ngrams: tuple[int, int], vocabulary: Sequence[str], idf: npt.NDArray[np.float32] | None = None) -> None:
        self.ngrams, self.vocabulary = ngrams, vocabulary
        self.idf = np.ones(len(vocabulary), dtype=np.float32) if idf is None else idf
        packs = ngrams[1] <= _PACKED
        kept = [(term, place) for place, term in enumerate(vocabulary) if not packs or term.startswith(CONTEXT)]
        self.places = dict(kept)
        self.table = KeyTable(*_packed(vocabulary)) if packs else None

    def transform(self, pairs: Sequence[Pair]) -> csr_matrix:
        """Features ``(rows, columns)`` of cleaned (text, context) pairs, float32; each row of length 1."""
        return features(self, self.idf, pairs)

    def count(self, pairs: Sequence[Pair]) -> Counts:
        """Row, column and number of occurrences of everything that stands in the rows, by row, then by column."""
        texts = [_SPACES.sub(" ", text.lower()) for text, _ in pairs]
        if self.table is None:
            found = [
                (row, self.places[term]) for row, text in enumerate(texts) for term in self._terms(text) if term in self.places
            ]
            rows, columns = np.array(found, dtype=np.int64).reshape(-1, 2).T
        else:
            owners, keys = gather(texts, self.ngrams, np.uint64, _pack)
            places = self.table.find(np.concatenate(keys))
            rows, columns = np.concatenate(owners)[places >= 0], places[places >= 0]
        named = [
            (row, self.places.get(f"{CONTEXT}{context}", -1)) for row, (_, context) in enumerate(pairs) if context is not None
        ]
        known = np.array([pair for pair in named if pair[1] >= 0], dtype=np.int64).reshape(-1, 2)
        both = np.concatenate([rows, known[:, 0]]), np.concatenate([columns, known[:, 1]])
        return counted(*both, max(len(self.vocabulary), 1))

    def _terms(self, text: str) -> list[str]:
        sizes = range(self.ngrams[0], min(self.ngrams[1], len(text)) + 1)
        return [text[at : at + size] for size in sizes for at in range(len(text) - size + 1)]


class KeyTable:
    """From numbers to places, many at a time: open addressing, linear probing.

    Args:
        keys: All different, none 0, ``(keys,)``.
        places: What each leads to, ``(keys,)``.
    """

    def __init__(self, keys: npt.NDArray[np.uint64], places: Ids) -> None:
        bits = max(int(4 * len(keys)).bit_length(), 4)
        self.shift, self.mask = np.uint64(64 - bits), (1 << bits) - 1
        self.keys = np.zeros(1 << bits, dtype=np.uint64)
        self.places = np.full(1 << bits, -1, dtype=np.int32)
        waiting, slots = np.arange(len(keys)), self._slots(keys)
        while len(waiting):
            free = self.keys[slots] == 0
            _, first = np.unique(slots[free], return_index=True)
            taken = np.flatnonzero(free)[first]
            self.keys[slots[taken]], self.places[slots[taken]] = keys[waiting[taken]], places[waiting[taken]]
            waiting, slots = np.delete(waiting, taken), (np.delete(slots, taken) + 1) & self.mask

    def find(self, keys: npt.NDArray[np.uint64]) -> Ids:
        """The place of each key, -1 where there is none; ``(keys,)``."""
        slots = self._slots(keys)
        there = self.keys.take(slots)
        hit = there == keys
        found = np.where(hit, self.places.take(slots), np.int64(-1))
        waiting = (~hit & (there != 0)).nonzero()[0]
        slots = (slots[waiting] + 1) & self.mask
        while len(waiting):
            there = self.keys[slots]
            hit = there == keys[waiting]
            found[waiting[hit]] = self.places[slots[hit]]
            on = ~hit & (there != 0)
            waiting, slots = waiting[on], (slots[on] + 1) & self.mask
        return found

    def _slots(self, keys: npt.NDArray[np.uint64]) -> Ids:
        return ((keys * _GOLDEN) >> self.shift).astype(np.int64)


def _pack(keys: Keys, points: npt.NDArray[np.uint32], size: int) -> Keys:
    packed: Keys = keys | ((points.astype(np.uint64) + np.uint64(1)) << np.uint64(_BITS * (size - 1)))
    return packed


def _packed(vocabulary: Sequence[str]) -> tuple[npt.NDArray[np.uint64], Ids]:
    """The keys of the terms that are short enough, and their places."""
    short = np.array([place for place, term in enumerate(vocabulary) if 0 < len(term) <= _PACKED], dtype=np.int64)
    keys = np.zeros(len(short), dtype=np.uint64)
    terms = [vocabulary[place] for place in short]
    for size in range(1, _PACKED + 1):
        at = np.array([number for number, term in enumerate(terms) if len(term) >= size], dtype=np.int64)
        points = np.array([ord(terms[number][size - 1]) for number in at], dtype=np.uint32)
        keys[at] = _pack(keys[at], points, size)
    return keys, short
