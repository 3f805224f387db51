"""Learning from the inside of a teacher: embedding layer, hidden states and attention (TinyBERT, arXiv 1909.10351)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from duobiao.config.tinybert import MatchSettings
from duobiao.errors import ConfigError
from duobiao.models.internals import inside
from duobiao.train.objectives import Batch, Objective

Match = Literal["scores", "centred", "probabilities"]
_TINY = 1e-6


def map_layers(rule: Literal["uniform", "last"] | Sequence[int], layers: int, teacher: int) -> tuple[int, ...]:
    """The layer ``g(m)`` of the teacher, from 1, for each of the student's layers ``m`` (section 3.1).

    ``uniform`` is ``g(m) = m N / M``, rounded, so that the last layer learns from the last; ``last`` is ``m + N - M``.

    Raises:
        ConfigError: If the student has more layers than the teacher, or a list does not fit them.
    """
    if isinstance(rule, str):
        if layers > teacher:
            raise ConfigError(
                f"the student has {layers} layers, its teacher {teacher}",
                hint=f"--set shape.layers={teacher} or fewer, or give layer_map as a list",
            )
        if rule == "last":
            return tuple(range(teacher - layers + 1, teacher + 1))
        return tuple(int(number * teacher / layers + 0.5) for number in range(1, layers + 1))
    problems = [f"the teacher has no layer {number}, it has {teacher}" for number in rule if not 1 <= number <= teacher]
    if len(rule) != layers:
        problems.append(f"it names {len(rule)} layers, the student has {layers}")
    if problems:
        raise ConfigError(
            f"layer_map {list(rule)} does not fit", hint="name a teacher's layer for each layer", problems=problems
        )
    return tuple(rule)


class IntermediateDistillation(Objective):
    """What the student computes inside is to be what its teacher does (arXiv 1909.10351, eq. 6 without the prediction layer).

    | name | loss of a row |
    |---|---|
    | ``embedding`` | ``MSE(E_S W_e, E_T)``, ``E`` being the embedding layer's output (eq. 9) |
    | ``hidden`` | sum over the student's layers ``m`` of ``MSE(H_S^m W_h, H_T^g(m))`` (eq. 8) |
    | ``attention`` | sum over ``m`` of ``1/h sum_i MSE(A_S,i^m, A_T,i^g(m))`` over heads ``i`` (eq. 7) |

    ``A`` are scores ``Q K^T / sqrt(d)`` before the softmax (also without each query's mean, which the softmax does not see), or
    probabilities. ``relative`` divides every MSE by the mean square of the teacher's side on the row. Means run over the true
    tokens of the row (for attention, over pairs of them), so padding counts nowhere and a long row weighs as much as a short
    one. Where heads differ in number, consecutive ones are averaged on both sides into as many as divide both.

    The teacher runs in eval mode without gradient. It is no part of the state: neither checkpoints nor bundles hold it.

    Args:
        student: What is trained and kept; its classifier's output layer gets no gradient here.
        encoder: The encoder inside it (or itself).
        teacher: The encoder that it learns from.
        layers: ``g(m)`` for each layer of the student, as from ``map_layers``.
        settings: Weights, and what of the attention is matched.
        kept: The teacher's dimensions that the student's are, ``(width,)``, if there are such: the projections then start
            there, and at random otherwise.
        tokens: The teacher's id of each of the student's, ``(tokens,)``; None if they are the same.
    """

    tokens: Tensor | None

    def __init__(
        self,
        student: nn.Module,
        encoder: PreTrainedModel,
        teacher: PreTrainedModel,
        layers: Sequence[int],
        settings: MatchSettings,
        *,
        kept: Tensor | None = None,
        tokens: Tensor | None = None,
    ) -> None:
        super().__init__(student)
        self.inner = (encoder, teacher.eval())  # in a tuple, where no state looks for modules
        self.layers = tuple(layers)
        self.settings = settings
        narrow, wide = int(encoder.config.hidden_size), int(teacher.config.hidden_size)
        self.embedding_projection = _projection(narrow, wide, kept)
        self.hidden_projection = _projection(narrow, wide, kept)
        self.register_buffer("tokens", tokens, persistent=False)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        settings, (encoder, teacher) = self.settings, self.inner
        mask = batch["attention_mask"]
        if not len(mask):  # rows of a batch that are asked no label have no input
            nothing = self.hidden_projection.weight.sum() * torch.zeros(len(batch["slots"]), device=mask.device)
            return dict.fromkeys(
                ("loss", "embedding", "hidden", *(["attention"] if settings.attention_weight else [])), nothing
            )
        scored = settings.attention_weight > 0
        ours = inside(encoder, batch, range(1, len(self.layers) + 1) if scored else ())
        known = batch if self.tokens is None else {**batch, "input_ids": self.tokens[batch["input_ids"]]}
        with torch.no_grad():
            theirs = inside(teacher, known, self.layers if scored else ())
        project = self.hidden_projection
        losses = {
            "embedding": state_loss(self.embedding_projection(ours.hidden[0]), theirs.hidden[0], mask, settings.relative),
            "hidden": sum_of(
                state_loss(project(ours.hidden[own]), theirs.hidden[other], mask, settings.relative)
                for own, other in enumerate(self.layers, 1)
            ),
        }
        weights = {"embedding": settings.embedding_weight, "hidden": settings.hidden_weight}
        if scored:
            weights["attention"] = settings.attention_weight
            losses["attention"] = sum_of(
                attention_loss(ours.scores[own], theirs.scores[other], mask, settings.match, settings.relative)
                for own, other in enumerate(self.layers, 1)
            )
        if "slots" in batch:
            losses = {name: per_row(values, batch["slots"]) for name, values in losses.items()}
        return {"loss": sum_of(weights[name] * values for name, values in losses.items()), **losses}


def state_loss(ours: Tensor, theirs: Tensor, mask: Tensor, relative: bool = False) -> Tensor:
    """Mean squared error over the true tokens of each input: ``(inputs,)``.

    Args:
        ours: Projected states, ``(inputs, length, width)``.
        theirs: The teacher's, alike.
        mask: 1 on true tokens, ``(inputs, length)``.
        relative: Divide by the teacher's mean square.
    """
    wanted = theirs.float()
    squares = ((ours.float() - wanted).square().mean(2) * mask).sum(1)
    if relative:
        return squares / (wanted.square().mean(2) * mask).sum(1).clamp(min=_TINY)
    return squares / mask.sum(1).clamp(min=1)


def attention_loss(ours: Tensor, theirs: Tensor, mask: Tensor, match: Match, relative: bool = False) -> Tensor:
    """Mean squared error over heads and pairs of true tokens of each input: ``(inputs,)``.

    Args:
        ours: Scores, ``(inputs, heads, length, length)``.
        theirs: The teacher's, perhaps with another number of heads.
        mask: 1 on true tokens, ``(inputs, length)``.
        match: What is compared.
        relative: Divide by the teacher's mean square.
    """
    heads = gcd(ours.shape[1], theirs.shape[1])
    pair, keys = [], mask[:, None, None, :]
    for scores in (ours.float(), theirs.float()):
        if match == "probabilities":
            scores = scores.masked_fill(keys == 0, torch.finfo(scores.dtype).min).softmax(-1)
        elif match == "centred":
            scores = scores - (scores * keys).sum(-1, keepdim=True) / keys.sum(-1, keepdim=True).clamp(min=1)
        pair.append(scores.view(len(scores), heads, -1, *scores.shape[2:]).mean(2))
    true = mask[:, None, :, None] * mask[:, None, None, :]
    squares = ((pair[0] - pair[1]).square() * true).sum((1, 2, 3))
    if relative:
        return squares / (pair[1].square() * true).sum((1, 2, 3)).clamp(min=_TINY)
    return squares / (heads * mask.sum(1).square().clamp(min=1))


def per_row(values: Tensor, slots: Tensor) -> Tensor:
    """Means over the inputs of each row, 0 for a row without one: ``(inputs,)`` and slots ``(rows, labels)`` to ``(rows,)``."""
    there = slots >= 0
    total: Tensor = values.new_zeros(slots.shape[0]).index_add(0, there.nonzero()[:, 0], values[slots[there]])
    return total / there.sum(1).clamp(min=1)


def sum_of(values: Iterable[Tensor]) -> Tensor:
    """The sum of tensors, one or more."""
    return torch.stack(list(values)).sum(0)


def _projection(narrow: int, wide: int, kept: Tensor | None) -> nn.Linear:
    """``W`` of shape ``(narrow, wide)``, applied from the right."""
    linear = nn.Linear(narrow, wide, bias=False)
    with torch.no_grad():
        if kept is None:
            linear.weight.normal_(0, narrow**-0.5)
        else:
            linear.weight.zero_()
            linear.weight[kept, torch.arange(narrow)] = 1.0
    return linear
