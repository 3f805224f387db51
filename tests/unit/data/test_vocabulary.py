"""A pruned tokenizer reads the rows that it was made from as the whole one does."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.implementations import BertWordPieceTokenizer

from duobiao import progress
from duobiao.config import InputSettings, VocabularySettings
from duobiao.data.encode import RowEncoder
from duobiao.data.vocabulary import prune, prune_for, used_tokens

QUICK = settings(deadline=None, max_examples=60)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["ab", "abc", "a", "b", "c", "bc", "##a", "##b", "##bc", "##cab", "##d", "##bx"]
PIECES = [*WORDS, "快", "递", "坏", "##递", "镲", "。", "x", "7"]
SCORED = [
    *(("▁", -1.0), ("a", -3.0), ("b", -3.5), ("c", -4.0), ("ab", -2.5), ("bc", -2.6), ("abc", -4.4), ("▁a", -2.9)),
    *(("快", -5.0), ("递", -5.5), ("快递", -4.3), ("递快", -4.6), ("快递坏", -13.0), ("坏了", -6.0)),
    *(("了", -5.2), ("镲", -20.0)),
]
ALPHABET = "abcdx快递坏了镲。 [UNK]7"


def wordpiece(pad_last: bool = False) -> Tokenizer:
    """BERT's; with ``pad_last`` the special tokens stand at the end and are placed by ``BertProcessing``."""
    words = [*PIECES, *SPECIAL] if pad_last else [*SPECIAL, *PIECES]
    made = BertWordPieceTokenizer(vocab={word: number for number, word in enumerate(words)})
    return Tokenizer.from_str(made.to_str())


def unigram(byte_fallback: bool = False) -> Tokenizer:
    """XLM-R's form; a special token outside the model's vocabulary comes last."""
    special = ["<s>", "<pad>", "</s>"]
    bytes_ = [(f"<0x{byte:02X}>", -9.0) for byte in range(256)] if byte_fallback else []
    scored = [*((word, 0.0) for word in special), *SCORED, *bytes_, ("<unk>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=len(scored) - 1, byte_fallback=byte_fallback))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    template = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B:0 </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.post_processor = processors.Sequence([template])
    tokenizer.add_special_tokens([*special, "<unk>", "<mask>"])
    return tokenizer


def wordlevel() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate([*SPECIAL, *PIECES])}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


MADE = {
    "wordpiece": wordpiece(),
    "wordpiece, specials last": wordpiece(pad_last=True),
    "unigram": unigram(),
    "unigram with bytes": unigram(byte_fallback=True),
    "wordlevel": wordlevel(),
}
PAD = {name: tokenizer.token_to_id("<pad>" if name.startswith("uni") else "[PAD]") for name, tokenizer in MADE.items()}
Rows = list[tuple[str, str | None]]
text = st.text(ALPHABET, max_size=24)
rows_of = st.lists(st.tuples(text, st.none() | text), min_size=1, max_size=6)


def encoder(name: str, max_length: int = 16) -> RowEncoder:
    return RowEncoder(MADE[name], InputSettings(max_length=max_length), PAD[name])


@pytest.mark.parametrize("name", MADE)
@given(rows=rows_of, margin=st.sampled_from([0.0, 0.3]), max_length=st.sampled_from([8, 16]))
@QUICK
def test_rows_are_encoded_as_before(name: str, rows: Rows, margin: float, max_length: int) -> None:
    whole = encoder(name, max_length)
    small, kept = prune_for(whole, rows, VocabularySettings(margin=margin))
    if kept is None:
        assert small is whole
        return
    assert len(kept) < whole.tokenizer.get_vocab_size()
    before, after = whole.encode(rows), small.encode(rows)
    for one, two in zip(before.ids, after.ids, strict=True):
        np.testing.assert_array_equal(kept[two], one)
    for one, two in zip(before.types, after.types, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", MADE)
@given(rows=rows_of, other=text)
@QUICK
def test_ids_are_contiguous_and_tokens_keep_their_names(name: str, rows: Rows, other: str) -> None:
    whole = encoder(name)
    small, kept = prune_for(whole, rows, VocabularySettings(margin=0.1))
    if kept is None:
        return
    assert kept.dtype == np.int64
    assert (np.diff(kept) > 0).all()
    vocabulary = small.tokenizer.get_vocab()
    assert sorted(vocabulary.values()) == list(range(len(kept)))
    assert {token: int(kept[number]) for token, number in vocabulary.items()}.items() <= whole.tokenizer.get_vocab().items()
    assert kept[small.pad_id] == whole.pad_id
    added = {number: token.content for number, token in small.tokenizer.get_added_tokens_decoder().items()}
    assert {int(kept[number]): content for number, content in added.items()} == {
        number: token.content for number, token in whole.tokenizer.get_added_tokens_decoder().items()
    }
    ends = whole.encode([("", None)]).ids[0].tolist()
    new = kept[small.encode([(other, None)]).ids[0]].tolist()
    assert [new[0], new[-1]] == [ends[0], ends[-1]]


@pytest.mark.parametrize("name", MADE)
def test_a_pruned_tokenizer_comes_back_from_its_file(name: str) -> None:
    small, kept = prune_for(encoder(name), [("ab快递", "c")], VocabularySettings(margin=0))
    assert kept is not None
    again = RowEncoder(Tokenizer.from_str(small.tokenizer.to_str()), small.settings, small.pad_id)
    for one, two in zip(small.encode([("abc快", "递")]).ids, again.encode([("abc快", "递")]).ids, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_word_that_is_unknown_stays_unknown() -> None:
    whole = encoder("wordpiece")  # "abx": takes "ab", and there is no "##x"; without "ab" it would be "a" and "##bx"
    rows: Rows = [("abx a bbx", None)]
    small, kept = prune_for(whole, rows, VocabularySettings(margin=0))
    assert kept is not None
    assert [small.tokenizer.id_to_token(number) for number in small.encode(rows).ids[0]][1:-1] == ["[UNK]", "a", "b", "##bx"]
    assert "ab" in small.tokenizer.get_vocab()
    assert "abc" not in small.tokenizer.get_vocab()


def test_the_cost_of_an_unknown_character_is_kept() -> None:
    whole = encoder("unigram")
    small, kept = prune_for(whole, [("快递坏", None)], VocabularySettings(margin=0))
    assert kept is not None
    lowest = min(score for _, score in json.loads(whole.tokenizer.to_str())["model"]["vocab"])
    assert min(score for _, score in json.loads(small.tokenizer.to_str())["model"]["vocab"]) == lowest


def test_what_is_cut_off_has_a_say_in_the_path() -> None:
    rows: Rows = [("快递 a a a a a a 坏了", None)]
    whole = encoder("unigram", max_length=8)
    small, kept = prune_for(whole, rows, VocabularySettings(margin=0))
    assert kept is not None
    np.testing.assert_array_equal(kept[small.encode(rows).ids[0]], whole.encode(rows).ids[0])
    assert "坏了" in small.tokenizer.get_vocab()


def test_new_texts_are_spelled_with_shorter_pieces() -> None:
    whole = encoder("unigram", max_length=32)
    small, _ = prune_for(whole, [("快 递 坏了 a b c", None)], VocabularySettings(margin=0))
    assert whole.tokenizer.encode("快递abc", add_special_tokens=False).tokens == ["▁", "快递", "abc"]
    assert small.tokenizer.encode("快递abc", add_special_tokens=False).tokens == ["▁", "快", "递", "a", "b", "c"]


def margin_of(tokenizer: Tokenizer, pad: int, used: Sequence[str], margin: float) -> list[str]:
    ids = np.array(sorted(tokenizer.token_to_id(token) for token in used))
    without = set(prune(tokenizer, ids, pad).kept.tolist())
    further = set(prune(tokenizer, ids, pad, margin).kept.tolist()) - without
    return [tokenizer.id_to_token(number) for number in sorted(further)]


def test_the_margin_takes_characters_first_then_the_likeliest_pieces_of_known_characters() -> None:
    bert = MADE["wordpiece"]
    assert margin_of(bert, 0, ["ab", "##b"], 0) == []
    ascii_first = ["a", "b", "c", "##a", "##d", "x", "7"]  # 14 halves of the two tokens used
    assert sorted(margin_of(bert, 0, ["ab", "##b"], 3.5)) == sorted(ascii_first)
    assert sorted(margin_of(bert, 0, ["ab", "##b"], 5)) == sorted([*ascii_first, "快", "递", "坏"])
    assert sorted(margin_of(bert, 0, ["ab", "##b"], 6)) == sorted([*ascii_first, "快", "递", "坏", "镲", "。"])
    assert sorted(margin_of(bert, 0, ["ab", "##b"], 6.5)) == sorted([*ascii_first, "快", "递", "坏", "镲", "。", "bc"])
    assert "##递" not in margin_of(bert, 0, ["ab", "##b"], 8)
    likely = MADE["unigram"]
    used = ["a", "b", "c", "▁"]  # the piece with the lowest score, "镲", is kept in any case
    wanted = ["▁a", "快", "了", "递", "ab", "bc", "abc", "快递"]
    for number in range(len(wanted) + 1):
        assert sorted(margin_of(likely, 1, used, number / 4)) == sorted(wanted[:number])


def test_words_count_as_used_and_settings_can_keep_all() -> None:
    whole = encoder("wordpiece")
    small, _ = prune_for(whole, [("快", None)], VocabularySettings(margin=0), words=["递"])
    assert {"快", "递"} <= small.tokenizer.get_vocab().keys()
    assert "坏" not in small.tokenizer.get_vocab()
    assert prune_for(whole, [("快", None)], VocabularySettings(keep="all")) == (whole, None)


def test_a_tokenizer_that_merges_is_kept_whole_and_says_so() -> None:
    said: list[str] = []

    class Listener(progress._Silent):
        def say(self, message: str) -> None:
            said.append(message)

    tokenizer = Tokenizer(models.BPE({"[UNK]": 0, "a": 1, "b": 2, "ab": 3}, [("a", "b")], unk_token="[UNK]"))
    whole = RowEncoder(tokenizer, InputSettings(), 0)
    with progress.use(Listener()):
        assert prune_for(whole, [("a", None)], VocabularySettings()) == (whole, None)
    assert any("BPE" in line for line in said)


def test_used_tokens_are_sorted_and_without_special_ones() -> None:
    tokenizer = MADE["wordpiece"]
    found = used_tokens(tokenizer, ["快 递", "快ab"])
    assert [tokenizer.id_to_token(number) for number in found] == ["ab", "快", "递"]
    assert used_tokens(tokenizer, []).tolist() == []
