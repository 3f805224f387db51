"""Hugging Face encoders, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask

from duobiao.errors import ConfigError
from duobiao.models.internals import layers_of

Layer = Callable[[Tensor, Tensor | None], Tensor]
STACKED = ("bert", "roberta", "xlm-roberta", "camembert", "ernie")
"""Model types whose layers stand in ``encoder.layer``."""
SHARED = ("albert",)
"""Model types that apply one group of layers again and again."""


class Layerwise:
    """An encoder as its embedding and a list of layers; run in turn they equal the encoder bit for bit.

    Layers are counted by application: an ALBERT of twelve layers has twelve, though they share their weights.

    Args:
        encoder: The encoder; it is not copied.

    Raises:
        ConfigError: If its layers cannot be reached one by one.
    """

    def __init__(self, encoder: PreTrainedModel) -> None:
        model: Any = encoder
        kind = model.config.model_type
        if kind not in (*STACKED, *SHARED):
            raise ConfigError(
                f"an encoder of type {kind!r} cannot be run layer by layer",
                hint=f"use a teacher of type {', '.join((*STACKED, *SHARED))}, or another student",
            )
        self.config = model.config
        self._embeddings = model.embeddings
        self._widen: Callable[[Tensor], Tensor] | None = None
        if kind in SHARED:
            self._widen = model.encoder.embedding_hidden_mapping_in
        self.layers: list[Layer] = list(layers_of(encoder))

    def __len__(self) -> int:
        return len(self.layers)

    def embed(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """States ``(rows, length, width)`` before the first layer, from ids ``(rows, length)``."""
        states: Tensor = self._embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
        return states

    def mask(self, states: Tensor, attention_mask: Tensor) -> Tensor | None:
        """What the layers take as mask, from states and ``attention_mask`` ``(rows, length)``; None where nothing is padded."""
        found: Tensor | None = create_bidirectional_mask(
            config=self.config, inputs_embeds=states, attention_mask=attention_mask
        )
        return found

    def start(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """States and mask that the first layer takes."""
        states = self.embed(input_ids, token_type_ids)
        mask = self.mask(states, attention_mask)
        return (self._widen(states) if self._widen else states), mask
