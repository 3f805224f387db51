"""Floating-point operations of an encoder with exits, by tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.models.exit_heads import AttentionHead
from duobiao.models.fastbert import FastBERT

Counts = npt.NDArray[np.float64]
OVERHEAD = 0.05
"""What an exit costs besides its operations (calls, the decision), in layers; only for choosing which exits are worth it."""


@dataclass(frozen=True)
class Cost:
    """Operations of each part, two for a multiplication with addition; softmax, norms and activations are left out.

    Of a row with ``T`` tokens, ``d`` the width, ``f`` that of the feed-forward part, ``e`` that of the embedding, ``c`` labels:

    | part | operations |
    |---|---|
    | layer | ``2 (4 T d^2 + 2 T^2 d + 2 T d f)``: four projections, scores and mixing, feed-forward |
    | before the layers | ``2 T e d`` where the embedding is factorised (ALBERT), else 0: reading a table is none |
    | head ``pool`` of ``k`` queries, width ``w`` | ``2 (2 T d k + k d w + w c)`` |
    | head ``attention`` of width ``w`` | ``2 (T d w + 4 T w^2 + 2 T^2 w + w^2 + w c)`` |
    | last exit | ``2 d c`` |

    Only true tokens count, so padding is a loss that the operations do not show.

    Attributes:
        layers: Number of layers.
        exits: Layers after which a row may leave, counted from 1.
        width: ``d``.
        inner: ``f``.
        embedding: ``e``; ``d`` where it is not factorised.
        labels: ``c``.
        head: ``pool`` or ``attention``.
        head_width: ``w``.
        parts: ``k``.
    """

    layers: int
    exits: tuple[int, ...]
    width: int
    inner: int
    embedding: int
    labels: int
    head: str
    head_width: int
    parts: int

    @classmethod
    def of(cls, model: FastBERT) -> Cost:
        """What a model costs."""
        config: Any = model.backbone.encoder.config
        head = "attention" if any(isinstance(one, AttentionHead) for one in model.heads) else "pool"
        return cls(
            layers=len(model.layerwise),
            exits=model.exits,
            width=int(config.hidden_size),
            inner=int(config.intermediate_size),
            embedding=int(getattr(config, "embedding_size", config.hidden_size)),
            labels=model.backbone.output.out_features,
            head=head,
            head_width=int(model.form["width"]),
            parts=int(model.form["parts"]),
        )

    def layer(self, tokens: npt.NDArray[np.int64]) -> Counts:
        """Operations of one layer for rows of so many tokens."""
        size, width = tokens.astype(np.float64), self.width
        return 2 * (4 * size * width**2 + 2 * size**2 * width + 2 * size * width * self.inner)

    def exit(self, tokens: npt.NDArray[np.int64]) -> Counts:
        """Operations of one head."""
        size, width, narrow = tokens.astype(np.float64), self.width, self.head_width
        if self.head == "attention":
            inside = size * width * narrow + 4 * size * narrow**2 + 2 * size**2 * narrow + narrow**2
        else:
            inside = 2 * size * width * self.parts + self.parts * width * narrow
        return 2 * (inside + narrow * self.labels)

    def of_rows(
        self, places: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64], used: Sequence[int], with_overhead: bool = False
    ) -> Counts:
        """Operations of rows, ``(rows,)``.

        Args:
            places: The exit, by number, at which each row leaves; the number of exits for the last layer.
            tokens: Tokens of each row.
            used: The exits that are looked at, by number.
            with_overhead: Whether ``OVERHEAD`` counts.
        """
        depths = np.array([*self.exits, self.layers])[places]
        looked = np.array([sum(number <= place for number in used) for place in range(len(self.exits) + 1)])[places]
        start = 2.0 * tokens * self.embedding * self.width if self.embedding != self.width else 0.0
        last = np.where(places == len(self.exits), 2.0 * self.width * self.labels, 0.0)
        exit_cost = self.exit(tokens) + (OVERHEAD * self.layer(tokens) if with_overhead else 0.0)
        found: Counts = start + depths * self.layer(tokens) + looked * exit_cost + last
        return found
