"""Scores each label that a row is asked by a pass of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PairwiseClassifier(nn.Module):
    """One scorer for all labels: it reads a label's words and the text, and gives one number.

    Rows come as several inputs each; ``slots`` tells which input scores which label. A label's logit is its score plus an
    offset of its own, so everything behind the logits (losses, groups, thresholds) is as for any other model. Labels that a
    row is not asked cost nothing and get their offset alone.

    Args:
        scorer: A classifier with one output.
        labels: Number of labels.
    """

    def __init__(self, scorer: nn.Module, labels: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.offset = nn.Parameter(torch.zeros(labels))
        self.fresh = ("offset", *(f"scorer.{prefix}" for prefix in getattr(scorer, "fresh", ())))

    def settings(self) -> dict[str, Any]:
        """What the scorer is made from, and that it scores labels one by one."""
        scorer: Any = self.scorer
        return {**scorer.settings(), "pairwise": True}

    @torch.no_grad()
    def start_output(self, logits: Tensor) -> None:
        """Lets every row begin with these logits, ``(labels,)``."""
        scorer: Any = self.scorer
        scorer.output.bias.zero_()
        self.offset.copy_(logits)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        slots: Tensor,
        features: Tensor | None = None,
    ) -> Tensor:
        """Logits of shape ``(rows, labels)``.

        Args:
            input_ids: Ids, ``(inputs, length)``; mask and segment ids alike.
            attention_mask: 1 on true tokens.
            token_type_ids: Segment ids.
            slots: The input that scores each label of each row, ``(rows, labels)``; -1 where none does.
            features: Numbers beside the text, ``(rows, width)``.
        """
        offsets = self.offset.expand(slots.shape)
        if not len(input_ids):
            return offsets
        there = slots >= 0
        extra = {} if features is None else {"features": features[there.nonzero()[:, 0]]}
        scores: Tensor = self.scorer(input_ids, attention_mask, token_type_ids, **extra)[:, 0]
        return offsets + torch.where(there, scores[slots.clamp(min=0)], 0.0)
