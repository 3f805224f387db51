"""Hashed n-grams against a slow, dense count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.models.hashing import HashedNgrams

PAIRS = [
    ("快递坏了，快递", None),
    ("Ab好", "身份确认"),
    ("", None),
    ("", "售后"),
    ("𠮷野家𠮷", "身份确认\n上一轮"),
    ("aaaa", None),
]


def slow(hashed: HashedNgrams, pairs: list[tuple[str, str | None]]) -> np.ndarray:
    """TF-IDF by loops; only the bucket of a single n-gram is asked of the module."""
    found = np.zeros((len(pairs), hashed.buckets))
    for row, (text, context) in enumerate(pairs):
        low = text.lower()
        for size in range(hashed.ngrams[0], hashed.ngrams[1] + 1):
            for start in range(len(low) - size + 1):
                single = HashedNgrams((size, size), hashed.buckets).transform([(low[start : start + size], None)])
                found[row, single.indices[0]] += 1
        if context is not None:
            found[row, HashedNgrams(hashed.ngrams, hashed.buckets).transform([("", context)]).indices[0]] += 1
    held = found > 0
    idf = 1 + np.log((1 + len(pairs)) / (1 + held.sum(0)))
    found[held] = 1 + np.log(found[held])
    found *= idf
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


@pytest.mark.parametrize("ngrams", [(1, 1), (1, 3), (2, 4)])
@pytest.mark.parametrize("buckets", [256, 4096])
def test_features_are_those_of_a_slow_count(ngrams: tuple[int, int], buckets: int) -> None:
    hashed = HashedNgrams(ngrams, buckets).fit(PAIRS)
    found = hashed.transform(PAIRS)
    assert found.dtype == np.float32
    assert found.has_sorted_indices
    np.testing.assert_allclose(found.toarray(), slow(hashed, PAIRS), atol=1e-6)


def test_ngrams_keep_to_their_row_and_order_matters() -> None:
    hashed = HashedNgrams((2, 2), 2**16)
    both = hashed.transform([("快递", None), ("坏了", None), ("递快", None)])
    assert both.getnnz(axis=1).tolist() == [1, 1, 1]
    assert len(set(both.indices.tolist())) == 3


def test_case_is_one_and_a_context_is_no_text() -> None:
    hashed = HashedNgrams((1, 3), 2**16)
    upper, lower, context = (hashed.transform([pair]) for pair in [("ABC好", None), ("abc好", None), ("", "abc好")])
    assert (upper != lower).nnz == 0
    assert context.nnz == 1
    assert context.indices[0] not in lower.indices


def test_hashes_are_the_same_for_ever() -> None:
    """A bundle is read by other versions: these buckets may not move."""
    found = HashedNgrams((1, 2), 2**16).transform([("快递", None), ("", "身份确认")])
    assert [found[row].indices.tolist() for row in (0, 1)] == [[6422, 10553, 42730], [17032]]


def test_buckets_are_filled_evenly() -> None:
    characters = [(chr(point), None) for point in range(0x4E00, 0x4E00 + 8000)]
    counts = np.bincount(HashedNgrams((1, 1), 1024).transform(characters).indices, minlength=1024)
    assert ((counts - 8000 / 1024) ** 2 / (8000 / 1024)).sum() < 1023 + 5 * np.sqrt(2 * 1023)  # chi-square


@given(st.lists(st.tuples(st.text(max_size=12), st.none() | st.text(max_size=6)), max_size=6))
@settings(max_examples=50, deadline=None)
def test_a_row_is_the_same_alone_and_in_company(pairs: list[tuple[str, str | None]]) -> None:
    hashed = HashedNgrams((1, 3), 1024)
    together = hashed.transform(pairs)
    assert together.shape == (len(pairs), 1024)
    for row, pair in enumerate(pairs):
        assert (together[row] != hashed.transform([pair])[0]).nnz == 0
