"""Which words are masked: by property, by count, and against a slow loop over plain integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from duobiao.config.pretraining import MaskingSettings
from duobiao.errors import ConfigError
from duobiao.models.pretrained import wordpiece_tokenizer
from duobiao.train.masking import NOT_ASKED, Masker, mask_id, uniform
from duobiao.train.units import NO_WORD, WORD_BEGINS, WORD_GOES_ON

MASK, FIRST, LAST = 4, 10, 200
PAD = 0
Sequences = list[list[list[int]]]


def masker(seed: int = 0, **changes: Any) -> Masker:
    return Masker(MaskingSettings(**changes), seed, MASK, np.arange(FIRST, LAST))


def framed(sequences: Sequences, more: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of words of tokens as arrays, between frames, with ``more`` columns of padding than are needed."""
    rows = [([2] + [token for word in words for token in word] + [3]) for words in sequences]
    marks = [
        [NO_WORD] + [mark for word in words for mark in [WORD_BEGINS] + [WORD_GOES_ON] * (len(word) - 1)] + [NO_WORD]
        for words in sequences
    ]
    width = max(map(len, rows)) + more
    padded = [np.array([row + [fill] * (width - len(row)) for row in some]) for some, fill in ((rows, PAD), (marks, NO_WORD))]
    return padded[0], padded[1]


TEXTS = st.lists(
    st.lists(st.lists(st.integers(FIRST, LAST - 1), min_size=1, max_size=4), min_size=1, max_size=8), min_size=1, max_size=5
)
RATES = st.floats(0.05, 0.95)
SHARES = st.sampled_from([(0.8, 0.1), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.5, 0.5)])


@settings(deadline=None)
@given(TEXTS, st.integers(0, 2**32), RATES, SHARES)
def test_words_are_asked_whole_and_frames_never(
    sequences: Sequences, seed: int, rate: float, shares: tuple[float, float]
) -> None:
    ids, words = framed(sequences, more=2)
    settings = {"rate": rate, "mask_share": shares[0], "random_share": shares[1]}
    masked, targets = masker(seed, **settings)(ids, words, np.arange(len(ids)))
    asked = targets != NOT_ASKED
    assert not asked[words == NO_WORD].any()
    np.testing.assert_array_equal(masked[~asked], ids[~asked])
    np.testing.assert_array_equal(targets[asked], ids[asked])
    for row, text in enumerate(sequences):
        at = 1
        for word in text:
            assert len(set(asked[row, at : at + len(word)])) == 1
            at += len(word)
    changed = masked[asked]
    assert set(changed.tolist()) <= {MASK, *range(FIRST, LAST)}
    if shares == (1.0, 0.0):
        assert (changed == MASK).all()
    if shares[0] == 0.0:
        assert (changed != MASK).all()
    if shares == (0.0, 0.0):
        np.testing.assert_array_equal(masked, ids)


@settings(deadline=None)
@given(TEXTS, st.integers(0, 2**32), st.randoms(use_true_random=False), st.integers(0, 5))
def test_a_draw_depends_on_seed_and_place_and_not_on_the_batch(sequences: Sequences, seed: int, chance: Any, more: int) -> None:
    draw = masker(seed, rate=0.5)
    places = np.array([chance.randrange(2**40) for _ in sequences])
    whole = draw(*framed(sequences), places)
    order = chance.sample(range(len(sequences)), chance.randint(1, len(sequences)))
    part = draw(*framed([sequences[number] for number in order], more), places[order])
    for row, number in enumerate(order):
        width = sum(map(len, sequences[number])) + 2
        for found, wanted in zip(part, whole, strict=True):
            np.testing.assert_array_equal(found[row, :width], wanted[number, :width])


def test_another_place_or_seed_draws_other_words() -> None:
    ids, words = framed([[[FIRST + number] for number in range(100)]] * 2)
    first, second = masker(0)(ids, words, np.array([0, 1]))[1]
    other = masker(1)(ids, words, np.array([0, 1]))[1]
    assert (first != second).any()
    assert (first != other[0]).any()
    np.testing.assert_array_equal(masker(0)(ids[:1], words[:1], np.array([1]))[1][0], second)


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_words_are_drawn_at_the_rate_and_changed_in_their_shares(rate: float) -> None:
    chance = np.random.default_rng(0)
    sequences = [[[FIRST] * int(size) for size in chance.integers(1, 4, size=40)] for _ in range(1500)]
    ids, words = framed(sequences)
    masked, targets = masker(3, rate=rate)(ids, words, np.arange(len(ids)))
    asked = targets != NOT_ASKED

    def near(found: float, share: float, of: float) -> None:
        assert abs(found / of - share) < 4.5 * np.sqrt(share * (1 - share) / of)

    near((asked & (words == WORD_BEGINS)).sum(), rate, (words == WORD_BEGINS).sum())
    by_length = {size: (sum(len(word) == size for text in sequences for word in text)) for size in (1, 2, 3)}
    begins = [(row, at, len(word)) for row, text in enumerate(sequences) for at, word in _places(text)]
    for size, count in by_length.items():  # a long word is as likely as a short one
        near(sum(bool(asked[row, at]) for row, at, own in begins if own == size), rate, count)
    changed = masked[asked]
    near((changed == MASK).sum(), 0.8, len(changed))
    near(((changed != MASK) & (changed != FIRST)).sum(), 0.1 * (1 - 1 / (LAST - FIRST)), len(changed))
    drawn = np.bincount(changed[(changed != MASK) & (changed != FIRST)], minlength=LAST)[FIRST + 1 : LAST]
    mean = drawn.mean()
    assert (drawn > 0).all()
    assert ((drawn - mean) ** 2 / mean).sum() < len(drawn) + 4.5 * np.sqrt(2 * len(drawn))  # chi square


def _places(text: list[list[int]]) -> list[tuple[int, list[int]]]:
    starts = 1 + np.cumsum([0, *map(len, text)])
    return [(int(at), word) for at, word in zip(starts, text, strict=False)]


# ---- the numbers ---------------------------------------------------------------------------------------

WHOLE = 2**64


def mixed(bits: int) -> int:
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 % WHOLE
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB % WHOLE
    return bits ^ (bits >> 31)


def test_the_slow_loop_below_is_splitmix() -> None:
    state, found = 1234567, []
    for _ in range(3):
        state = (state + 0x9E3779B97F4A7C15) % WHOLE
        found.append(mixed(state))
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]  # published for this seed


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**63), st.integers(1, 3), st.lists(st.integers(0, 2**62), min_size=1, max_size=4), st.integers(1, 6))
def test_numbers_are_those_of_a_slow_loop(seed: int, stream: int, places: list[int], width: int) -> None:
    golden = 0x9E3779B97F4A7C15
    key = mixed((seed * golden + stream) % WHOLE)
    wanted = [
        [
            (mixed((mixed((key + place * 0xD1342543DE82EF95) % WHOLE) + column * golden) % WHOLE) >> 11) / 2**53
            for column in range(width)
        ]
        for place in places
    ]
    assert uniform(seed, stream, np.array(places), width).tolist() == wanted


def test_numbers_are_even_and_neighbours_have_nothing_in_common() -> None:
    found = uniform(0, 1, np.arange(400), 100)
    assert found.min() >= 0
    assert found.max() < 1
    counts = np.bincount((found.ravel() * 20).astype(int), minlength=20)
    assert ((counts - 2000) ** 2 / 2000).sum() < 45  # chi square with 19 degrees of freedom
    for one, two in (
        (found[:-1], found[1:]),
        (found[:, :-1], found[:, 1:]),
        (found, uniform(0, 2, np.arange(400), 100)),
        (found, uniform(1, 1, np.arange(400), 100)),
    ):
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.025


# ---- tokenizers ----------------------------------------------------------------------------------------


def test_what_stands_for_nothing_is_neither_mask_nor_random_token() -> None:
    vocabulary = {token: number for number, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "快", "递"])}
    found = Masker.of(wordpiece_tokenizer(vocabulary, True), MaskingSettings(), 7)
    assert (found.mask_id, found.seed, found.ordinary.tolist()) == (4, 7, [5, 6])


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    plain = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    assert mask_id(plain) is None
    with pytest.raises(ConfigError, match="no mask token") as caught:
        Masker.of(plain, MaskingSettings(), 0)
    assert caught.value.hint
    assert "<mask>" in caught.value.hint
    plain.add_special_tokens(["<mask>"])
    assert mask_id(plain) == 2
    assert Masker.of(plain, MaskingSettings(), 0).ordinary.tolist() == [0, 1]
