"""BiGRU students, model A and model B."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


class BiGRUClassifier(nn.Module):
    """Embedding, bidirectional GRU, two fully connected layers.

    Rows are packed by length: both directions read each row's true tokens only, the backward one beginning at its true last
    token, and short rows cost nothing once they have ended. There is no loop over rows.

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
        extra: Width of the features that join the pooled encoding, before the first fully connected layer.
    """

    fresh = ("gru.", "first.", "output.")

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
        extra: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.scale = scale
        self.extra = extra
        self.embedding = nn.Embedding(vocabulary, width)
        self.gru = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(hidden * (4 if model == "A" else 2) + extra, fc)
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
            "hidden": self.gru.hidden_size,
            "fc": self.first.out_features,
            "model": self.model,
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
        lengths = attention_mask.sum(1).clamp(min=1)
        tokens = pack_padded_sequence(input_ids, lengths.cpu(), batch_first=True, enforce_sorted=False)
        embedded = self.dropout(self.embedding(tokens.data) * self.scale)
        # last: (2, rows, hidden), each direction after the last token that it reads
        outputs, last = self.gru(tokens._replace(data=embedded))
        row = torch.cat([last[0], last[1]], dim=1) if self.model == "B" else pool(outputs, lengths)
        row = self.dropout(row)
        if features is not None:
            row = torch.cat([row, features.to(row.dtype)], dim=1)
        logits: Tensor = self.output(self.dropout(torch.relu(self.first(row))))
        return logits


def pool(outputs: PackedSequence, lengths: Tensor) -> Tensor:
    """Mean and maximum over each row's true tokens: ``(rows, 2 * width)``."""
    padded, _ = pad_packed_sequence(outputs, batch_first=True)
    beyond = torch.arange(padded.shape[1], device=lengths.device) >= lengths[:, None]
    mean = padded.sum(1) / lengths[:, None]
    top = padded.masked_fill(beyond[:, :, None], -1.0).amax(1)  # a GRU's outputs lie in (-1, 1)
    return torch.cat([mean, top], dim=1)
