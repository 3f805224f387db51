from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from duobiao.config import InputSettings
from duobiao.data.clean import build_chain
from duobiao.data.encode import RowEncoder, batches, prepare

QUICK = settings(deadline=None, max_examples=60)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"我的快递没到是不身份确认？SEP[]"]
PAD, UNK, CLS, SEP = range(4)


def make_encoder(**settings: object) -> RowEncoder:
    tokenizer = Tokenizer(models.WordLevel({token: n for n, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(VOCABULARY[:4])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    tokenizer.enable_padding(length=50)  # what a stored tokenizer may bring along
    tokenizer.enable_truncation(3)
    return RowEncoder(tokenizer, InputSettings.model_validate(settings), pad_id=PAD)


def ids(text: str) -> list[int]:
    return [VOCABULARY.index(c) if c in VOCABULARY else UNK for c in text]


def test_context_and_text_are_a_true_pair():
    found = make_encoder().encode([("我是", "身份确认？"), ("我是", None)])
    assert found.ids[0].tolist() == [CLS, *ids("身份确认？"), SEP, *ids("我是"), SEP]
    assert found.types[0].tolist() == [0] * 7 + [1] * 3
    assert found.ids[1].tolist() == [CLS, *ids("我是"), SEP]
    assert found.types[1].tolist() == [0] * 4
    assert found.lengths.tolist() == [10, 4]
    assert len(found) == 2


def test_a_separator_typed_into_the_text_is_no_separator():
    for text, context in [("我[SEP]是", None), ("我是", "身份[SEP]")]:
        found = make_encoder().encode([(text, context)]).ids[0].tolist()
        assert found.count(SEP) == (1 if context is None else 2)
        assert ids("[") == [one for one in found if one == ids("[")[0]]


def test_the_context_is_left_out_where_the_settings_say_so():
    pairs = [("我是", "身份确认"), ("我是", None)]
    found = make_encoder(context="none").encode(pairs)
    assert found.ids[0].tolist() == found.ids[1].tolist() == [CLS, *ids("我是"), SEP]


def test_text_and_context_are_cleaned_before_they_are_read():
    found = make_encoder().encode([(" 我\u200b是 ", "\ufeff身份\n")])
    assert found.ids[0].tolist() == [CLS, *ids("身份"), SEP, *ids("我是"), SEP]
    assert prepare([(" 我 ", " 是 ")], build_chain(["whitespace"]), "pair") == [("我", "是")]
    assert prepare([(" 我 ", " 是 ")], build_chain([]), "none") == [(" 我 ", None)]


@QUICK
@given(
    st.lists(st.tuples(st.text("我是不到", max_size=40), st.none() | st.text("身份确认", max_size=40)), max_size=5),
    st.integers(8, 30),
)
def test_long_rows_are_cut_to_the_longest_input_and_keep_both_segments(pairs: list[tuple[str, str | None]], max_length: int):
    found = make_encoder(max_length=max_length).encode(pairs)
    assert len(found) == len(pairs)
    for (text, context), row, types in zip(pairs, found.ids, found.types, strict=True):
        whole = len(text) + 2 if context is None else len(text) + len(context) + 3
        assert len(row) == len(types) == min(whole, max_length)
        assert row[-1] == SEP
        assert (row == SEP).sum() == (1 if context is None else 2)
        if context is None:
            assert row.tolist()[1:-1] == ids(text)[: max_length - 2]
        elif text and context:
            assert {0, 1} <= set(types[1:-1][row[1:-1] != SEP].tolist())


@QUICK
@given(st.lists(st.text("我是不到", max_size=12), min_size=1, max_size=6), st.data())
def test_padding_changes_nothing_but_the_width(texts: list[str], data: st.DataObject):
    encoder = make_encoder()
    encoded = encoder.encode([(text, "身份") for text in texts])
    rows: Sequence[int] = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1))
    batch = encoder.pad(encoded, rows)
    width = max(len(encoded.ids[row]) for row in rows)
    assert {name: array.shape for name, array in batch.items()} == dict.fromkeys(
        ("input_ids", "attention_mask", "token_type_ids"), (len(rows), width)
    )
    for position, row in enumerate(rows):
        true = batch["attention_mask"][position].astype(bool)
        assert true.tolist() == [n < len(encoded.ids[row]) for n in range(width)]
        np.testing.assert_array_equal(batch["input_ids"][position][true], encoded.ids[row])
        np.testing.assert_array_equal(batch["token_type_ids"][position][true], encoded.types[row])
        assert set(batch["input_ids"][position][~true].tolist()) <= {PAD}


def test_no_rows_are_no_rows():
    encoder = make_encoder()
    encoded = encoder.encode([])
    assert encoded.lengths.shape == (0,)
    assert encoder.pad(encoded, [])["input_ids"].shape == (0, 1)


def test_the_tokenizer_that_was_given_is_left_alone():
    tokenizer = make_encoder().tokenizer
    tokenizer.enable_truncation(5)
    RowEncoder(tokenizer, InputSettings(max_length=100), PAD)
    assert tokenizer.truncation["max_length"] == 5


@QUICK
@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 600), st.integers(1, 40))
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int, most: int):
    found = batches(np.array(lengths, dtype=np.int64), budget, most)
    assert sorted(row for batch in found for row in batch.tolist()) == list(range(len(lengths)))
    for batch in found:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= budget


def test_batches_put_rows_of_like_length_together():
    found = batches(np.array([1, 9, 2, 8, 1, 9]), token_budget=18, max_rows=100)
    assert [batch.tolist() for batch in found] == [[1, 5], [3, 2], [0, 4]]


@pytest.mark.parametrize("lengths", [[5, 5, 5, 5], [7, 1, 1, 1]])
def test_batches_are_as_full_as_the_budget_lets_them(lengths: list[int]):
    found = batches(np.array(lengths), token_budget=10, max_rows=2)
    assert [len(batch) for batch in found] == ([2, 2] if lengths[0] == 5 else [1, 2, 1])
