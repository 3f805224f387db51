"""Near duplicates among many texts: MinHash, locality-sensitive hashing, then the exact Jaccard similarity of what it found.

MinHash: Broder, "On the resemblance and containment of documents" (1997). Two sets have the same smallest element under a
random order with a probability that equals their Jaccard similarity. Bands: Leskovec, Rajaraman, Ullman, "Mining of Massive
Datasets", section 3.4: of ``BANDS`` groups of ``WIDTH`` such elements one at least agrees with probability
``1 - (1 - s**WIDTH)**BANDS`` for texts of similarity s: 0.997 at 0.8, 0.27 at 0.5.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao import progress

THRESHOLD = 0.8
NGRAM = 2
BANDS, WIDTH = 20, 6
_CHUNK_CHARACTERS = 500_000
_SMALL_BUCKET, _NEIGHBOURS = 32, 16
_ROUGH_MARGIN = 0.15  # over four standard errors of a similarity that is estimated from 120 hashes

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts that are alike.

    Attributes:
        first: Positions of the one, shape ``(pairs,)``.
        second: Positions of the other, always larger.
        similarity: Jaccard similarity of their sets of character n-grams.
    """

    first: Ints
    second: Ints
    similarity: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)


def near_duplicates(
    texts: Sequence[str], blocks: Sequence[str | None] | None = None, threshold: float = THRESHOLD, ngram: int = NGRAM
) -> Pairs:
    """Pairs of texts whose sets of character n-grams have a Jaccard similarity of ``threshold`` or more.

    Every pair that is returned was verified exactly. Of the pairs that exist, MinHash misses about 0.3 % at a similarity of
    0.8 and fewer above. Where more than ``_SMALL_BUCKET`` texts are alike, each is compared with the first of them and its
    neighbours only, so that a message sent a million times costs no more than a million rows.

    Args:
        texts: The texts; give distinct ones, equal ones only cost time.
        blocks: Only texts with equal blocks (contexts) are compared.
        threshold: Smallest similarity, over 0 and up to 1.
        ngram: Characters a shingle has; a shorter text is one shingle.
    """
    if len(texts) < 2:
        return _no_pairs()
    shingles, starts = shingle(texts, ngram)
    with progress.task("near duplicates", 2 * BANDS + 2) as task:
        signatures = minhash(shingles, starts, BANDS * WIDTH, task)
        first, second = _candidates(signatures, _block_numbers(blocks, len(texts)), task)
        if not len(first):
            return _no_pairs()
        first, second = _roughly_alike(signatures, first, second, threshold)
        task.advance()
        similarity = jaccard(shingles, starts, first, second)
        task.advance()
    kept = similarity >= threshold - 1e-9
    return Pairs(first[kept], second[kept], similarity[kept])


def normalise(text: str) -> str:
    """What of a text counts for its likeness: letters, digits and Chinese characters; width and case do not."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return folded if folded.isalnum() else "".join(filter(str.isalnum, folded)) or "".join(folded.split())


def shingle(texts: Sequence[str], ngram: int = NGRAM) -> tuple[npt.NDArray[np.uint32], Ints]:
    """The hashed character n-grams of each text, without repetition, in ascending order.

    Returns:
        All hashes one text after another, shape ``(shingles,)``, and where each text begins, shape ``(texts + 1,)``.
    """
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    edges = np.concatenate([[0], np.cumsum(sizes)])
    hashes: list[npt.NDArray[np.uint32]] = []
    counts: list[Ints] = []
    start = 0
    while start < len(texts):
        stop = max(start + 1, int(np.searchsorted(edges, edges[start] + _CHUNK_CHARACTERS, side="right")) - 1)
        found, count = _shingle_chunk("".join(texts[start:stop]), sizes[start:stop], ngram)
        hashes.append(found)
        counts.append(count)
        start = stop
    return np.concatenate(hashes), np.concatenate([[0], np.cumsum(np.concatenate(counts))])


def _shingle_chunk(text: str, sizes: Ints, ngram: int) -> tuple[npt.NDArray[np.uint32], Ints]:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    owner = np.repeat(np.arange(len(sizes), dtype=np.uint64), sizes)
    ends = np.repeat(np.cumsum(sizes), sizes)
    value = codes.copy()
    for step in range(1, ngram):
        value[:-step] = _mix(value[:-step]) + codes[step:]
    place = np.arange(len(codes))
    firsts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    whole = (place + ngram <= ends) | ((place == firsts) & (ends - firsts < ngram))
    short = (ends - firsts < ngram) & (place == firsts)
    if short.any():  # one shingle, which must not depend on the text that comes next
        for at in np.flatnonzero(short):
            value[at] = _mix(codes[at : ends[at]]).sum(dtype=np.uint64) if ends[at] - at > 1 else codes[at]
    keys = np.unique((owner[whole] << np.uint64(32)) | (_mix(value[whole]) >> np.uint64(32)))
    count = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(sizes))
    return keys.astype(np.uint32), count


def _mix(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): spreads neighbouring numbers over all bits."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def minhash(
    shingles: npt.NDArray[np.uint32], starts: Ints, hashes: int, task: progress.Task | None = None
) -> npt.NDArray[np.uint32]:
    """The smallest value of each hash function over each text's shingles; shape ``(hashes, texts)``.

    A text without shingles gets values that equal nobody's.
    """
    random = np.random.default_rng(1997)
    factors = random.integers(0, 2**31, hashes, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    masks = random.integers(0, 2**32, hashes, dtype=np.uint32)
    texts = len(starts) - 1
    found = np.empty((hashes, texts), dtype=np.uint32)
    filled = np.flatnonzero(np.diff(starts))
    bare = np.setdiff1d(np.arange(texts), filled)
    step = max(1, round(200_000 / max(len(shingles) / max(len(filled), 1), 1)))
    told = 0
    for begin in range(0, len(filled), step):
        rows = filled[begin : begin + step]
        piece = shingles[starts[rows[0]] : starts[rows[-1] + 1]]
        offsets = starts[rows] - starts[rows[0]]
        value = np.empty_like(piece)
        for number in range(hashes):
            np.bitwise_xor(piece, masks[number], out=value)
            np.multiply(value, factors[number], out=value)
            value ^= value >> np.uint32(15)
            found[number, rows] = np.minimum.reduceat(value, offsets)
        if task is not None and (due := BANDS * (begin + len(rows)) // len(filled)) > told:
            task.advance(due - told)
            told = due
    found[:, bare] = bare.astype(np.uint32)
    return found


def _block_numbers(blocks: Sequence[str | None] | None, count: int) -> npt.NDArray[np.uint64]:
    if blocks is None:
        return np.zeros(count, dtype=np.uint64)
    known: dict[str | None, int] = {}
    return np.fromiter((known.setdefault(block, len(known)) for block in blocks), dtype=np.uint64, count=count)


def _candidates(signatures: npt.NDArray[np.uint32], blocks: npt.NDArray[np.uint64], task: progress.Task) -> tuple[Ints, Ints]:
    """Pairs that share a bucket of some band, each once; texts of different blocks never share one."""
    texts = signatures.shape[1]
    found: list[Any] = []
    for band in range(BANDS):
        key = _mix(blocks + np.uint64(1))
        for line in signatures[band * WIDTH : (band + 1) * WIDTH]:
            key = _mix(key + line)
        order = np.argsort(key, kind="stable")
        ranked = key[order]
        edges = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, [texts]])
        found.append(np.unique(_bucket_pairs(order, edges, texts)))
        task.advance()
    pairs = np.unique(np.concatenate(found))
    return pairs // texts, pairs % texts


def _bucket_pairs(order: Ints, edges: Ints, texts: int) -> Ints:
    """Pairs inside buckets, as ``smaller * texts + larger``: all in small ones, neighbours and the first ones in large ones."""
    begins, ends = edges[:-1], edges[1:]
    full = ends - begins > 1
    begins, sizes = begins[full], (ends - begins)[full]
    inside = np.repeat(begins, sizes) + _counting(sizes)
    rank, size, begin = _counting(sizes), np.repeat(sizes, sizes), np.repeat(begins, sizes)
    found = []
    for step in range(1, min(_SMALL_BUCKET, int(sizes.max(initial=1)) - 1) + 1):
        reach = (rank + step < size) & ((size <= _SMALL_BUCKET) | (step <= _NEIGHBOURS))
        found.append((inside[reach], inside[reach] + step))
        if step <= _NEIGHBOURS:
            large = (size > _SMALL_BUCKET) & (rank >= step)
            found.append((begin[large] + step - 1, inside[large]))
    if not found:
        return np.empty(0, dtype=np.int64)
    one = order[np.concatenate([pair[0] for pair in found])]
    other = order[np.concatenate([pair[1] for pair in found])]
    pairs: Ints = np.minimum(one, other) * texts + np.maximum(one, other)
    return pairs


def _counting(sizes: Ints) -> Ints:
    """0, 1, ... within each run: (2, 3) gives 0 1 0 1 2."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _roughly_alike(
    signatures: npt.NDArray[np.uint32], first: Ints, second: Ints, threshold: float, step: int = 200_000
) -> tuple[Ints, Ints]:
    """Pairs whose estimated similarity is near the threshold or above it."""
    by_text = np.ascontiguousarray(signatures.T)
    kept = np.zeros(len(first), dtype=np.bool_)
    for begin in range(0, len(first), step):
        part = slice(begin, begin + step)
        kept[part] = (by_text[first[part]] == by_text[second[part]]).mean(axis=1) >= threshold - _ROUGH_MARGIN
    return first[kept], second[kept]


def jaccard(
    shingles: npt.NDArray[np.uint32], starts: Ints, first: Ints, second: Ints, step: int = 100_000
) -> npt.NDArray[np.float64]:
    """Exact Jaccard similarity of pairs of texts; shape ``(pairs,)``."""
    sizes = np.diff(starts)
    found = np.zeros(len(first))
    for begin in range(0, len(first), step):
        one, other = first[begin : begin + step], second[begin : begin + step]
        pair = np.arange(len(one), dtype=np.uint64) << np.uint64(32)
        keys = []
        for side in (one, other):
            inside = np.repeat(starts[side], sizes[side]) + _counting(sizes[side])
            keys.append(np.repeat(pair, sizes[side]) | shingles[inside])
        merged = np.concatenate(keys)
        merged.sort(kind="stable")  # two ascending runs
        shared = merged[1:][merged[1:] == merged[:-1]] >> np.uint64(32)
        both = np.bincount(shared.astype(np.int64), minlength=len(one))
        found[begin : begin + step] = both / np.maximum(sizes[one] + sizes[other] - both, 1)
    return found


def _no_pairs() -> Pairs:
    nothing = np.empty(0, dtype=np.int64)
    return Pairs(nothing, nothing, np.empty(0))
