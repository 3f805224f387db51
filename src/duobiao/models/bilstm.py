"""BiLSTM students."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from duobiao.models.tokens import TokenClassifier


class BiLSTMClassifier(TokenClassifier):
    """Embedding, bidirectional LSTM, a ReLU layer, output (arXiv 1903.12136, section 3.1).

    The row vector is the hidden state that each direction has after its true last token, side by side.

    Args:
        vocabulary: Rows of the embedding.
        width: Columns of the embedding.
        labels: Number of labels.
        hidden: Width of the LSTM, each direction.
        fc: Width of the fully connected layer.
        shared: ``dropout``, ``scale`` and ``extra``, as in ``TokenClassifier``.
    """

    fresh = ("lstm.", "first.", "output.")
    layers = (("output.", "first."), ("lstm.",), ("embedding.",))

    def __init__(self, vocabulary: int, width: int, labels: int, *, hidden: int, fc: int, **shared: Any) -> None:
        super().__init__(vocabulary, width, **shared)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.make_output(2 * hidden, fc, labels)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "hidden": self.lstm.hidden_size, "fc": self.output.in_features}

    def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Row vectors ``(rows, 2 * hidden)``."""
        _, (last, _) = self.lstm(self.packed(input_ids, attention_mask))
        return torch.cat([last[0], last[1]], dim=1)
