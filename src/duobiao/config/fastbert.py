"""FastBERT: the teacher itself, with an exit after every layer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from duobiao.config.students import StudentConfig, VocabularySettings
from duobiao.config.training import StudentTrainSettings


class FastBERTTrainSettings(StudentTrainSettings):
    """The same loop; an epoch is one pass through the frozen encoder."""

    epochs: int = Field(5, ge=1, description="passes over the training rows")
    batch_size: int = Field(32, ge=1, description="rows an optimiser step, over all processes and micro-batches")
    lr: float = Field(3e-3, gt=0, description="peak learning rate")


class FastBERTConfig(StudentConfig):
    """The teacher's encoder, frozen, with a small classifier after every layer that learns from the last one."""

    kind: Literal["fastbert"]
    exits: Literal["all"] | tuple[int, ...] = Field(
        "all",
        description="layers after which a row may leave, counted from 1; the last layer is always one. all: after every layer",
    )
    head: Literal["pool", "attention"] = Field(
        "pool",
        description="what stands at an exit. pool: learned queries weigh the tokens, two layers; it costs next to nothing. "
        "attention: the paper's, narrow self-attention over the tokens; 5 to 10 % of an encoder's layer",
    )
    width: int = Field(128, ge=1, description="width of an exit's classifier")
    parts: int = Field(4, ge=1, description="pool: queries; attention: heads, which must divide the width")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout before an exit's output layer")
    signal: Literal["mse", "kl"] = Field(
        "kl", description="what is learned of the last exit: kl, its probabilities at a temperature; mse, its logits"
    )
    logits_weight: float = Field(1.0, ge=0, le=1, description="weight of the loss against the last exit")
    label_weight: float = Field(0.0, ge=0, le=1, description="weight of the loss against labels")
    criterion: Literal["margin", "entropy"] = Field(
        "margin",
        description="when a row leaves. margin: when no decision can still flip, by the calibrated error of the layer; "
        "entropy: when the normalised entropy of its answers is below the speed (the paper's)",
    )
    lose_at_most: float = Field(
        0.5, ge=0, le=100, description="macro-F1 points on dev rows that leaving early may cost; duobiao dial changes it later"
    )
    vocabulary: VocabularySettings = VocabularySettings(keep="all")
    train: FastBERTTrainSettings = FastBERTTrainSettings()

    @field_validator("exits")
    @classmethod
    def _ordered(cls, exits: Literal["all"] | tuple[int, ...]) -> Literal["all"] | tuple[int, ...]:
        if exits != "all" and (list(exits) != sorted(set(exits)) or (exits and exits[0] < 1)):
            raise ValueError(f"{list(exits)} is not a rising list of layers, counted from 1")
        return exits

    @field_validator("parts")
    @classmethod
    def _divides(cls, parts: int, info: object) -> int:
        data = getattr(info, "data", {})
        if data.get("head") == "attention" and data.get("width", 0) % parts:
            raise ValueError(f"{parts} heads do not divide the width {data['width']}")
        return parts
