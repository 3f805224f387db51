"""Encoders with a head that guesses masked tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForMaskedLM, PreTrainedModel

from duobiao.errors import ConfigError
from duobiao.models.encoder_files import find_folder, read_config
from duobiao.models.pretrained import Pretrained, load_pretrained, quiet
from duobiao.models.tokenizer_files import FROM_PADDING

_HEADS = ("cls", "lm_head", "predictions")
_HINT = "take an encoder of the BERT, RoBERTa, ALBERT, ERNIE, ELECTRA or DistilBERT family"


@dataclass(frozen=True)
class WithHead:
    """An encoder that guesses tokens.

    Attributes:
        model: Encoder and head, in float32.
        source: The same encoder's tokenizer and padding, as ``load_pretrained`` gives them.
        trained: Whether the head came with the encoder; else it starts from random weights, apart from the embedding that it
            shares with the encoder.
        folder: Where the encoder's files are.
    """

    model: PreTrainedModel
    source: Pretrained
    trained: bool
    folder: Path


def load_with_head(name: str, revision: str | None = None) -> WithHead:
    """Loads an encoder with its masked-LM head, or with a new one.

    Args:
        name: Folder, or name on the hub.
        revision: Git revision on the hub.

    Raises:
        ConfigError: If the encoder cannot be loaded, or its kind knows no such head.
    """
    source, folder = load_pretrained(name, revision), find_folder(name, revision)
    try:
        with quiet():
            model, info = AutoModelForMaskedLM.from_pretrained(
                str(folder),
                config=read_config(name, folder),
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # the encoder's were refused above; a head of other sizes is no head of it
                local_files_only=True,
                trust_remote_code=False,
                weights_only=True,
            )
    except ValueError as error:
        raise ConfigError(
            f"encoder {name!r}: a {source.model.config.model_type!r} has no masked-LM head in transformers", hint=_HINT
        ) from error
    head_of(model)
    prefix = f"{model.base_model_prefix}."
    random = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    return WithHead(model, source, all(key.startswith(prefix) for key in random), folder)


def longest_input(form: Any) -> int:
    """Tokens that an encoder of this configuration reads at most."""
    most = int(getattr(form, "max_position_embeddings", 0) or 0) or 1 << 30
    return most - int(form.pad_token_id or 0) - 1 if form.model_type in FROM_PADDING else most


def head_of(model: PreTrainedModel) -> Callable[[Tensor], Tensor]:
    """A model's head: from hidden states ``(states, width)`` to logits ``(states, tokens)``.

    Raises:
        ConfigError: If it is not known where the model keeps its head.
    """
    whole: Any = model
    for name in _HEADS:
        if hasattr(whole, name):
            found: Callable[[Tensor], Tensor] = getattr(whole, name)
            return found
    if hasattr(whole, "generator_predictions"):  # ELECTRA
        return lambda states: whole.generator_lm_head(whole.generator_predictions(states))
    if hasattr(whole, "vocab_projector"):  # DistilBERT
        return lambda states: whole.vocab_projector(whole.vocab_layer_norm(whole.activation(whole.vocab_transform(states))))
    raise ConfigError(f"the masked-LM head of a {whole.config.model_type!r} is not known", hint=_HINT)


def head_logits(model: PreTrainedModel, states: Tensor) -> Tensor:
    """What a model's head says of hidden states: ``(states, width)`` to ``(states, tokens)``.

    Raises:
        ConfigError: If it is not known where the model keeps its head.
    """
    return head_of(model)(states)
