"""Encoders from folders: every form loads without a network, with the right ids; what does not fit is refused."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizer, PreTrainedTokenizerFast

from duobiao.config import EncoderShape
from duobiao.errors import ConfigError
from duobiao.models.pretrained import encoder_from_config, load_pretrained, random_encoder

FOLDERS = ["bert_folder", "wwm_folder", "albert_folder", "unigram_folder"]
SINGLES = ["快递坏了", "开票，还行 ab", "ABBA 喜欢", "从未见过的字龘", " 今天\t喜欢 ", "a"]
PAIRS = [("身份确认", "是我"), ("售后", "快递坏了，打给我"), ("a", "b"), ("售后", "龘")]


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def damaged(tmp_path: Path, wwm_folder: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(wwm_folder, tmp_path / "copy"))


@pytest.mark.parametrize("folder", FOLDERS, indirect=True)
def test_every_form_loads_from_its_folder_without_a_network(folder: Path, network_attempts: list[str]) -> None:
    found = load_pretrained(str(folder))
    assert network_attempts == []
    assert found.model.config.hidden_size == 32
    assert found.model.get_input_embeddings().weight.dtype == torch.float32
    stored = load_file(folder / "model.safetensors")
    name = next(name for name in stored if name.endswith("word_embeddings.weight"))
    assert torch.equal(found.model.get_input_embeddings().weight, stored[name])
    assert found.pad_id == (1 if folder.name.startswith("unigram") else 0)


@pytest.mark.parametrize("folder", ["bert_folder", "wwm_folder", "albert_folder"], indirect=True)
def test_ids_are_those_of_transformers(folder: Path) -> None:
    ours, theirs = load_pretrained(str(folder)).tokenizer, BertTokenizer.from_pretrained(folder)
    for text in SINGLES:
        assert ours.encode(text).ids == theirs(text).input_ids
    for pair in PAIRS:
        found, wanted = ours.encode(*pair), theirs(*pair)
        assert found.ids == wanted.input_ids
        assert found.type_ids == wanted.token_type_ids
        assert 1 in found.type_ids


def test_unigram_pairs_have_the_form_of_xlm_r(unigram_folder: Path) -> None:
    ours = load_pretrained(str(unigram_folder)).tokenizer
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(unigram_folder / "tokenizer.json"))
    for text in SINGLES:
        assert ours.encode(text).ids == theirs(text).input_ids
    found = ours.encode("售后", "坏了")
    assert found.ids == theirs("售后", "坏了").input_ids
    assert found.tokens == ["<s>", "▁", "售", "后", "</s>", "</s>", "▁", "坏", "了", "</s>"]


def test_case_is_kept_where_the_folder_says_so(damaged: Path) -> None:
    words = (damaged / "vocab.txt").read_text(encoding="utf-8").splitlines()
    words[-3] = "AB"
    (damaged / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    assert load_pretrained(str(damaged)).tokenizer.encode("AB").tokens == ["[CLS]", "a", "##b", "[SEP]"]
    (damaged / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}), encoding="utf-8")
    assert load_pretrained(str(damaged)).tokenizer.encode("AB").tokens == ["[CLS]", "AB", "[SEP]"]


def test_words_of_the_vocabulary_that_are_line_breaks_shift_no_id(damaged: Path) -> None:
    words = (damaged / "vocab.txt").read_text(encoding="utf-8").splitlines()
    words[-3:-1] = ["\u2028", "\x85"]
    (damaged / "vocab.txt").write_text("".join(word + "\n" for word in words), encoding="utf-8")
    ours = load_pretrained(str(damaged)).tokenizer
    assert ours.token_to_id(words[-1]) == len(words) - 1
    theirs = BertTokenizer.from_pretrained(damaged)
    assert {word: at for word, at in ours.get_vocab().items() if word.strip()} == {
        word: at for word, at in theirs.get_vocab().items() if word.strip()
    }
    assert ours.encode("是我", "[").ids == theirs("是我", "[").input_ids


def test_checkpoint_of_a_masked_language_model_gives_its_encoder(wwm_folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    whole = BertForMaskedLM(BertConfig.from_pretrained(wwm_folder))
    whole.save_pretrained(tmp_path)
    shutil.copy(wwm_folder / "vocab.txt", tmp_path)
    found = load_pretrained(str(tmp_path)).model
    for name, parameter in found.named_parameters():
        assert torch.equal(parameter, whole.bert.get_parameter(name)), name


# ---- refused -----------------------------------------------------------------------------------------


def refused(folder: Path | str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_pretrained(str(folder))
    assert str(folder) in caught.value.message
    assert caught.value.hint
    return str(caught.value)


def test_folder_without_a_tokenizer(damaged: Path) -> None:
    (damaged / "vocab.txt").unlink()
    assert "no tokenizer.json, vocab.txt or sentencepiece model" in refused(damaged)


def test_vocabulary_that_is_not_berts(damaged: Path) -> None:
    words = (damaged / "vocab.txt").read_text(encoding="utf-8").replace("[CLS]", "<cls>").replace("[UNK]", "<unk>")
    (damaged / "vocab.txt").write_text(words, encoding="utf-8")
    assert "lacks [UNK], [CLS]" in refused(damaged)


def test_vocabulary_larger_than_the_embedding(damaged: Path, tiny_vocabulary: list[str]) -> None:
    with (damaged / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("龘\n龖\n")
    size = len(tiny_vocabulary)
    assert f"ids up to {size + 1}, the embedding only {size} rows" in refused(damaged)


def test_tokenizer_json_larger_than_the_embedding(damaged: Path, bert_folder: Path) -> None:
    tokenizer = json.loads((bert_folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"]["龘"] = len(tokenizer["model"]["vocab"])
    (damaged / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    assert "come from different models" in refused(damaged)


def test_damaged_tokenizer_json(damaged: Path) -> None:
    (damaged / "tokenizer.json").write_text('{"version": "1.0", "model"', encoding="utf-8")
    assert "tokenizer.json cannot be read" in refused(damaged)


@pytest.mark.parametrize("lost", ["encoder.layer.1.attention.self.query.weight", "embeddings.word_embeddings.weight"])
def test_checkpoint_that_lacks_a_tensor(damaged: Path, lost: str) -> None:
    tensors = load_file(damaged / "model.safetensors")
    del tensors[lost]
    save_file(tensors, damaged / "model.safetensors", metadata={"format": "pt"})
    said = refused(damaged)
    assert "leave 1 tensors of the encoder unfilled" in said
    assert lost in said


def test_checkpoint_with_a_tensor_of_another_shape(damaged: Path) -> None:
    tensors = load_file(damaged / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    tensors[name] = tensors[name][:, :-1].contiguous()
    save_file(tensors, damaged / "model.safetensors", metadata={"format": "pt"})
    assert name in refused(damaged)


def test_checkpoint_that_is_cut_short(damaged: Path) -> None:
    data = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(data[: len(data) // 2])
    assert "this folder holds no encoder that can be loaded" in refused(damaged)


def test_folder_without_weights_or_config(damaged: Path) -> None:
    (damaged / "model.safetensors").unlink()
    assert "this folder holds no encoder" in refused(damaged)
    (damaged / "config.json").unlink()
    assert "this folder holds no encoder" in refused(damaged)


@pytest.mark.parametrize("name", ["no/such/folder/here", "nobody/no-such-model", "no-such-model", "./no-such-folder"])
def test_name_that_is_neither_folder_nor_known(name: str) -> None:
    said = refused(name)
    assert "no such folder here, and the hub did not give it" in said
    assert "--set encoder=FOLDER" in said


def test_name_without_a_network_is_refused_without_trying_for_long(
    monkeypatch: pytest.MonkeyPatch, network_attempts: list[str]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert "--set encoder=FOLDER" in refused("nobody/no-such-model")
    assert slept == []
    assert len(network_attempts) == 1
    network_attempts.clear()


# ---- made, not loaded --------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS, indirect=True)
def test_encoder_of_a_bundle_has_the_same_form(folder: Path) -> None:
    model = load_pretrained(str(folder)).model.eval()
    again = encoder_from_config(json.loads(json.dumps(model.config.to_diff_dict(), default=str))).eval()
    again.load_state_dict(model.state_dict())
    ids = torch.tensor([[2, 9, 10, 11, 3]])
    assert torch.equal(again(ids).last_hidden_state, model(ids).last_hidden_state)
    assert isinstance(again, BertModel) or folder.name.startswith("albert")


def test_random_encoder_keeps_rare_characters_and_is_the_same_every_time() -> None:
    texts = [chr(0x4E00 + 3 * at) + chr(0x4E00 + 3 * at + 1) + "的" for at in range(700)] + ["abc abd 1234", "xyz zyx 567"] * 3
    shape = EncoderShape(layers=1, hidden=8, heads=2, intermediate=8, vocab_size=3000)
    first, second = (random_encoder(shape, iter(texts), 16).tokenizer for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    assert all("[UNK]" not in first.encode(text).tokens for text in texts)
    assert first.encode("的", "甲").tokens[:3] == ["[CLS]", "的", "[SEP]"]


def test_random_encoder_with_a_small_vocabulary_keeps_the_frequent_characters_every_time() -> None:
    texts = [chr(0x4E00 + at) for at in range(900)] + [chr(0x4E00 + at) for at in range(500, 560)]
    shape = EncoderShape(layers=1, hidden=8, heads=2, intermediate=8, vocab_size=120)
    first, second = (random_encoder(shape, texts, 16) for _ in range(2))
    assert first.tokenizer.get_vocab() == second.tokenizer.get_vocab()
    assert first.tokenizer.get_vocab_size() <= 120
    assert all(first.tokenizer.token_to_id(chr(0x4E00 + at)) is not None for at in range(500, 560))
    assert first.model.config.vocab_size == first.tokenizer.get_vocab_size()
    assert first.model.config.max_position_embeddings >= 16
