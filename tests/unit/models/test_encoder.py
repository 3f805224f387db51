"""The encoder with its output layer: pooling, segments, and the true pair that it reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import BertConfig, BertModel, BertTokenizer

from duobiao.config import InputSettings
from duobiao.data.encode import RowEncoder
from duobiao.models.encoder import EncoderClassifier, count_parameters
from duobiao.models.pretrained import load_pretrained

IDS = torch.tensor([[2, 9, 10, 11, 3], [2, 12, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
TYPES = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]])


def load(folder: Path, pooling: str, dropout: float = 0.0) -> EncoderClassifier:
    torch.manual_seed(5)
    return EncoderClassifier(load_pretrained(str(folder)).model, 4, pooling, dropout).eval()


@pytest.mark.parametrize("fixture", ["bert_folder", "albert_folder"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_logits_are_the_output_layer_on_the_pooled_states(fixture: str, pooling: str, request: pytest.FixtureRequest) -> None:
    model = load(request.getfixturevalue(fixture), pooling)
    found = model(IDS, MASK, TYPES)
    for row in range(2):
        length = int(MASK[row].sum())
        states = model.encoder(IDS[row : row + 1, :length], token_type_ids=TYPES[row : row + 1, :length]).last_hidden_state[0]
        vector = states[0]
        if pooling == "mean":
            vector = torch.zeros(states.shape[1])
            for state in states:
                vector = vector + state / length
        assert_close(found[row], model.output.weight @ vector + model.output.bias)


@pytest.mark.parametrize("fixture", ["bert_folder", "albert_folder"])
def test_there_is_no_pooler(fixture: str, request: pytest.FixtureRequest) -> None:
    model = load(request.getfixturevalue(fixture), "cls")
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]
    model(IDS, MASK, TYPES).sum().backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]


def test_shared_layers_are_counted_once(albert_folder: Path) -> None:
    model = load(albert_folder, "cls")
    vocabulary = model.word_embedding().shape[0]
    embedding = 16 * (vocabulary + 64 + 2) + 2 * 16
    widened = 16 * 32 + 32
    layer = 4 * (32 * 32 + 32) + 2 * 32 * 48 + 48 + 32 + 2 * 2 * 32
    assert count_parameters(model) == embedding + widened + layer + 4 * 32 + 4


def test_segments_matter_and_are_left_out_where_the_encoder_knows_none() -> None:
    torch.manual_seed(0)
    shape = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    two = EncoderClassifier(BertModel(BertConfig(**shape), add_pooling_layer=False), 3, "cls", 0.0).eval()
    assert not torch.allclose(two(IDS, MASK, TYPES)[0], two(IDS, MASK, torch.zeros_like(TYPES))[0])
    one = EncoderClassifier(BertModel(BertConfig(**shape, type_vocab_size=1), add_pooling_layer=False), 3, "cls", 0.0).eval()
    assert torch.equal(one(IDS, MASK, TYPES), one(IDS, MASK, torch.zeros_like(TYPES)))


def test_dropout_acts_in_training_only(bert_folder: Path) -> None:
    model = load(bert_folder, "cls", dropout=0.5)
    assert torch.equal(model(IDS, MASK, TYPES), model(IDS, MASK, TYPES))
    model.train()
    assert not torch.equal(model(IDS, MASK, TYPES), model(IDS, MASK, TYPES))


# ---- what it reads -----------------------------------------------------------------------------------


def row_encoder(folder: Path, **settings: object) -> RowEncoder:
    found = load_pretrained(str(folder))
    return RowEncoder(found.tokenizer, InputSettings(**{"max_length": 32, **settings}), found.pad_id)


@pytest.mark.parametrize("fixture", ["bert_folder", "wwm_folder", "albert_folder"])
def test_context_is_a_true_first_segment(fixture: str, request: pytest.FixtureRequest, wwm_folder: Path) -> None:
    encoded = row_encoder(request.getfixturevalue(fixture)).encode([("是我", "身份确认"), ("是我", None)])
    theirs = BertTokenizer.from_pretrained(wwm_folder)
    pair, single = theirs("身份确认", "是我"), theirs("是我")
    assert encoded.ids[0].tolist() == pair.input_ids
    assert encoded.types[0].tolist() == pair.token_type_ids == [0] * 6 + [1] * 3
    separator = theirs.sep_token_id
    assert np.flatnonzero(encoded.ids[0] == separator).tolist() == [5, 8]
    assert encoded.ids[1].tolist() == single.input_ids
    assert encoded.types[1].tolist() == [0] * 4


def test_long_pairs_keep_both_separators_and_the_context(bert_folder: Path) -> None:
    encoded = row_encoder(bert_folder, max_length=12).encode([("快递坏了，打给我，找经理，生气", "身份确认")])
    ids, separator = encoded.ids[0].tolist(), 3
    assert len(ids) == 12
    assert ids[0] == 2
    assert [at for at, found in enumerate(ids) if found == separator] == [5, 11]


@pytest.mark.parametrize(
    ("fixture", "typed", "separator"),
    [
        ("bert_folder", "[SEP]", 3),
        ("wwm_folder", "[SEP]", 3),
        ("albert_folder", "[CLS]", 2),
        ("unigram_folder", "</s>", 2),
    ],
)
def test_a_separator_typed_into_the_text_is_text(
    fixture: str, typed: str, separator: int, request: pytest.FixtureRequest
) -> None:
    encoder = row_encoder(request.getfixturevalue(fixture))
    honest, typed_in = (encoder.encode([(text, "售后")]).ids[0] for text in ("是我坏了", f"是我{typed}坏了"))
    assert (typed_in == separator).sum() == (honest == separator).sum()
    assert len(typed_in) > len(honest)


def test_padding_is_the_tokenizers_own_and_masked(unigram_folder: Path) -> None:
    encoder = row_encoder(unigram_folder)
    batch = encoder.pad(encoder.encode([("是我", "身份确认"), ("坏了", None)]), [0, 1])
    assert batch["attention_mask"].sum(1).tolist() == [12, 5]
    assert (batch["input_ids"][1, 5:] == 1).all()
    assert (batch["token_type_ids"] == 0).all()
