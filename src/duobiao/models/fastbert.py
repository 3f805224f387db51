"""FastBERT (arXiv 2004.02178): a fine-tuned encoder, frozen, with a small classifier after every layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from duobiao.models.encoder import EncoderClassifier
from duobiao.models.exit_heads import AttentionHead, PoolHead
from duobiao.models.layerwise import Layerwise
from duobiao.models.pretrained import encoder_from_config


class FastBERT(nn.Module):
    """A teacher as backbone, and a head at each exit; the last exit is the teacher's own output layer.

    ``forward`` runs all layers and answers at the last exit, as the teacher does; leaving early is in ``models/exits.py``.

    Args:
        backbone: The teacher's module. It stays in evaluation mode and learns nothing.
        exits: Layers after which a row may leave, counted from 1, rising, the last layer not among them.
        decisions: Independent labels and groups together.
        head: What stands at an exit; see ``PoolHead`` and ``AttentionHead``.
        width: Width of a head.
        parts: Queries or attention heads.
        dropout: Before a head's output layer.
    """

    errors: Tensor
    """The calibrated error of each decision at each exit, ``(exits, 2, decisions)``; see ``postprocess/leaving.py``."""

    def __init__(
        self,
        backbone: EncoderClassifier,
        exits: Sequence[int],
        decisions: int,
        *,
        head: Literal["pool", "attention"] = "pool",
        width: int = 128,
        parts: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.layerwise = Layerwise(backbone.encoder)
        self.exits = tuple(exits)
        self.form = {"head": head, "width": width, "parts": parts}
        inputs, labels = int(backbone.encoder.config.hidden_size), backbone.output.out_features
        extra = backbone.output.in_features - inputs

        def make() -> nn.Module:
            if head == "attention":
                return AttentionHead(inputs, labels, width, parts, dropout, extra, backbone.pooling)
            return PoolHead(inputs, labels, width, parts, dropout, extra)

        self.heads = nn.ModuleList(make() for _ in self.exits)
        self.register_buffer("errors", torch.full((len(self.exits), 2, decisions), torch.inf))

    @classmethod
    def from_bundle(cls, settings: dict[str, Any], labels: int) -> FastBERT:
        """The empty module that a bundle's weights fill."""
        encoder = encoder_from_config(settings["encoder"])
        backbone = EncoderClassifier(encoder, labels, settings["pooling"], 0.0, settings.get("extra", 0))
        form = {name: settings[name] for name in ("head", "width", "parts")}
        return cls(backbone, settings["exits"], settings["decisions"], **form)

    def settings(self) -> dict[str, Any]:
        """What ``from_bundle`` needs besides the teacher's own settings."""
        return {"exits": list(self.exits), "decisions": self.errors.shape[2], **self.form}

    def train(self, mode: bool = True) -> FastBERT:
        """Sets the heads to training mode; the backbone stays as it is."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """The last exit's logits ``(rows, labels)``, bit for bit the teacher's; arguments as in ``EncoderClassifier``."""
        logits: Tensor = self.backbone(input_ids, attention_mask, token_type_ids, features)
        return logits

    def start(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> tuple[Tensor, Tensor | None]:
        """States ``(rows, length, width)`` and mask that the first layer takes."""
        segments = self.backbone.segments
        types = token_type_ids.clamp(max=segments - 1) if segments else None
        return self.layerwise.start(input_ids, attention_mask, types)

    def last(self, states: Tensor, attention_mask: Tensor, features: Tensor | None) -> Tensor:
        """Logits of the last exit from the states after the last layer."""
        row = self.backbone.pool(states, attention_mask)
        if features is not None:
            row = torch.cat([row, features.to(row.dtype)], dim=1)
        logits: Tensor = self.backbone.output(row)
        return logits

    def every(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Logits of every exit, ``(exits + 1, rows, labels)``, the last one last; gradients flow into the heads alone."""
        padded = None if bool(attention_mask.all()) else attention_mask
        found = []
        with torch.no_grad():
            states, mask = self.start(input_ids, attention_mask, token_type_ids)
        for number, layer in enumerate(self.layerwise.layers, start=1):
            with torch.no_grad():
                states = layer(states, mask)
            if number in self.exits:
                found.append(self.heads[self.exits.index(number)](states, padded, features))
        with torch.no_grad():
            found.append(self.last(states, attention_mask, features))
        return torch.stack(found)
