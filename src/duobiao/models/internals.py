"""What happens inside a Hugging Face encoder: its layers in the order of use, hidden states, attention scores."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from duobiao.errors import ConfigError

_RECORDING = "duobiao_scores"


@dataclass(frozen=True)
class Inside:
    """What an encoder computes on its way.

    Attributes:
        hidden: The embedding layer's output, then that of each application of a layer; each ``(inputs, length, width)``.
        scores: Attention scores before mask and softmax by the number of the application, from 1:
            ``(inputs, heads, length, length)``, queries before keys.
    """

    hidden: tuple[Tensor, ...]
    scores: dict[int, Tensor]


def layer_count(config: Any) -> int:
    """How often an encoder of this form applies a layer; ALBERT applies shared ones again and again."""
    return int(config.num_hidden_layers) * int(getattr(config, "inner_group_num", 1))


def layers_of(encoder: PreTrainedModel) -> list[nn.Module]:
    """The layers in the order in which they are applied; a shared layer stands there as often as it is.

    Raises:
        ConfigError: If the encoder is not built like BERT or ALBERT.
    """
    stack: Any = getattr(encoder, "encoder", None)
    if hasattr(stack, "albert_layer_groups"):
        groups, layers = len(stack.albert_layer_groups), int(encoder.config.num_hidden_layers)
        order = [stack.albert_layer_groups[int(number / (layers / groups))] for number in range(layers)]
        return [layer for group in order for layer in group.albert_layers]
    if hasattr(stack, "layer"):
        return list(stack.layer)
    raise ConfigError(
        f"the layers of a {encoder.config.model_type!r} encoder cannot be taken apart",
        hint="set start to random or general, or teach from an encoder of BERT's or ALBERT's form",
    )


def inside(encoder: PreTrainedModel, batch: dict[str, Tensor], scored: Collection[int] = ()) -> Inside:
    """Runs an encoder and keeps what it computes on its way; its output is what it would be anyway.

    Args:
        encoder: The encoder.
        batch: ``input_ids``, ``attention_mask`` and, if it reads them, ``token_type_ids``; each ``(inputs, length)``.
        scored: Applications of layers, from 1, whose attention scores are wanted.

    Raises:
        ConfigError: If scores are wanted of an encoder that does not tell them.
    """
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    segments = int(getattr(encoder.config, "type_vocab_size", 0) or 0)
    if segments and "token_type_ids" in batch:
        inputs["token_type_ids"] = batch["token_type_ids"].clamp(max=segments - 1)
    with _recording(encoder, scored) as record:
        states = encoder(**inputs, output_hidden_states=True).hidden_states
    if len(record.scores) < len(set(scored)):
        raise ConfigError(
            f"an encoder of the type {encoder.config.model_type!r} does not tell its attention scores",
            hint="set intermediate.attention_weight to 0",
        )
    return Inside(tuple(states), record.scores)


class _Record:
    def __init__(self, wanted: Collection[int]) -> None:
        self.wanted, self.calls = set(wanted), 0
        self.scores: dict[int, Tensor] = {}


_record: ContextVar[_Record | None] = ContextVar("record", default=None)


@contextmanager
def _recording(encoder: PreTrainedModel, wanted: Collection[int]) -> Iterator[_Record]:
    record = _Record(wanted)
    if not wanted:
        yield record
        return
    config, before = encoder.config, encoder.config._attn_implementation
    token = _record.set(record)
    config._attn_implementation = _RECORDING
    try:
        yield record
    finally:
        config._attn_implementation = before
        _record.reset(token)


def _attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any) -> Any:
    """PyTorch's own attention; where asked for, ``Q K^T / sqrt(d)`` is computed once more and kept."""
    record = _record.get()
    if record is not None:
        record.calls += 1
        if record.calls in record.wanted:
            scaling = options.get("scaling") or query.shape[-1] ** -0.5
            record.scores[record.calls] = torch.matmul(query, key.transpose(2, 3)) * scaling
    return sdpa_attention_forward(module, query, key, value, mask, **options)


AttentionInterface.register(_RECORDING, _attention)
AttentionMaskInterface.register(_RECORDING, sdpa_mask)
