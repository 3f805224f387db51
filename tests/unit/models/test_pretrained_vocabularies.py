"""Vocabularies of encoders: nothing is guessed, and files that contradict each other or the encoder are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from encoder_checks import change, refused
from encoder_forms import BY_NAME, FORMS, make_form, write_pieces
from tokenizers import Tokenizer
from transformers import BertTokenizer

from duobiao.models.pretrained import load_pretrained

ROBERTA, ALBERT, BGE = "hfl/chinese-roberta-wwm-ext", "voidful/albert_chinese_tiny", "BAAI/bge-small-zh-v1.5"
ERNIE, E5, E5_SMALL = "nghuyong/ernie-3.0-base-zh", "intfloat/multilingual-e5-base", "intfloat/multilingual-e5-small"
NAMES = [form.name for form in FORMS]
SPM = ["sentencepiece.bpe.model", "spiece.model", "tokenizer.model"]
PIECES = [(token, 0.0) for token in ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")] + [(f"▁w{at}", -1.0) for at in range(240)]

Copy = Callable[[str], Path]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A checkpoint of a form that a test may spoil."""
    return lambda name: make_form(BY_NAME[name], tmp_path / "model", "快递坏了喜欢")


@pytest.mark.parametrize("name", NAMES)
def test_no_form_loads_without_its_vocabulary(name: str, copy: Copy) -> None:
    folder = copy(name)
    for file in BY_NAME[name].vocabulary:
        (folder / file).unlink()
    refused(folder, "no tokenizer.json, vocab.txt or sentencepiece model", "copy the tokenizer's files of the same model")


@pytest.mark.parametrize("where", ["config.json", "tokenizer_config.json"])
def test_an_albert_tokenizer_that_is_named_is_not_believed(where: str, copy: Copy) -> None:
    folder = copy(ALBERT)
    change(folder, where, tokenizer_class="AlbertTokenizer")
    found = load_pretrained(str(folder)).tokenizer
    assert found.encode("快递坏了").ids == BertTokenizer(vocab=str(folder / "vocab.txt"))("快递坏了").input_ids
    assert found.encode("快递坏了").tokens == ["[CLS]", "快", "递", "坏", "了", "[SEP]"]


@pytest.mark.parametrize("taken", ["vocab.txt", "tokenizer.json"])
@pytest.mark.parametrize("spm", SPM)
def test_two_kinds_of_vocabulary_must_agree_with_the_model_about_which(taken: str, spm: str, copy: Copy) -> None:
    folder = copy(ALBERT)
    if taken == "tokenizer.json":
        BertTokenizer(vocab=str(folder / "vocab.txt")).backend_tokenizer.save(str(folder / taken))
    words = len((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    write_pieces(folder / spm, PIECES)
    assert load_pretrained(str(folder)).tokenizer.get_vocab_size() == words  # the Chinese vocabulary is the model's
    change(folder, vocab_size=len(PIECES))
    error = refused(folder, f"{taken}: {words}", f"{spm}: {len(PIECES)}", f"the {len(PIECES)} words of config.json")
    assert error.hint == "remove the vocabulary that is not this model's"


def test_a_chinese_vocabulary_beside_another_kind_of_tokenizer_json(copy: Copy) -> None:
    folder = copy(E5_SMALL)
    shutil.copy(make_form(BY_NAME[ALBERT], folder.parent / "albert", "快递") / "vocab.txt", folder)
    refused(folder, "vocabularies of two kinds", "vocab.txt:", "tokenizer.json:")
    (folder / "vocab.txt").unlink()
    load_pretrained(str(folder))


def test_the_sentencepiece_model_of_an_albert_alone_is_not_enough(copy: Copy) -> None:
    folder = copy(ALBERT)
    (folder / "vocab.txt").unlink()
    write_pieces(folder / "spiece.model", PIECES)
    refused(folder, "spiece.model does not say how text is prepared", "a Chinese ALBERT needs BERT's vocab.txt")


@pytest.mark.parametrize("content", [b"\x0a\xff\xff", b"not a model at all", b"\x12\x02\x18\x02"])
def test_a_damaged_or_foreign_sentencepiece_model(content: bytes, copy: Copy) -> None:
    folder = copy(E5)
    (folder / "tokenizer.json").unlink()
    (folder / "sentencepiece.bpe.model").write_bytes(content)
    refused(folder, "sentencepiece.bpe.model is not XLM-R's")


def test_a_sentencepiece_model_of_another_sort_is_not_taken_for_xlm_rs(copy: Copy) -> None:
    folder = copy(E5)
    (folder / "tokenizer.json").unlink()
    write_pieces(folder / "sentencepiece.bpe.model", PIECES)
    refused(folder, "no unigram model that begins with <unk>, <s>, </s>")


def test_a_vocabulary_of_another_kind_than_the_class_that_is_named(copy: Copy) -> None:
    folder = copy(E5_SMALL)
    for file in BY_NAME[E5_SMALL].vocabulary:
        (folder / file).unlink()
    shutil.copy(make_form(BY_NAME[ALBERT], folder.parent / "albert", "快递") / "vocab.txt", folder)
    refused(folder, "name XLMRobertaTokenizer, but vocab.txt is a WordPiece vocabulary", "sentencepiece.bpe.model")
    other = copy(ROBERTA)
    shutil.copy(make_form(BY_NAME[E5], folder.parent / "e5", "快递") / "tokenizer.json", other)
    change(other, "tokenizer_config.json", tokenizer_class="BertTokenizerFast")
    refused(other, "name BertTokenizerFast, but tokenizer.json is a Unigram vocabulary")


def test_a_vocabulary_that_pads_otherwise_than_the_positions_are_counted(copy: Copy) -> None:
    folder = copy(E5)
    for file in BY_NAME[E5].vocabulary:
        (folder / file).unlink()
    shutil.copy(make_form(BY_NAME[ALBERT], folder.parent / "albert", "快递") / "vocab.txt", folder)
    change(folder, tokenizer_class=..., vocab_size=...)
    (folder / "tokenizer_config.json").unlink()
    refused(folder, "pads with id 0, but the encoder counts positions from padding id 1")


def test_tokenizer_json_and_vocab_txt_that_number_words_differently(copy: Copy) -> None:
    folder = copy(BGE)
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    words[10], words[11] = words[11], words[10]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    assert len(refused(folder, "give 2 words different ids").problems) == 2


def test_a_vocabulary_with_a_number_after_each_word(copy: Copy) -> None:
    folder = copy(ERNIE)
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    (folder / "vocab.txt").write_text("".join(f"{word}\t{at}\n" for at, word in enumerate(words)), encoding="utf-8")
    refused(folder, "lacks [PAD], [UNK], [CLS], [SEP]", "one word a line")


def test_a_tokenizer_that_frames_nothing(copy: Copy) -> None:
    folder = copy(BGE)
    form = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps({**form, "post_processor": None}), encoding="utf-8")
    refused(folder, "puts no [CLS] and [SEP] around a text", "post_processor")


def test_a_vocabulary_smaller_than_the_embedding_is_fine(copy: Copy) -> None:
    found = load_pretrained(str(copy(E5_SMALL)))
    assert found.tokenizer.get_vocab_size() + 35 == found.model.get_input_embeddings().weight.shape[0]


def test_padding_and_truncation_of_a_tokenizer_json_are_not_taken_over(copy: Copy) -> None:
    folder = copy(BGE)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    tokenizer.save(str(folder / "tokenizer.json"))
    found = load_pretrained(str(folder)).tokenizer
    assert (len(found.encode("快").ids), len(found.encode("快递坏了").ids)) == (3, 6)


def test_a_vocabulary_beside_a_good_tokenizer_json_need_not_have_berts_special_words(copy: Copy) -> None:
    folder = copy(BGE)
    words = (folder / "vocab.txt").read_text(encoding="utf-8").replace("[unused1]", "[unused9]").replace("[CLS]", "<cls>")
    (folder / "vocab.txt").write_text(words, encoding="utf-8")
    assert load_pretrained(str(folder)).tokenizer.encode("快").tokens[0] == "[CLS]"
    (folder / "vocab.txt").write_bytes("快递".encode("gbk"))
    refused(folder, "vocab.txt is not in UTF-8")
