"""A smaller encoder of another one's kind, started at its layers.

Layers that fit are copied. Where the new encoder is narrower:

- **Width.** The residual stream joins all layers, so one choice of dimensions serves them all: those that the picked layers
  read most, by the norm's gain times the weights that read it. Norms and embeddings keep these dimensions (weight subcloning,
  arXiv 2312.09299, chooses alike). A rotation such as PCA would not pass through LayerNorm.
- **Heads.** A head's scores are ``x^T Wq^T Wk x`` and what it adds is ``Wo Wv x``. Where a head becomes narrower, both products
  are replaced by their best approximation of the new rank (singular values), scaled so that scores keep their size.
- **Feed-forward part.** The neurons with the largest product of the norms of their weights in and out are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from duobiao.errors import ConfigError
from duobiao.models.internals import layers_of
from duobiao.models.pretrained import without_pooler


@dataclass(frozen=True)
class Parts:
    """The parts of one layer, by the same names for BERT and ALBERT."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    mix: nn.Linear
    attention_norm: nn.LayerNorm
    up: nn.Linear
    down: nn.Linear
    norm: nn.LayerNorm

    @classmethod
    def of(cls, layer: Any) -> Parts:
        """Takes a layer apart.

        Raises:
            ConfigError: If it is not built like BERT's or ALBERT's.
        """
        try:
            if hasattr(layer, "ffn"):
                own, norm = layer.attention, layer.full_layer_layer_norm
                return cls(own.query, own.key, own.value, own.dense, own.LayerNorm, layer.ffn, layer.ffn_output, norm)
            own, out = layer.attention.self, layer.attention.output
            down = layer.output
            return cls(
                own.query, own.key, own.value, out.dense, out.LayerNorm, layer.intermediate.dense, down.dense, down.LayerNorm
            )
        except AttributeError as error:
            raise ConfigError(
                f"a layer of the kind {type(layer).__name__} cannot be taken apart", hint="set start to random"
            ) from error


def smaller_config(config: Any, **changes: Any) -> Any:
    """An encoder's configuration with another size; ALBERT's layers are no longer shared, its embedding stays factorised."""
    small = deepcopy(config)
    if hasattr(small, "num_hidden_groups"):
        changes |= {"num_hidden_groups": changes["num_hidden_layers"], "inner_group_num": 1}
    for name, value in changes.items():
        setattr(small, name, value)
    return small


def small_form(config: Any, *, layers: int, hidden: int, heads: int, intermediate: int, dropout: float) -> Any:
    """The form of a student: the kind and the tokens of ``config``, its own size."""
    return smaller_config(
        config,
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )


def make_encoder(config: Any) -> PreTrainedModel:
    """An encoder from random weights, without a pooler."""
    return without_pooler(AutoModel.from_config(config))


def check_smaller(source: Any, target: Any) -> None:
    """Refuses a target that is larger than the source it is to be cut from.

    Raises:
        ConfigError: Naming each size on both sides.
    """
    names = ("hidden_size", "num_attention_heads", "intermediate_size")
    larger = [f"{name}: {getattr(target, name)}, teacher {getattr(source, name)}" for name in names]
    larger = [line for name, line in zip(names, larger, strict=True) if getattr(target, name) > getattr(source, name)]
    if larger:
        raise ConfigError(
            "a student that starts at its teacher's layers cannot be wider than they are",
            hint="make shape smaller, or set start to random",
            problems=larger,
        )


@torch.no_grad()
def start_at_layers(target: PreTrainedModel, source: PreTrainedModel, picked: Sequence[int]) -> Tensor:
    """Starts ``target`` at layers of ``source``.

    Args:
        target: Filled in place; as wide as the source, or narrower.
        source: The encoder that the layers come from.
        picked: The application of a layer, from 1, that each layer of the target starts at.

    Returns:
        The source's dimensions that the target has, ``(width,)``, in order.
    """
    layers = [Parts.of(layer) for layer in layers_of(source)]
    chosen = [layers[number - 1] for number in picked]
    before = [layers[number - 2].norm if number > 1 else None for number in picked]
    kept = _most_read(chosen, before, int(target.config.hidden_size))
    heads = (int(source.config.num_attention_heads), int(target.config.num_attention_heads))
    _cut_embeddings(target, source, kept)
    for new, old in zip(layers_of(target), chosen, strict=True):
        _cut_layer(Parts.of(new), old, kept, heads)
    return kept


def _most_read(layers: Sequence[Parts], before: Sequence[nn.LayerNorm | None], width: int) -> Tensor:
    total = torch.zeros_like(layers[0].norm.weight)
    for layer, norm in zip(layers, before, strict=True):
        gain = norm.weight if norm is not None else torch.ones_like(total)
        for linear, into in (
            (layer.query, gain),
            (layer.key, gain),
            (layer.value, gain),
            (layer.up, layer.attention_norm.weight),
        ):
            read = (linear.weight * into).square().sum(0)
            total += read / read.sum()
    return total.topk(width).indices.sort().values


def _cut_embeddings(target: Any, source: Any, kept: Tensor) -> None:
    """Tables and norm lose the dimensions that are not kept; a factorised embedding stays, and its mapping loses them."""
    old, new = source.embeddings.state_dict(), target.embeddings.state_dict()
    mapped = hasattr(source.encoder, "embedding_hidden_mapping_in")
    target.embeddings.load_state_dict(
        {name: tensor if mapped or tensor.shape == new[name].shape else tensor[..., kept] for name, tensor in old.items()}
    )
    if mapped:
        into, out = target.encoder.embedding_hidden_mapping_in, source.encoder.embedding_hidden_mapping_in
        into.weight.copy_(out.weight[kept])
        into.bias.copy_(out.bias[kept])


def _cut_layer(new: Parts, old: Parts, kept: Tensor, heads: tuple[int, int]) -> None:
    for into, out in ((new.attention_norm, old.attention_norm), (new.norm, old.norm)):
        into.weight.copy_(out.weight[kept])
        into.bias.copy_(out.bias[kept])
    neurons = (old.up.weight.norm(dim=1) * old.down.weight.norm(dim=0)).topk(new.up.out_features).indices.sort().values
    new.up.weight.copy_(old.up.weight[neurons][:, kept])
    new.up.bias.copy_(old.up.bias[neurons])
    new.down.weight.copy_(old.down.weight[kept][:, neurons])
    new.down.bias.copy_(old.down.bias[kept])
    new.mix.bias.copy_(old.mix.bias[kept])
    _cut_heads(new, old, kept, heads)


def _cut_heads(new: Parts, old: Parts, kept: Tensor, heads: tuple[int, int]) -> None:
    query, key, value = (_per_head(part, kept, heads[0]) for part in (old.query, old.key, old.value))
    mix = old.mix.weight[kept].view(len(kept), heads[0], -1).permute(1, 2, 0)  # (heads, head width, width)
    size, width = new.query.out_features // heads[1], query.shape[1]
    strong = torch.stack([(one.T @ two).norm() for one, two in zip(mix, value, strict=True)])
    for place, head in enumerate(strong.topk(heads[1]).indices.sort().values.tolist()):
        at = slice(place * size, (place + 1) * size)
        scale = (size / width) ** 0.5
        left, right = (query[head], key[head]) if size == width else _best_product(query[head], key[head], size, scale)
        _put(new.query, at, left)
        _put(new.key, at, right)
        left, right = (mix[head], value[head]) if size == width else _best_product(mix[head], value[head], size, 1.0)
        new.mix.weight[:, at] = left.T
        _put(new.value, at, right)


def _per_head(linear: nn.Linear, kept: Tensor, heads: int) -> Tensor:
    """Weights with the bias as a further column: ``(heads, head width, width + 1)``."""
    return torch.cat([linear.weight[:, kept], linear.bias[:, None]], dim=1).view(heads, -1, len(kept) + 1)


def _put(linear: nn.Linear, at: slice, rows: Tensor) -> None:
    linear.weight[at] = rows[:, :-1]
    linear.bias[at] = rows[:, -1]


def _best_product(left: Tensor, right: Tensor, rank: int, scale: float) -> tuple[Tensor, Tensor]:
    """Two factors with ``rank`` rows whose ``a^T b`` is nearest to ``scale * left^T right``; further rows are zero in ``b``."""
    one, two = torch.linalg.qr(left.T), torch.linalg.qr(right.T)
    u, s, v = torch.linalg.svd(one.R @ two.R.T)
    root = (s[:rank] * scale).sqrt()
    found = ((one.Q @ u[:, :rank]) * root).T, ((two.Q @ v[:rank].T) * root).T
    missing = rank - len(root)
    if missing > 0:  # wider heads than the source's: room that starts without effect, but with a gradient
        spare = torch.randn(missing, left.shape[1]) * left.std()
        return torch.cat([found[0], spare]), torch.cat([found[1], torch.zeros(missing, right.shape[1])])
    return found


@torch.no_grad()
def with_tokens(encoder: PreTrainedModel, kept: Tensor, pad_id: int) -> PreTrainedModel:
    """The same encoder with fewer tokens.

    Args:
        encoder: Any encoder.
        kept: Its id of each token that is left, ``(tokens,)``.
        pad_id: The new id that fills short rows.
    """
    config = deepcopy(encoder.config)
    moved = int(config.pad_token_id or 0) - pad_id
    config.vocab_size, config.pad_token_id = len(kept), pad_id
    small, words = make_encoder(config), encoder.get_input_embeddings().weight
    state = dict(encoder.state_dict())
    for name, parameter in encoder.named_parameters():
        if parameter is words:
            state[name] = words[kept.to(words.device)]
        elif moved and name.endswith("position_embeddings.weight") and hasattr(encoder.embeddings, "padding_idx"):
            state[name] = parameter.roll(-moved, 0)  # RoBERTa's positions begin after the padding id
    small.load_state_dict(state)
    return small
