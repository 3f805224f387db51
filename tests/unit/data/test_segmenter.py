"""Words of a text, and words of one's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.segmenter import make_jieba, word_begins

OWN = ("云盘宝箱", "快快递递")
TEXT = "我的云盘宝箱坏了，快快递递也坏了"


@settings(deadline=None)  # the first words wait for the dictionary
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text(st.sampled_from(TEXT + " ab1\n，"), max_size=30)
)
def test_joined_words_are_the_text_and_begins_are_theirs(text: str) -> None:
    for jieba in (make_jieba(), make_jieba(OWN)):
        words = jieba.cut(text)
        assert "".join(words) == text
        begins = word_begins(text, jieba.cut)
        assert begins.shape == (len(text),)
        at, wanted = 0, [False] * len(text)
        for word in words:
            wanted[at] = True
            at += len(word)
        assert begins.tolist() == wanted


def test_words_that_are_not_letters_have_begins_too() -> None:
    assert word_begins("", lambda text: []).tolist() == []
    assert word_begins("好的😀呀", lambda text: ["好的", "😀", "呀"]).tolist() == [True, False, True, True]
    assert word_begins("好的", list).tolist() == [True, True]


def test_own_words_are_kept_whole_and_change_nothing_for_others() -> None:
    plain = make_jieba().cut(TEXT)
    assert not set(OWN) & set(plain)
    own = make_jieba(OWN)
    assert set(OWN) <= set(own.cut(TEXT))
    assert make_jieba().cut(TEXT) == plain
    assert set(make_jieba(OWN[:1]).cut(TEXT)) & set(OWN) == {OWN[0]}
    make_jieba.cache_clear()
    assert make_jieba().cut(TEXT) == plain, "nor for those who come later"
    assert own.cut(TEXT) == make_jieba(OWN).cut(TEXT)


def test_other_words_stay_as_they_were() -> None:
    text = "今天我要开增值税专用发票，请打给我确认身份"
    assert make_jieba(OWN).cut(text) == make_jieba().cut(text)


@pytest.mark.parametrize("word", ["坏了，快", "a b", "１２ab"])
def test_a_word_with_signs_does_no_harm(word: str) -> None:
    text = f"今天{word}今天"
    words = make_jieba((word,)).cut(text)
    assert "".join(words) == text
    assert np.flatnonzero(word_begins(text, make_jieba((word,)).cut))[0] == 0
