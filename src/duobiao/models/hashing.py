"""Hashed character n-grams: sparse features of any text without a vocabulary to store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import numpy.typing as npt

from duobiao.data.encode import Pair
from duobiao.models.ngrams import CONTEXT, Counts, Keys, counted, features, gather

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_MULTIPLIER = np.uint32(0x9E3779B1)
_MIX = (np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35))


class HashedNgrams:
    """TF-IDF over buckets (the hashing trick, arXiv 0902.2206) of character n-grams of the text, and of the whole context.

    A bucket that stands ``t`` times in a row weighs ``(1 + log t) * idf``; a row's weights are divided by their length. N-grams
    that share a bucket count together. Hashes depend on code points alone: the same on every machine and in every version.

    Args:
        ngrams: Shortest and longest n-gram, in characters of the lower-case text.
        buckets: Number of buckets, a power of two.
        idf: Weight of each bucket, ``(buckets,)``; 1 by default.
    """

    def __init__(self, ngrams: tuple[int, int], buckets: int, idf: npt.NDArray[np.float32] | None = None) -> None:
        self.ngrams, self.buckets = ngrams, buckets
        self.idf = np.ones(buckets, dtype=np.float32) if idf is None else idf

    def fit(self, pairs: Sequence[Pair]) -> HashedNgrams:
        """Learns ``idf = 1 + log((1 + rows) / (1 + rows that hold the bucket))``, as scikit-learn does."""
        _, columns, _ = self.count(pairs)
        held = np.bincount(columns, minlength=self.buckets)
        self.idf = (1.0 + np.log((1.0 + len(pairs)) / (1.0 + held))).astype(np.float32)
        return self

    def transform(self, pairs: Sequence[Pair]) -> csr_matrix:
        """Features ``(rows, buckets)`` of cleaned (text, context) pairs, float32; each of length 1."""
        return features(self, self.idf, pairs)

    def count(self, pairs: Sequence[Pair]) -> Counts:
        """Row, bucket and number of occurrences of everything that stands in the rows, by row, then by bucket."""
        owners, hashed = gather([text.lower() for text, _ in pairs], self.ngrams, np.uint32, _hash)
        named = [(number, context) for number, (_, context) in enumerate(pairs) if context is not None]
        if named:
            owners.append(np.array([number for number, _ in named]))
            codes = [crc32(f"{CONTEXT}{context}".encode("utf-8", "surrogatepass")) for _, context in named]
            hashed.append(np.array(codes, dtype=np.uint32))
        return counted(np.concatenate(owners), self._bucket(np.concatenate(hashed)), self.buckets)

    def _bucket(self, hashes: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """The bucket of each hash, after the finaliser of MurmurHash3, which lets every bit count."""
        mixed = (hashes ^ (hashes >> np.uint32(16))) * _MIX[0]
        mixed = (mixed ^ (mixed >> np.uint32(13))) * _MIX[1]
        return ((mixed ^ (mixed >> np.uint32(16))) & np.uint32(self.buckets - 1)).astype(np.int64)


def _hash(keys: Keys, points: npt.NDArray[np.uint32], size: int) -> Keys:
    del size
    hashes: Keys = keys * _MULTIPLIER + points
    return hashes
