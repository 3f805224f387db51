"""Encoders with a head that guesses masked tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForMaskedLM, PreTrainedModel

from duobiao.errors import ConfigError
from duobiao.models.pretrained import Pretrained, load_pretrained, quiet

_HEADS = ("cls", "lm_head", "predictions")


@dataclass(frozen=True)
class WithHead:
    """An encoder that guesses tokens.

    Attributes:
        model: Encoder and head, in float32.
        source: The same encoder's tokenizer and padding, as ``load_pretrained`` gives them.
        trained: Whether the head came with the encoder; else it starts from random weights, apart from the embedding that it
            shares with the encoder.
    """

    model: PreTrainedModel
    source: Pretrained
    trained: bool


def load_with_head(name: str, revision: str | None = None) -> WithHead:
    """Loads an encoder with its masked-LM head, or with a new one.

    Args:
        name: Folder, or name on the hub.
        revision: Git revision on the hub.

    Raises:
        ConfigError: If the encoder cannot be loaded, or its kind knows no such head.
    """
    source = load_pretrained(name, revision)
    try:
        with quiet():
            model, info = AutoModelForMaskedLM.from_pretrained(
                name,
                revision=revision,
                dtype=torch.float32,
                output_loading_info=True,
                local_files_only=True,
                trust_remote_code=False,
            )
    except ValueError as error:
        raise ConfigError(
            f"encoder {name!r}: a {source.model.config.model_type!r} has no masked-LM head in transformers",
            hint="adapt an encoder of the BERT, RoBERTa, ALBERT, ERNIE or ELECTRA family",
        ) from error
    prefix = f"{model.base_model_prefix}."
    return WithHead(model, source, all(key.startswith(prefix) for key in info["missing_keys"]))


def head_logits(model: PreTrainedModel, states: Tensor) -> Tensor:
    """What a model's head says of hidden states: ``(states, width)`` to ``(states, tokens)``.

    Raises:
        ConfigError: If it is not known where the model keeps its head.
    """
    whole: Any = model
    for name in _HEADS:
        if hasattr(whole, name):
            found: Tensor = getattr(whole, name)(states)
            return found
    if hasattr(whole, "generator_predictions"):  # ELECTRA
        guessed: Tensor = whole.generator_lm_head(whole.generator_predictions(states))
        return guessed
    raise ConfigError(
        f"the masked-LM head of a {whole.config.model_type!r} is not known",
        hint="adapt an encoder of the BERT, RoBERTa, ALBERT, ERNIE or ELECTRA family",
    )
