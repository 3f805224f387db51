"""The small classifiers that stand at the exits of an encoder."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


class PoolHead(nn.Module):
    """Learned queries weigh the tokens, then two layers (ours; a few hundredths of a layer's cost at most).

    With states ``h_t`` and queries ``q_k``: ``a_k = softmax_t(q_k . h_t + b_k)``, ``v_k = sum_t a_k,t h_t``, and
    ``logits = W_2 tanh(W_1 [v_1 ... v_K, features])``. Unlike a mean, a query finds the few tokens that decide.

    Args:
        inputs: Width of the states.
        labels: Number of labels.
        width: Width of the hidden layer.
        parts: Number of queries, ``K``.
        dropout: Before the output layer.
        extra: Width of the features that join the pooled states.
    """

    def __init__(self, inputs: int, labels: int, width: int, parts: int, dropout: float = 0.0, extra: int = 0) -> None:
        super().__init__()
        self.queries = nn.Linear(inputs, parts)
        self.hidden = nn.Linear(inputs * parts + extra, width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, labels)

    def forward(self, states: Tensor, attention_mask: Tensor | None, features: Tensor | None = None) -> Tensor:
        """Logits ``(rows, labels)``.

        Args:
            states: Shape ``(rows, length, inputs)``.
            attention_mask: 1 on true tokens, ``(rows, length)``; None where all are.
            features: Numbers beside the text, ``(rows, extra)``.
        """
        scores = self.queries(states)
        if attention_mask is not None:
            scores = scores.masked_fill(attention_mask[:, :, None] == 0, -torch.inf)
        row = torch.bmm(scores.softmax(1).transpose(1, 2), states).flatten(1)
        return _two_layers(self, row, features)


class AttentionHead(nn.Module):
    """The paper's student classifier (arXiv 2004.02178, "Branches"): narrow, self-attention, pooling, two layers.

    A linear layer brings the states to ``width`` (there 128), self-attention mixes them over the tokens, they are pooled as the
    encoder's own are, and two layers follow.

    Args:
        inputs: Width of the states.
        labels: Number of labels.
        width: Width of the head.
        parts: Number of attention heads; divides the width.
        dropout: Before the output layer.
        extra: Width of the features that join the pooled states.
        pooling: ``cls`` takes the first token, ``mean`` the mean over true tokens.
    """

    def __init__(
        self,
        inputs: int,
        labels: int,
        width: int,
        parts: int,
        dropout: float = 0.0,
        extra: int = 0,
        pooling: Literal["cls", "mean"] = "cls",
    ) -> None:
        super().__init__()
        self.parts, self.pooling = parts, pooling
        self.narrow = nn.Linear(inputs, width)
        self.queries, self.keys_values = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.mix = nn.Linear(width, width)
        self.hidden = nn.Linear(width + extra, width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, labels)

    def forward(self, states: Tensor, attention_mask: Tensor | None, features: Tensor | None = None) -> Tensor:
        """Logits ``(rows, labels)``; arguments as in ``PoolHead``."""
        narrow = self.narrow(states)
        asking = narrow[:, :1] if self.pooling == "cls" else narrow
        keys, values = self.keys_values(narrow).chunk(2, dim=2)
        there = None if attention_mask is None else (attention_mask > 0)[:, None, None, :]
        queries, keys, values = (self._split(part) for part in (self.queries(asking), keys, values))
        found = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=there)
        mixed = found.transpose(1, 2).flatten(2)
        if self.pooling == "cls":
            row = mixed[:, 0]
        elif attention_mask is None:
            row = mixed.mean(1)
        else:
            weight = attention_mask.unsqueeze(-1).to(mixed.dtype)
            row = (mixed * weight).sum(1) / weight.sum(1)
        return _two_layers(self, self.mix(row), features)  # mixing commutes with the mean

    def _split(self, states: Tensor) -> Tensor:
        rows, length, width = states.shape
        return states.view(rows, length, self.parts, width // self.parts).transpose(1, 2)


def _two_layers(head: PoolHead | AttentionHead, row: Tensor, features: Tensor | None) -> Tensor:
    if features is not None:
        row = torch.cat([row, features.to(row.dtype)], dim=1)
    logits: Tensor = head.output(head.dropout(torch.tanh(head.hidden(row))))
    return logits
