"""What students that read embedded tokens have in common: an embedding below, a row vector, output layers above."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence


class TokenClassifier(nn.Module, ABC):
    """Embedding, something that makes one vector of a row, output layers.

    A subclass gives ``vectors`` and the parts that it needs, then calls ``make_output``.

    Args:
        vocabulary: Rows of the embedding.
        width: Columns of the embedding.
        dropout: On embeddings, on row vectors and between the output layers.
        scale: What embeddings are multiplied by. A teacher's embedding is small (its own next step is a norm), and a student
            learns slowly from small inputs.
        extra: Width of the features that join the row vector.
    """

    layers: tuple[tuple[str, ...], ...] = ()
    """Prefixes of parameters, layer by layer from the top downwards, as gradual unfreezing takes them."""

    def __init__(self, vocabulary: int, width: int, *, dropout: float = 0.0, scale: float = 1.0, extra: int = 0) -> None:
        super().__init__()
        self.scale = scale
        self.extra = extra
        self.embedding = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(dropout)

    def make_output(self, row: int, fc: int, labels: int) -> None:
        """Adds the output layers.

        Args:
            row: Width of the row vector.
            fc: Width of a fully connected layer with ReLU before the output; 0: none.
            labels: Number of labels.
        """
        self.row = row
        self.first = nn.Linear(row + self.extra, fc) if fc else None
        self.output = nn.Linear(fc or row + self.extra, labels)

    @classmethod
    def from_bundle(cls, settings: dict[str, Any], labels: int) -> Self:
        """The empty module that a bundle's weights fill."""
        make: Any = cls
        made: Self = make(labels=labels, **settings)
        return made

    def settings(self) -> dict[str, Any]:
        """What ``from_bundle`` needs; subclasses add their own."""
        return {
            "vocabulary": self.embedding.num_embeddings,
            "width": self.embedding.embedding_dim,
            "scale": self.scale,
            **({"extra": self.extra} if self.extra else {}),
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

    @abstractmethod
    def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Row vectors ``(rows, row)`` from ids and mask ``(rows, length)``; no padding has a part in them."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        """Logits ``(rows, labels)`` from ids and mask ``(rows, length)``, and features ``(rows, extra)``.

        Segment ids are not read.
        """
        row = self.dropout(self.vectors(input_ids, attention_mask))
        if features is not None:
            row = torch.cat([row, features.to(row.dtype)], dim=1)
        if self.first is not None:
            row = self.dropout(torch.relu(self.first(row)))
        logits: Tensor = self.output(row)
        return logits

    def embedded(self, ids: Tensor) -> Tensor:
        """Scaled embeddings of ids of any shape, one more dimension at the end."""
        found: Tensor = self.dropout(self.embedding(ids) * self.scale)
        return found

    def packed(self, input_ids: Tensor, attention_mask: Tensor) -> PackedSequence:
        """Embedded true tokens, packed by length: a recurrent layer reads each row up to its true last token.

        Its backward direction begins there, short rows cost nothing once they have ended, and there is no loop over rows.
        """
        lengths = attention_mask.sum(1).clamp(min=1)
        tokens = pack_padded_sequence(input_ids, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return tokens._replace(data=self.embedded(tokens.data))
