"""BiGRU students, model A and model B."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from duobiao.models.tokens import TokenClassifier


class BiGRUClassifier(TokenClassifier):
    """Embedding, bidirectional GRU on packed rows, two fully connected layers.

    Args:
        vocabulary: Rows of the embedding.
        width: Columns of the embedding.
        labels: Number of labels.
        hidden: Width of the GRU, each direction.
        fc: Width of the first fully connected layer.
        model: ``A`` pools the GRU's outputs (mean and maximum over true tokens, ``4 * hidden`` wide); ``B`` takes the hidden
            state that each direction has after its true last token (``2 * hidden`` wide).
        shared: ``dropout``, ``scale`` and ``extra``, as in ``TokenClassifier``.
    """

    fresh = ("gru.", "first.", "output.")
    layers = (("output.", "first."), ("gru.",), ("embedding.",))

    def __init__(
        self, vocabulary: int, width: int, labels: int, *, hidden: int, fc: int, model: Literal["A", "B"], **shared: Any
    ) -> None:
        super().__init__(vocabulary, width, **shared)
        self.model = model
        self.gru = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.make_output(hidden * (4 if model == "A" else 2), fc, labels)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "hidden": self.gru.hidden_size, "fc": self.output.in_features, "model": self.model}

    def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Row vectors ``(rows, 4 * hidden)`` of model A, ``(rows, 2 * hidden)`` of model B."""
        # last: (2, rows, hidden), each direction after the last token that it reads
        outputs, last = self.gru(self.packed(input_ids, attention_mask))
        return torch.cat([last[0], last[1]], dim=1) if self.model == "B" else pool(outputs, attention_mask.sum(1).clamp(min=1))


def pool(outputs: PackedSequence, lengths: Tensor) -> Tensor:
    """Mean and maximum over each row's true tokens: ``(rows, 2 * width)``."""
    padded, _ = pad_packed_sequence(outputs, batch_first=True)
    beyond = torch.arange(padded.shape[1], device=lengths.device) >= lengths[:, None]
    mean = padded.sum(1) / lengths[:, None]
    top = padded.masked_fill(beyond[:, :, None], -1.0).amax(1)  # a GRU's outputs lie in (-1, 1)
    return torch.cat([mean, top], dim=1)
