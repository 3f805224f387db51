"""BiGRU students, model A and model B."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn


class BiGRUClassifier(nn.Module):
    """Embedding, bidirectional GRU, two fully connected layers.

    Both directions read each row's true tokens only: the backward direction reads the row turned round up to its true last
    token, so padding never reaches a state that is used. That needs no packing and no loop over rows, and it exports.

    Args:
        vocabulary: Rows of the embedding.
        width: Columns of the embedding.
        labels: Number of labels.
        hidden: Width of the GRU, each direction.
        fc: Width of the first fully connected layer.
        model: ``A`` pools the GRU's outputs (mean and maximum over true tokens, ``4 * hidden`` wide); ``B`` takes the hidden
            state that each direction has after its true last token (``2 * hidden`` wide).
        dropout: On embeddings and between the layers.
        scale: What embeddings are multiplied by before the GRU. A teacher's embedding is small (its own next step is a norm),
            and a GRU learns slowly from small inputs.
    """

    fresh = ("forward_gru.", "backward_gru.", "first.", "output.")

    def __init__(
        self,
        vocabulary: int,
        width: int,
        labels: int,
        *,
        hidden: int,
        fc: int,
        model: Literal["A", "B"],
        dropout: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.scale = scale
        self.embedding = nn.Embedding(vocabulary, width)
        self.forward_gru = nn.GRU(width, hidden, batch_first=True)
        self.backward_gru = nn.GRU(width, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(hidden * (4 if model == "A" else 2), fc)
        self.output = nn.Linear(fc, labels)

    @classmethod
    def from_bundle(cls, settings: dict[str, Any], labels: int) -> BiGRUClassifier:
        """The empty module that a bundle's weights fill."""
        return cls(labels=labels, **settings)

    def settings(self) -> dict[str, Any]:
        """What ``from_bundle`` needs."""
        return {
            "vocabulary": self.embedding.num_embeddings,
            "width": self.embedding.embedding_dim,
            "hidden": self.forward_gru.hidden_size,
            "fc": self.first.out_features,
            "model": self.model,
            "scale": self.scale,
        }

    @torch.no_grad()
    def start_embedding(self, weight: Tensor) -> None:
        """Takes over an embedding, ``(vocabulary, width)``, as it is; ``scale`` brings it to unit variance."""
        self.embedding.weight.copy_(weight)
        self.scale = 1.0 / float(weight.std())

    @torch.no_grad()
    def start_output(self, logits: Tensor) -> None:
        """Lets every row begin with these logits, ``(labels,)``, which spares the first epochs learning them."""
        self.output.bias.copy_(logits)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Logits of shape ``(rows, labels)`` from ids and mask of shape ``(rows, length)``; segment ids are not read."""
        ahead, back = self.states(input_ids, attention_mask)
        if self.model == "B":
            last = (attention_mask.sum(1).clamp(min=1) - 1)[:, None, None].expand(-1, 1, ahead.shape[2])
            row = torch.cat([ahead.gather(1, last), back.gather(1, last)], dim=2)[:, 0]
        else:
            mask = attention_mask.unsqueeze(-1).to(ahead.dtype)
            outputs = torch.cat([ahead, back], dim=2)  # pooling does not mind the order of tokens
            mean = (outputs * mask).sum(1) / mask.sum(1).clamp(min=1)
            top = outputs.masked_fill(mask == 0, -1.0).amax(1)  # a GRU's outputs lie in (-1, 1)
            row = torch.cat([mean, top], dim=1)
        logits: Tensor = self.output(self.dropout(torch.relu(self.first(self.dropout(row)))))
        return logits

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """States of both directions, each ``(rows, length, hidden)``, each in its own reading order."""
        embedded = self.dropout(self.embedding(input_ids) * self.scale)
        turned = turn_round(attention_mask)[:, :, None].expand_as(embedded)
        ahead: Tensor = self.forward_gru(embedded)[0]
        back: Tensor = self.backward_gru(embedded.gather(1, turned))[0]
        return ahead, back


def turn_round(attention_mask: Tensor) -> Tensor:
    """Positions ``(rows, length)`` that turn each row's true tokens round and leave its padding in place."""
    positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)[None, :]
    mirrored = attention_mask.sum(1, keepdim=True) - 1 - positions
    return torch.where(mirrored >= 0, mirrored, positions)
