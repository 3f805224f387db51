"""A Transformer encoder with one fully connected output layer."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from duobiao.models.pretrained import encoder_from_config


class EncoderClassifier(nn.Module):
    """Encoder, pooling, output layer.

    Args:
        encoder: A Hugging Face encoder.
        labels: Number of labels.
        pooling: ``cls`` takes the first token's state, ``mean`` the mean over true tokens.
        dropout: Before the output layer.
        extra: Width of the features that join the pooled encoding.
    """

    fresh = ("output.",)
    """Prefixes of parameters that start from random weights on top of a pre-trained encoder."""

    def __init__(
        self, encoder: PreTrainedModel, labels: int, pooling: Literal["cls", "mean"], dropout: float, extra: int = 0
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(int(encoder.config.hidden_size) + extra, labels)
        self.segments = int(getattr(encoder.config, "type_vocab_size", 0) or 0)

    @classmethod
    def from_bundle(cls, settings: dict[str, Any], labels: int) -> EncoderClassifier:
        """The empty module that a bundle's weights fill."""
        return cls(encoder_from_config(settings["encoder"]), labels, settings["pooling"], 0.0, settings.get("extra", 0))

    def settings(self) -> dict[str, Any]:
        """What ``from_bundle`` needs; the encoder's configuration without traces of where it was loaded from."""
        foreign = {"_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"}
        form = {name: value for name, value in self.encoder.config.to_diff_dict().items() if name not in foreign}
        extra = self.output.in_features - int(self.encoder.config.hidden_size)
        return {"pooling": self.pooling, "encoder": form, **({"extra": extra} if extra else {})}

    @torch.no_grad()
    def start_output(self, logits: Tensor) -> None:
        """Lets rows begin near these logits, ``(labels,)``."""
        self.output.bias.copy_(logits)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Logits ``(rows, labels)`` from ids, mask and segment ids ``(rows, length)``, and features ``(rows, extra)``."""
        row = self.dropout(self.vectors(input_ids, attention_mask, token_type_ids))
        if features is not None:
            row = torch.cat([row, features.to(row.dtype)], dim=1)
        logits: Tensor = self.output(row)
        return logits

    def vectors(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Row vectors ``(rows, width)``: what the output layer reads, before features join it."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.segments:
            inputs["token_type_ids"] = token_type_ids.clamp(max=self.segments - 1)
        states: Tensor = self.encoder(**inputs).last_hidden_state
        return self.pool(states, attention_mask)

    def pool(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Row vectors ``(rows, width)`` from states ``(rows, length, width)``."""
        if self.pooling == "cls":
            return states[:, 0]
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1).clamp(min=1)

    def word_embedding(self) -> Tensor:
        """The token embedding, ``(vocabulary, width)``; 128 wide where it is factorised (ALBERT)."""
        weight: Tensor = self.encoder.get_input_embeddings().weight
        return weight.detach()


class RowVectors(nn.Module):
    """A classifier's row vectors instead of its logits.

    Args:
        classifier: The classifier.
    """

    def __init__(self, classifier: EncoderClassifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.width = int(classifier.encoder.config.hidden_size)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Row vectors ``(rows, width)``; features have no part in them."""
        return self.classifier.vectors(input_ids, attention_mask, token_type_ids)


@torch.no_grad()
def count_parameters(model: nn.Module) -> int:
    """All parameters, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())
