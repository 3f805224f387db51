"""TinyBERT: a small Transformer encoder that learns from what happens inside its teacher."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from duobiao.config.base import Settings
from duobiao.config.students import StudentConfig
from duobiao.config.training import TrainSettings


class TinyShape(Settings):
    """The student's size; by default that of TinyBERT-4."""

    layers: int = Field(4, ge=1, description="Transformer layers")
    hidden: int = Field(312, ge=4, description="width")
    heads: int = Field(12, ge=1, description="attention heads")
    intermediate: int = Field(1200, ge=4, description="width of the feed-forward part")

    @model_validator(mode="after")
    def _heads_fit(self) -> TinyShape:
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        return self


class MatchSettings(Settings):
    """What of the teacher's inside is learned, and how much of each (arXiv 1909.10351, eq. 6 to 9)."""

    embedding_weight: float = Field(1.0, ge=0, description="weight of the loss against the embedding layer's output")
    hidden_weight: float = Field(1.0, ge=0, description="weight of the loss against the layers' hidden states")
    attention_weight: float = Field(1.0, ge=0, description="weight of the loss against the layers' attention; 0: not computed")
    match: Literal["scores", "centred", "probabilities"] = Field(
        "scores",
        description="what of the attention is learned. scores: before the softmax, as in the paper; centred: the same without "
        "the mean over a token's scores, which the softmax does not see; probabilities",
    )
    relative: bool = Field(
        False,
        description="divide each layer's loss by the teacher's own mean square there, so that no layer and no kind of loss "
        "outweighs the others (scores of some encoders are large)",
    )


class IntermediateSettings(MatchSettings):
    """Task distillation's first stage; the second one, prediction, is ``train``."""

    epochs: int = Field(3, ge=0, description="passes over the rows; 0: no such stage")
    lr: float = Field(5e-4, gt=0, description="peak learning rate")
    rows: Literal["all", "labelled"] = Field(
        "all", description="all: labelled, transfer and synthetic rows; labelled: these alone, which is cheaper"
    )


class GeneralSettings(Settings):
    """General distillation on plain text (duobiao general-distil)."""

    steps: int = Field(20000, ge=1, description="optimiser steps of the whole run")
    batch_size: int = Field(64, ge=1, description="sequences an optimiser step")
    max_length: int = Field(128, ge=8, description="tokens a sequence at most; lines are packed up to it")
    lr: float = Field(5e-4, gt=0, description="peak learning rate")
    warmup: float = Field(0.05, ge=0, le=1, description="share of steps over which the learning rate rises")


class TinyTrainSettings(TrainSettings):
    """The loop with the defaults of TinyBERT's prediction stage."""

    epochs: int = Field(6, ge=1, description="passes over the training rows")
    lr: float = Field(2e-4, gt=0, description="peak learning rate")
    head_lr: float | None = Field(1e-3, gt=0, description="peak learning rate of layers that start from random weights")


class TinyBERTConfig(StudentConfig):
    """A smaller encoder of the teacher's kind, taught layer by layer, then by logits (arXiv 1909.10351)."""

    kind: Literal["tinybert"]
    shape: TinyShape = TinyShape()
    start: Literal["layers", "general", "random"] = Field(
        "layers",
        description="where the student starts. layers: at the teacher's layers that layer_map picks, their most used "
        "dimensions where the student is narrower; general: at a general student; random: at random weights",
    )
    general_student: str | None = Field(
        None, description="start general: folder of a general student, as duobiao general-distil writes it"
    )
    layer_map: Literal["uniform", "last"] | tuple[Annotated[int, Field(ge=1)], ...] = Field(
        "uniform",
        description="the teacher's layer that each layer of the student learns from. uniform: every N/M-th; last: the last "
        "M; or a list of layers, counted from 1 (a shared layer counts each time that it is applied)",
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout inside the encoder and before the output layer")
    intermediate: IntermediateSettings = IntermediateSettings()
    general: GeneralSettings = GeneralSettings()
    train: TrainSettings = TinyTrainSettings()

    @model_validator(mode="after")
    def _general_student_is_named(self) -> TinyBERTConfig:
        if (self.start == "general") != (self.general_student is not None):
            raise ValueError("start: general and general_student: FOLDER belong together")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        found = super().sources
        return (*found, self.general_student) if self.general_student else found
