"""Lines to units of tokens: nothing lost, words marked, cuts before words, the tokens of somebody else found again."""

from __future__ import annotations

import string
from collections.abc import Callable
from itertools import accumulate

import numpy as np
import pytest
from encoder_forms import as_xlm_roberta
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from duobiao.data.segmenter import make_jieba
from duobiao.models.own_vocabulary import with_nfkc
from duobiao.models.pretrained import wordpiece_tokenizer
from duobiao.train.units import NO_PIECE, WORD_BEGINS, WORD_GOES_ON, Reader, Unit

CHARACTERS = "快递坏了今天开票身份确认中华人民共和国"
MORE = " ab12ＡＢ２，。…①㍿ﬁ龘é\u0301\u200b\ufffd😀👨\u3000"
LINES = st.text(st.sampled_from(CHARACTERS + MORE + string.ascii_lowercase), max_size=24) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=12
)
cut = make_jieba().cut


def wordpiece() -> Tokenizer:
    pieces = [*CHARACTERS, *"ab12，。", "##a", "##b", "##1", "##2", "ab", "##ab"]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]
    return wordpiece_tokenizer({word: number for number, word in enumerate(words)}, True)


def unigram() -> Tokenizer:
    whole = ["▁快递", "今天", "▁今天", "共和国", "ab", "▁ab", "12"]
    scored = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -2.0)]
    scored += [(piece, -3.0 - at / 100) for at, piece in enumerate([*CHARACTERS, *"ab12，。"])] + [(w, -3.5) for w in whole]
    found = as_xlm_roberta(scored).backend_tokenizer
    found.no_truncation()
    found.no_padding()
    return found


def metaspace() -> Tokenizer:
    """A unigram tokenizer that brings its text to NFKC and keeps the white space at its ends."""
    found = Tokenizer.from_str(unigram().to_str())
    found.normalizer = normalizers.NFKC()
    found.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return found


def bytes_only() -> Tokenizer:
    """Each byte a token, so that a Chinese character is three."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    found = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return found


MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "wordpiece": wordpiece,
    "characters": lambda: with_nfkc(wordpiece()),
    "unigram": unigram,
    "metaspace": metaspace,
    "bytes": bytes_only,
}
TOKENIZERS = {name: make() for name, make in MAKERS.items()}
every = pytest.mark.parametrize("name", list(TOKENIZERS))
ROOMS = st.integers(1, 9)


def as_it_is(text: str) -> str:
    return text


def read(lines: list[str], room: int, name: str, other: str | None = None, words: bool = True) -> list[Unit]:
    reader = Reader(TOKENIZERS[name], as_it_is, cut if words else None, TOKENIZERS[other] if other else None)
    return list(reader.units(lines, room))


def marks_of(name: str, text: str) -> list[int]:
    """The mark of each token of a text, token by token."""
    begins = {0, *accumulate(map(len, cut(text)))}
    found: list[int] = []
    before = -1
    for number, (start, _) in enumerate(TOKENIZERS[name].encode(text, add_special_tokens=False).offsets):
        new = number == 0 or (start in begins and start != before)
        found.append(WORD_BEGINS if new else WORD_GOES_ON)
        before = start
    return found


@every
@settings(max_examples=60, deadline=None)
@given(lines=st.lists(LINES, max_size=3), room=ROOMS)
def test_no_token_is_lost_and_words_are_marked(name: str, lines: list[str], room: int) -> None:
    encoded = [TOKENIZERS[name].encode(line, add_special_tokens=False).ids for line in lines]
    wanted = [number for ids in encoded for number in ids]
    marks = [mark for line in lines for mark in marks_of(name, line)]
    for words in (True, False):
        found = read(lines, room, name, words=words)
        assert [number for unit in found for number in unit.ids] == wanted
        assert all(0 < len(unit.ids) <= room for unit in found)
        assert [number for unit in found for number in unit.words] == (marks if words else [])
    assert all(len(unit.words) == len(unit.ids) for unit in read(lines, room, name))


@every
@settings(max_examples=60, deadline=None)
@given(line=LINES, room=ROOMS)
def test_a_long_line_is_parted_before_words_and_no_sooner_than_it_must(name: str, line: str, room: int) -> None:
    words = np.array(marks_of(name, line) or [WORD_BEGINS])
    first = 0
    units = read([line], room, name)
    for unit in units[:-1]:
        last = first + len(unit.ids)
        later = last + 1 + np.flatnonzero(words[last + 1 :] == WORD_BEGINS)
        following = int(later[0]) if len(later) else len(words)
        if words[last] == WORD_BEGINS:
            assert following - first > room or following == len(words), "the next word had room too"
        else:
            assert len(unit.ids) == room
            assert not (words[first + 1 : last + 1] == WORD_BEGINS).any(), "a word was torn though one began in reach"
        first = last


def test_words_in_their_tokens() -> None:
    def told(name: str, text: str) -> list[str]:
        (unit,) = read([text], 99, name)
        tokens = TOKENIZERS[name].encode(text, add_special_tokens=False).tokens
        return [("|" if mark == WORD_BEGINS else "") + token for token, mark in zip(tokens, unit.words, strict=True)]

    assert told("wordpiece", "今天快递ab12，") == ["|今", "天", "|快", "递", "|ab", "##1", "##2", "|，"]
    assert told("unigram", "快递身份 今天ab 快") == ["|▁快递", "|身", "份", "|▁今天", "|ab", "|▁", "快"]
    assert told("unigram", "身份") == ["|▁", "身", "份"], "what stands before a word belongs to it"
    assert told("bytes", "今天a") == [f"{'|' if at in (0, 6) else ''}{token}" for at, token in enumerate("ä»Ĭå¤©a")]
    assert told("characters", "㍿") == ["|[UNK]"] + ["[UNK]"] * 3, "one character that is written out is one word"


# ---- somebody else's tokens ----------------------------------------------------------------------------


def check_pieces(name: str, other: str, text: str, unit: Unit) -> None:
    """Every token's piece holds its first character; where there is none, none does."""
    theirs = TOKENIZERS[other].encode(text, add_special_tokens=False)
    starts = [start for start, _ in TOKENIZERS[name].encode(text, add_special_tokens=False).offsets]
    assert unit.others.tolist() == theirs.ids
    assert len(unit.pieces) == len(unit.ids) == len(starts)
    for start, piece in zip(starts, unit.pieces.tolist(), strict=True):
        holding = [number for number, (begin, end) in enumerate(theirs.offsets) if begin <= start < end]
        assert piece in holding if holding else piece == NO_PIECE


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("characters", "unigram"),
        ("characters", "metaspace"),
        ("characters", "wordpiece"),
        ("unigram", "unigram"),
        ("metaspace", "wordpiece"),
        ("wordpiece", "bytes"),
        ("bytes", "characters"),
    ],
)
@settings(max_examples=60, deadline=None)
@given(line=LINES)
def test_a_piece_holds_the_first_character_of_a_token(name: str, other: str, line: str) -> None:
    for unit in read([line], 10**6, name, other):
        check_pieces(name, other, line, unit)


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(LINES, max_size=3), room=ROOMS)
def test_parts_of_a_line_have_their_own_pieces(lines: list[str], room: int) -> None:
    units = iter(read(lines, room, "characters", "unigram"))
    for line in lines:
        found = TOKENIZERS["characters"].encode(line, add_special_tokens=False)
        at, parts = 0, []
        while at < len(found.ids):
            unit = next(units)
            parts.append((at, unit))
            at += len(unit.ids)
        for number, (at, unit) in enumerate(parts):
            begin = found.offsets[at][0] if at else 0
            end = found.offsets[parts[number + 1][0]][0] if number + 1 < len(parts) else len(line)
            theirs = TOKENIZERS["unigram"].encode(line[begin:end], add_special_tokens=False)
            assert unit.others.tolist() == theirs.ids
            for offset, piece in zip(found.offsets[at:], unit.pieces.tolist(), strict=False):
                if piece != NO_PIECE:
                    assert theirs.offsets[piece][0] <= offset[0] - begin < theirs.offsets[piece][1]


def test_word_pieces_in_the_pieces_of_a_unigram_model() -> None:
    (unit,) = read(["快递今天开 ab12"], 99, "characters", "unigram")
    theirs = TOKENIZERS["unigram"].encode("快递今天开 ab12", add_special_tokens=False).tokens
    assert theirs == ["▁快递", "今天", "开", "▁ab", "12"]
    ours = TOKENIZERS["characters"].encode("快递今天开 ab12", add_special_tokens=False).tokens
    assert ours == ["快", "递", "今", "天", "开", "ab", "##1", "##2"]
    assert unit.pieces.tolist() == [0, 0, 1, 1, 2, 3, 4, 4]


def test_what_the_other_leaves_out_has_no_piece() -> None:
    (unit,) = read(["\ufffd快\ufffd递"], 99, "bytes", "characters")  # BERT drops the replacement character
    assert unit.pieces.tolist() == [NO_PIECE] * 3 + [0] * 3 + [NO_PIECE] * 3 + [1] * 3


def test_what_a_reader_gives_is_told() -> None:
    tokenizer = TOKENIZERS["characters"]
    assert Reader(tokenizer, as_it_is).columns == ("ids",)
    assert Reader(tokenizer, as_it_is, cut).columns == ("ids", "words")
    assert Reader(tokenizer, as_it_is, cut, tokenizer).columns == ("ids", "words", "others", "pieces")
    assert Reader(tokenizer, as_it_is, other=tokenizer).columns == ("ids", "others", "pieces")
    units = list(Reader(tokenizer, str.upper, None, tokenizer).units(["ab", "", "快递"], 9))
    assert [unit.ids.tolist() for unit in units] == [
        tokenizer.encode(text, add_special_tokens=False).ids for text in ("AB", "快递")
    ]
