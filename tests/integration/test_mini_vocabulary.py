"""The vocabulary and the embedding of a small encoder with tokens of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from duobiao.errors import ConfigError
from duobiao.models.own_vocabulary import character_tokenizer, embedding_for, read_tokenizer
from duobiao.models.pretrained import load_pretrained, wordpiece_tokenizer

LINES = ["快递ＡＢＣ２０２４年坏了", "abc abd 2024 2025 abc", "今天abc，㍿ ①", "龘 abe 快"] * 3


def plain(pieces: list[str]) -> Tokenizer:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]
    return wordpiece_tokenizer({word: number for number, word in enumerate(words)}, True)


def test_the_vocabulary_is_the_same_every_time() -> None:
    teacher = plain(["快", "递", "票", "##票", "x"])
    made = [character_tokenizer(iter(LINES), 60, teacher).to_str() for _ in range(6)]
    assert len(set(made)) == 1
    changed = character_tokenizer(iter(LINES), 60, plain(["快", "x", "##票", "递", "票"])).to_str()
    assert changed == made[0], "the order of the teacher's tokens does not count"


def test_chinese_characters_are_tokens_of_the_teachers_too() -> None:
    found = character_tokenizer(iter(LINES), 60, plain(["票", "▁开", "##购", "快递", "z", "。"]))
    vocabulary = found.get_vocab()
    assert {"快", "递", "龘", "票", "开", "购"} <= set(vocabulary)
    assert not {"快递", "z", "。"} & set(vocabulary)
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert found.encode("ＡＢＣ坏㍿").ids == found.encode("abc坏株式会社").ids
    assert found.encode("快递", "坏").tokens == ["[CLS]", "快", "递", "[SEP]", "坏", "[SEP]"]


def test_an_embedding_is_the_teachers_for_the_same_characters() -> None:
    teacher = plain(["快", "递", "ab", "##c", "d"])
    embedding = torch.arange(10.0)[:, None] * torch.tensor([1.0, 10.0])
    own = plain(["快", "abc", "##d", "龘", "d", "递d"])
    found = embedding_for(own, teacher, embedding)
    row = {token: found[own.token_to_id(token)].tolist() for token in own.get_vocab()}
    for number, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "快"]):
        assert row[token] == embedding[number].tolist()
    assert row["abc"] == [7.5, 75.0], "the mean of ab and ##c"
    assert row["##d"] == row["d"] == [9.0, 90.0]
    assert row["龘"] == embedding.mean(0).tolist() == [4.5, 45.0], "nothing is known of it"
    assert row["递d"] == [7.5, 75.0], "the mean of 递 and d"


def test_an_embedding_from_sentencepiece(unigram_folder: Path) -> None:
    teacher = load_pretrained(str(unigram_folder))
    embedding = teacher.model.get_input_embeddings().weight.detach()
    own = plain(["快", "快递", "龘"])
    found = embedding_for(own, teacher.tokenizer, embedding)
    number = teacher.tokenizer.token_to_id
    for token, theirs in (("[PAD]", "<pad>"), ("[UNK]", "<unk>"), ("[CLS]", "<s>"), ("[SEP]", "</s>"), ("快", "快")):
        assert torch.equal(found[own.token_to_id(token)], embedding[number(theirs)])
    two = (embedding[number("快")] + embedding[number("递")]) / 2
    torch.testing.assert_close(found[own.token_to_id("快递")], two)
    for token in ("[MASK]", "龘"):
        torch.testing.assert_close(found[own.token_to_id(token)], embedding.mean(0))


def test_a_tokenizer_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tokenizer can be read"):
        read_tokenizer(str(tmp_path / "none.json"))
