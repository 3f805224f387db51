"""Systems that learn from labels: the linear baseline and teachers; what all systems share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from duobiao.config.base import LARGEST_SEED, SHARED, Ngrams, Settings, Shared
from duobiao.config.inputs import FeatureSettings, InputSettings
from duobiao.config.training import LossSettings, ThresholdSettings, TrainSettings


class RunSettings(Settings):
    """What every system has: a name, what it reads, how it decides."""

    kind: str
    name: str = Field("", description="the system's name in tables; by default the configuration's")
    input: InputSettings = InputSettings()
    features: FeatureSettings = FeatureSettings()
    thresholds: ThresholdSettings = ThresholdSettings()

    @model_validator(mode="after")
    def _mined_reads_contexts(self) -> RunSettings:
        if self.features.segment == "mined" and self.input.context == "none":
            raise ValueError("features.segment is mined, which begins with the context, but input.context is none")
        return self


class LinearConfig(RunSettings):
    """Character n-gram TF-IDF and a linear model: the baseline in every table."""

    kind: Literal["linear"]
    ngrams: Ngrams = Field((1, 3), description="shortest and longest character n-gram")
    min_df: int = Field(1, ge=1, description="an n-gram must stand in so many training rows")
    c: float = Field(2.0, gt=0, description="inverse strength of regularisation of a machine a label")
    shared: Shared = Field("auto", description=SHARED)
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of the solver")

    @field_validator("features")
    @classmethod
    def _no_words_in_front(cls, features: FeatureSettings) -> FeatureSettings:
        if features.segment in ("mined", "pairwise"):
            raise ValueError(
                f"segment {features.segment} is for encoders: to a linear model, words that follow from the context say "
                "nothing that the context does not (the statistic 'hits' counts them in the text)"
            )
        return features


class EncoderShape(Settings):
    """A small BERT, for an encoder from random weights."""

    layers: int = Field(4, ge=1, description="Transformer layers")
    hidden: int = Field(256, ge=4, description="width")
    heads: int = Field(4, ge=1, description="attention heads")
    intermediate: int = Field(1024, ge=4, description="width of the feed-forward part")
    vocab_size: int = Field(6000, ge=100, description="WordPiece vocabulary learned from the training rows, at most")

    @model_validator(mode="after")
    def _heads_fit(self) -> EncoderShape:
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        return self


class TeacherConfig(RunSettings):
    """A Transformer encoder with one fully connected output layer."""

    kind: Literal["encoder"]
    encoder: str = Field(
        "random",
        description="hub name or local folder of a Hugging Face encoder; duobiao-mini: the built-in one; "
        "random: a small one of the given shape",
    )
    revision: str | None = Field(None, description="git revision on the hub")
    shape: EncoderShape = EncoderShape()
    pooling: Literal["cls", "mean"] = Field("cls", description="row vector: first token's state, or mean over true tokens")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout before the output layer")
    loss: LossSettings = LossSettings()
    train: TrainSettings = TrainSettings()
    min_steps: int = Field(
        0, ge=0, description="optimiser steps at least: where rows are few, train.epochs and train.patience grow alike"
    )
