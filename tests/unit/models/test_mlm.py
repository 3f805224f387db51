"""Heads that guess masked tokens: the loss is transformers' own, whatever the kind of the encoder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_checks import change
from safetensors.torch import load_file, save_file
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizer,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    ErnieConfig,
    ErnieForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMConfig,
    XLMWithLMHeadModel,
)

from duobiao.errors import ConfigError
from duobiao.models.mlm import head_logits, load_with_head, longest_input
from duobiao.train.masked import MaskedLanguageModel, base_of, encoder_inputs, guess_loss
from duobiao.train.masking import NOT_ASKED

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
NARROW = {"embedding_size": 8}
DISTIL = {
    "dim": 16,
    "n_layers": 1,
    "n_heads": 2,
    "hidden_dim": 24,
    "max_position_embeddings": 32,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "bert": (BertConfig, BertForMaskedLM, SMALL),
    "roberta": (RobertaConfig, RobertaForMaskedLM, {**SMALL, "type_vocab_size": 1, "pad_token_id": 0}),
    "albert": (AlbertConfig, AlbertForMaskedLM, {**SMALL, **NARROW}),
    "electra": (ElectraConfig, ElectraForMaskedLM, {**SMALL, **NARROW}),
    "ernie": (ErnieConfig, ErnieForMaskedLM, SMALL),
    "distilbert": (DistilBertConfig, DistilBertForMaskedLM, DISTIL),
}
every = pytest.mark.parametrize("kind", list(KINDS))
Make = Callable[..., Path]


def write(folder: Path, model: Any, words: list[str]) -> Path:
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: list[str]) -> Make:
    """A tiny encoder of a kind, with its head or without."""
    place = tmp_path_factory.mktemp("heads")

    def make(kind: str, head: bool = True) -> Path:
        folder = place / f"{kind}-{head}"
        if not folder.exists():
            form, model, sizes = KINDS[kind]
            whole = model(form(vocab_size=len(tiny_vocabulary), **sizes))
            write(folder, whole if head else whole.base_model, tiny_vocabulary)
        return folder

    return make


def batch(size: int, rows: int = 5, length: int = 12) -> dict[str, torch.Tensor]:
    """Ragged rows, some of them with several targets, one with none."""
    chance = torch.Generator().manual_seed(1)
    ids = torch.randint(5, size, (rows, length), generator=chance)
    mask = (torch.arange(length)[None] < torch.tensor([12, 9, 4, 12, 6])[:rows, None]).long()
    targets = torch.where(
        (torch.rand(rows, length, generator=chance) < 0.3) & (mask == 1), ids, torch.full_like(ids, NOT_ASKED)
    )
    targets[3] = NOT_ASKED
    masked = torch.where(targets != NOT_ASKED, 4, ids) * mask
    return {"input_ids": masked, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids), "targets": targets}


@every
def test_the_loss_and_its_gradient_are_those_of_transformers(kind: str, made: Make, tiny_vocabulary: list[str]) -> None:
    model = load_with_head(str(made(kind))).model.eval()
    given = batch(len(tiny_vocabulary))
    counts = (given["targets"] != NOT_ASKED).sum(1)
    assert counts.min() == 0
    assert counts.max() > 2

    def gradient(loss: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        loss.backward()
        return {name: own.grad.clone() for name, own in model.named_parameters() if own.grad is not None}

    wanted = model(**encoder_inputs(model, given), labels=given["targets"])
    theirs = gradient(wanted.loss)
    states = base_of(model)(**encoder_inputs(model, given)).last_hidden_state
    losses, right = guess_loss(model, states, given["targets"])
    ours = gradient((losses * counts).sum() / counts.sum())
    torch.testing.assert_close((losses * counts).sum() / counts.sum(), wanted.loss)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=1e-4)
    hits = (wanted.logits.argmax(2) == given["targets"]).sum(1)
    assert right.tolist() == hits.tolist()
    assert losses[3] == 0
    for row in (0, 1, 2, 4):  # each row alone
        one = {name: value[row : row + 1] for name, value in given.items()}
        alone = model(**encoder_inputs(model, one), labels=one["targets"]).loss
        torch.testing.assert_close(losses[row], alone, atol=1e-5, rtol=1e-5)


@every
def test_the_objective_is_this_loss(kind: str, made: Make, tiny_vocabulary: list[str]) -> None:
    model = load_with_head(str(made(kind))).model.eval()
    given = batch(len(tiny_vocabulary))
    states = base_of(model)(**encoder_inputs(model, given)).last_hidden_state
    found = MaskedLanguageModel(model)(given)
    assert set(found) == {"loss"}
    torch.testing.assert_close(found["loss"], guess_loss(model, states, given["targets"])[0])


def test_where_nothing_is_asked_the_loss_is_nothing(made: Make, tiny_vocabulary: list[str]) -> None:
    model = load_with_head(str(made("bert"))).model
    given = batch(len(tiny_vocabulary))
    loss = MaskedLanguageModel(model)({**given, "targets": torch.full_like(given["targets"], NOT_ASKED)})["loss"]
    assert loss.tolist() == [0.0] * 5
    loss.sum().backward()


@every
def test_a_head_that_comes_with_the_encoder_is_kept_and_another_is_new(
    kind: str, made: Make, tiny_vocabulary: list[str]
) -> None:
    with_head, without = load_with_head(str(made(kind))), load_with_head(str(made(kind, head=False)))
    assert (with_head.trained, without.trained) == (True, False)
    stored = load_file(made(kind) / "model.safetensors")
    own = with_head.model.state_dict()
    for name, value in stored.items():
        torch.testing.assert_close(own[name], value, atol=0, rtol=0)
    for name, value in without.source.model.state_dict().items():
        torch.testing.assert_close(without.model.base_model.state_dict()[name], value, atol=0, rtol=0)
    states = torch.randn(3, 16)
    for found in (with_head, without):
        assert found.model.dtype == torch.float32
        logits = head_logits(found.model, states)
        assert logits.shape == (3, len(tiny_vocabulary))
        embedding = found.model.get_input_embeddings().weight
        assert found.model.get_output_embeddings().weight.data_ptr() == embedding.data_ptr(), "the embedding is shared"
    assert with_head.source.pad_id == 0
    assert with_head.folder == made(kind)


def test_a_new_head_follows_from_the_seed(made: Make) -> None:
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        heads.append(load_with_head(str(made("bert", head=False))).model.state_dict()["cls.predictions.transform.dense.weight"])
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_a_head_of_which_a_part_is_missing_is_new(made: Make, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("bert"), tmp_path / "bert"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["cls.predictions.transform.dense.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert not load_with_head(str(folder)).trained


def test_a_head_for_other_tokens_is_new(made: Make, tmp_path: Path, tiny_vocabulary: list[str]) -> None:
    folder = Path(shutil.copytree(made("bert"), tmp_path / "bert"))
    tensors = load_file(folder / "model.safetensors")
    tensors["cls.predictions.bias"] = torch.zeros(7)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    found = load_with_head(str(folder))
    assert not found.trained
    assert head_logits(found.model, torch.zeros(1, 16)).shape == (1, len(tiny_vocabulary))


def test_half_precision_is_loaded_as_single(made: Make, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("bert"), tmp_path / "bert"))
    tensors = {name: value.half() for name, value in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder, dtype="float16")
    assert {value.dtype for value in load_with_head(str(folder)).model.state_dict().values()} == {torch.float32}


def test_an_encoder_whose_head_is_not_known_is_refused(made: Make, tmp_path: Path, tiny_vocabulary: list[str]) -> None:
    sizes = {"emb_dim": 16, "n_layers": 1, "n_heads": 2, "max_position_embeddings": 32, "pad_index": 0, "unk_index": 1}
    folder = write(tmp_path / "xlm", XLMWithLMHeadModel(XLMConfig(n_words=len(tiny_vocabulary), **sizes)), tiny_vocabulary)
    change(folder, pad_token_id=0)
    with pytest.raises(ConfigError, match="masked-LM head of a 'xlm'") as caught:
        load_with_head(str(folder))
    assert "BERT" in (caught.value.hint or "")
    with pytest.raises(ConfigError, match="no such folder"):
        load_with_head(str(tmp_path / "none"))


@every
def test_an_encoder_reads_its_longest_input_and_no_longer(kind: str, made: Make) -> None:
    model = load_with_head(str(made(kind))).model.eval()
    longest = longest_input(model.config)
    assert longest == (31 if kind == "roberta" else 32)

    def run(length: int) -> Any:
        ids = torch.full((1, length), 6)
        return model(**encoder_inputs(model, {"input_ids": ids, "attention_mask": ids, "token_type_ids": ids * 0}))

    run(longest)
    with pytest.raises((IndexError, RuntimeError)):
        run(longest + 1)
    assert isinstance(model.base_model, torch.nn.Module)


def test_a_form_without_a_limit_has_none() -> None:
    class Form:
        model_type, pad_token_id = "new", None

    assert longest_input(Form()) == 1 << 30
    assert isinstance(base_of(BertForMaskedLM(BertConfig(vocab_size=9, **SMALL))), BertModel)
