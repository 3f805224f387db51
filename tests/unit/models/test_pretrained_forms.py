"""Every well-known form of a Chinese encoder: weights, ids, limits, training and reloading, without a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_forms import BY_NAME, FORMS, Form, as_xlm_roberta, make_form, reference, write_pieces
from safetensors.torch import load_file
from transformers import BertTokenizer, XLMRobertaTokenizer

import duobiao
from duobiao.config import parse_config
from duobiao.errors import ConfigError
from duobiao.labels import LabelSpace
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.pretrained import load_pretrained
from duobiao.models.sentencepiece_file import read_pieces
from duobiao.train import recipe

Make = Callable[[str], Path]
NAMES = [form.name for form in FORMS]
WORDPIECE = [form.name for form in FORMS if not form.pieces]
PIECES = [form.name for form in FORMS if form.pieces]
SINGLES = [
    "快递坏了，今天还行！",
    "开票 2024 年 1 2 12 月，AB ab Ａ５ ５％",
    "（身份确认）：“是我”。［打错了］",
    "é É ½ 从未见过的字龘 abc",
    " 今天\t喜欢\u3000生气 ",
    "[MASK] [UNK]",
    "a",
]
PAIRS = [("身份确认", "是我"), ("售后：5g", "快递坏了，打给我 AB"), ("a", "b"), ("售后", "龘，Ａ")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: list[str]) -> Make:
    """A checkpoint of a form, written once."""
    place = tmp_path_factory.mktemp("forms")
    characters = [word for word in tiny_vocabulary if len(word) == 1]

    def make(name: str) -> Path:
        folder = place / name.replace("/", "--")
        return folder if folder.exists() else make_form(BY_NAME[name], folder, characters)

    return make


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_of_the_encoder_is_the_published_one(name: str, made: Make, network_attempts: list[str]) -> None:
    folder, form = made(name), BY_NAME[name]
    encoder = load_pretrained(str(folder)).model.eval()
    whole = reference(folder, form)
    wanted = getattr(whole, whole.base_model_prefix, whole)
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert len(list(encoder.named_parameters())) > 10
    for key, parameter in encoder.named_parameters():
        assert torch.equal(parameter, wanted.get_parameter(key)), key
    assert not any("pooler" in key for key, _ in encoder.named_parameters())
    ids = torch.tensor([[4, 9, 10, 11, 12, 5]])
    assert torch.equal(encoder(ids).last_hidden_state, wanted(ids).last_hidden_state)
    assert network_attempts == []


def test_the_factorised_embedding_of_albert_stays_narrow(made: Make) -> None:
    encoder = load_pretrained(str(made("voidful/albert_chinese_tiny"))).model
    assert encoder.get_input_embeddings().weight.shape[1] == 16
    assert encoder.config.hidden_size == 32


@pytest.mark.parametrize("name", WORDPIECE)
def test_ids_are_those_of_berts_own_tokenizer(name: str, made: Make) -> None:
    found = load_pretrained(str(made(name)))
    theirs = BertTokenizer.from_pretrained(made(name))
    assert type(found.tokenizer.model).__name__ == "WordPiece"
    assert found.pad_id == theirs.pad_token_id == 0
    for text in SINGLES:
        assert found.tokenizer.encode(text).ids == theirs(text).input_ids, text
    for pair in PAIRS:
        ours, wanted = found.tokenizer.encode(*pair), theirs(*pair)
        assert (ours.ids, ours.type_ids) == (wanted.input_ids, wanted.token_type_ids)
    assert theirs.unk_token_id in found.tokenizer.encode("龘").ids
    assert theirs.unk_token_id not in found.tokenizer.encode("快递坏了，2024（ab）").ids
    upper = found.tokenizer.encode("AB").tokens[1:-1]
    assert upper == (["AB"] if name.startswith("BAAI") else ["ab"])


@pytest.mark.parametrize("form", ["tokenizer.json", "sentencepiece.bpe.model"])
@pytest.mark.parametrize("name", PIECES)
def test_ids_are_those_of_xlm_rs_own_tokenizer(name: str, form: str, made: Make, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made(name), tmp_path / "copy"))
    theirs = XLMRobertaTokenizer.from_pretrained(folder)
    other = "tokenizer.json" if form != "tokenizer.json" else "sentencepiece.bpe.model"
    (folder / other).unlink()
    found = load_pretrained(str(folder))
    assert found.pad_id == theirs.pad_token_id == 1
    for text in SINGLES:
        assert found.tokenizer.encode(text).ids == theirs(text).input_ids, text
    for pair in PAIRS:
        ours = found.tokenizer.encode(*pair)
        assert ours.ids == theirs(*pair).input_ids
        assert set(ours.type_ids) == {0}
        assert ours.ids.count(2) == 3
    assert found.tokenizer.get_vocab() == theirs.get_vocab()


def test_a_sentencepiece_model_is_read_as_its_own_format_says(tmp_path: Path) -> None:
    scored = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((f"▁字{at}", -0.5 * at) for at in range(300))]
    write_pieces(tmp_path / "x.model", scored)
    found = read_pieces(tmp_path / "x.model")
    assert found.scored == scored
    assert (found.unigram, found.charsmap) == (True, b"")
    assert as_xlm_roberta(scored).convert_tokens_to_ids("▁字0") == 4
    write_pieces(tmp_path / "bpe.model", scored, kind=2)
    assert not read_pieces(tmp_path / "bpe.model").unigram
    for at in (1, 7, len((tmp_path / "x.model").read_bytes()) - 1):
        (tmp_path / "cut.model").write_bytes((tmp_path / "x.model").read_bytes()[:at])
        with pytest.raises(ValueError, match=r"cut short|no sentencepiece model"):
            read_pieces(tmp_path / "cut.model")


@pytest.mark.parametrize("name", ["hfl/chinese-roberta-wwm-ext", "nghuyong/ernie-3.0-base-zh", "intfloat/multilingual-e5-base"])
def test_segments_beyond_what_an_encoder_has_are_taken_for_its_last(name: str, made: Make) -> None:
    found = load_pretrained(str(made(name)))
    model = EncoderClassifier(found.model, 3, "cls", 0.0).eval()
    ids, mask = torch.tensor([[4, 9, 10, 11]]), torch.ones(1, 4, dtype=torch.long)
    first, last = (model(ids, mask, torch.full_like(ids, segment)) for segment in (0, 1))
    assert torch.equal(first, last) == (found.model.config.type_vocab_size == 1)


def test_an_encoder_without_segments_is_given_none(tmp_path: Path, made: Make) -> None:
    torch.manual_seed(1)
    from transformers import DistilBertConfig, DistilBertModel

    vocabulary = (made("hfl/rbt3") / "vocab.txt").read_text(encoding="utf-8")
    size = vocabulary.count("\n")
    config = DistilBertConfig(vocab_size=size, dim=32, n_layers=1, n_heads=2, hidden_dim=48, max_position_embeddings=64)
    DistilBertModel(config).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    model = EncoderClassifier(load_pretrained(str(tmp_path)).model, 3, "mean", 0.0).eval()
    ids, mask = torch.tensor([[4, 9, 10, 11]]), torch.ones(1, 4, dtype=torch.long)
    assert torch.equal(model(ids, mask, torch.zeros_like(ids)), model(ids, mask, torch.ones_like(ids)))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision_come_out_in_float32(kind: torch.dtype, made: Make, tmp_path: Path) -> None:
    form: Form = replace(
        BY_NAME["BAAI/bge-small-zh-v1.5"], rename=lambda tensors: {key: tensor.to(kind) for key, tensor in tensors.items()}
    )
    folder = make_form(form, tmp_path / "half", "快递坏了")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "torch_dtype": str(kind)[6:]}), encoding="utf-8")
    encoder = load_pretrained(str(folder)).model
    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {kind}
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert torch.equal(encoder.get_input_embeddings().weight, stored["embeddings.word_embeddings.weight"].float())


# ---- from the checkpoint to a bundle -----------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_form_is_trained_and_its_bundle_reloaded(
    name: str, made: Make, tmp_path: Path, tiny_rows: Any, tiny_space: LabelSpace, network_attempts: list[str]
) -> None:
    settings = {"epochs": 1, "batch_size": 32, "lr": 1e-3}
    config = parse_config(
        {"kind": "encoder", "encoder": str(made(name)), "dropout": 0.0, "input": {"max_length": 32}, "train": settings}
    )
    rows, dev = tiny_rows.train[:32], tiny_rows.dev
    out = recipe.train(config, rows, dev, tiny_space, tmp_path / "bundle")
    trained = duobiao.load(out)
    assert len(trained.predict([row.text for row in dev], context=[row.context for row in dev])) == len(dev)
    before = load_pretrained(str(made(name)))
    after = trained.backend.model.encoder
    moved = [(a - b).abs().max().item() for a, b in zip(before.model.parameters(), after.parameters(), strict=True)]
    assert 0 < max(moved) < 0.01  # one step away from the published weights
    assert trained.backend.encoder.tokenizer.get_vocab() == before.tokenizer.get_vocab()
    assert network_attempts == []


@pytest.mark.parametrize(
    ("name", "most"),
    [("hfl/rbt3", 512), ("nghuyong/ernie-3.0-base-zh", 2048), ("intfloat/multilingual-e5-base", 512)],
)
def test_an_input_longer_than_the_positions_is_refused(
    name: str, most: int, made: Make, tmp_path: Path, tiny_rows: Any, tiny_space: LabelSpace
) -> None:
    config = parse_config({"kind": "encoder", "encoder": str(made(name)), "input": {"max_length": most + 1}})
    with pytest.raises(ConfigError, match=f"reads {most} tokens at most") as caught:
        recipe.train(config, tiny_rows.train, tiny_rows.dev, tiny_space, tmp_path / "bundle")
    assert caught.value.hint == f"--set input.max_length={most}"
    encoder = load_pretrained(str(made(name))).model.eval()
    ids = torch.full((1, most), 9)
    assert encoder(ids).last_hidden_state.shape == (1, most, 32)
    with pytest.raises((IndexError, RuntimeError)):
        encoder(torch.full((1, most + 1), 9))
