"""Encoders run layer by layer equal the whole encoder, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ErnieConfig,
    ErnieModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from duobiao.errors import ConfigError
from duobiao.models.layerwise import Layerwise

SHAPE: dict[str, Any] = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
}
MODELS = {
    "bert": (BertModel, BertConfig(**SHAPE, num_hidden_layers=3)),
    "bert eager": (BertModel, BertConfig(**SHAPE, num_hidden_layers=3, attn_implementation="eager")),
    "roberta": (RobertaModel, RobertaConfig(**SHAPE, num_hidden_layers=3, pad_token_id=1)),
    "xlm-roberta": (XLMRobertaModel, XLMRobertaConfig(**SHAPE, num_hidden_layers=3, pad_token_id=1)),
    "ernie": (ErnieModel, ErnieConfig(**SHAPE, num_hidden_layers=3)),
    "albert": (AlbertModel, AlbertConfig(**SHAPE, embedding_size=8, num_hidden_layers=3)),
    "albert in groups": (AlbertModel, AlbertConfig(**SHAPE, embedding_size=8, num_hidden_layers=4, num_hidden_groups=2)),
    "albert of two": (AlbertModel, AlbertConfig(**SHAPE, embedding_size=8, num_hidden_layers=2, inner_group_num=2)),
}
LAYERS = {"albert in groups": 4, "albert of two": 4}


def inputs(padded: bool) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 30, (4, 9), generator=random)
    mask = torch.ones_like(ids)
    if padded:
        for row, length in enumerate((9, 7, 4, 1)):
            ids[row, length:], mask[row, length:] = 1, 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_layers_in_turn_are_the_encoder_bit_for_bit(kind: str, padded: bool) -> None:
    torch.manual_seed(0)
    model, config = MODELS[kind]
    encoder = model(config, add_pooling_layer=False).eval()
    batch = inputs(padded)
    with torch.no_grad():
        whole = encoder(**batch).last_hidden_state
        parts = Layerwise(encoder)
        states, mask = parts.start(**batch)
        assert (mask is None) == (not padded)
        for layer in parts.layers:
            states = layer(states, mask)
    assert len(parts) == LAYERS.get(kind, 3)
    assert torch.equal(states, whole)


def test_an_encoder_that_is_built_otherwise_is_refused() -> None:
    encoder = DistilBertModel(DistilBertConfig(vocab_size=30, dim=16, n_layers=2, n_heads=2, hidden_dim=24))
    with pytest.raises(ConfigError, match="'distilbert' cannot be run layer by layer"):
        Layerwise(encoder)
