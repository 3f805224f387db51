"""Unlabelled transfer in stages."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from duobiao.config.base import Settings


class StagedSettings(Settings):
    """The stages of unlabelled transfer (arXiv 1910.01769); passes of a stage include those with frozen layers."""

    hidden_epochs: int = Field(5, ge=0, description="passes over all rows for the teacher's row vectors; 0: no such stage")
    logits_epochs: int = Field(15, ge=0, description="passes over all rows for the teacher's logits; 0: no such stage")
    label_epochs: int = Field(5, ge=0, description="passes over the labelled rows for their labels; 0: no such stage")
    unfreeze: int = Field(
        1, ge=0, description="passes that each layer waits for the one above it at a stage's beginning; 0: all learn at once"
    )
    match: Literal["kl", "mse"] = Field(
        "kl", description="how row vectors are compared: kl, as distributions over their coordinates (as in the paper); mse"
    )
    label_logits: float = Field(
        0.0, ge=0, lt=1, description="weight of the loss against the teacher in the last stage, labels have the rest"
    )

    @model_validator(mode="after")
    def _some(self) -> StagedSettings:
        if not self.logits_epochs and not self.label_epochs:
            raise ValueError("logits_epochs and label_epochs are both 0, so nothing would be learned that can be predicted")
        return self
