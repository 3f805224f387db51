"""Learning from plain text: masked words, and the inside of a teacher that reads other tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from duobiao.config.base import Settings
from duobiao.config.inputs import InputSettings
from duobiao.config.tinybert import TinyShape
from duobiao.config.training import TrainSettings


class MaskingSettings(Settings):
    """Which words are masked (arXiv 1810.04805, section 3.1; whole words: arXiv 1906.08101)."""

    rate: float = Field(0.15, gt=0, lt=1, description="share of words that are masked")
    mask_share: float = Field(0.8, ge=0, le=1, description="share of their tokens that become the mask")
    random_share: float = Field(0.1, ge=0, le=1, description="share that becomes any other token; the rest stays as it is")
    words: Literal["jieba", "tokens"] = Field(
        "jieba", description="what is masked as a whole. jieba: the segmenter's words; tokens: each token for itself"
    )
    dictionary: str | None = Field(None, description="file of words beyond the segmenter's, one a line")

    @model_validator(mode="after")
    def _shares(self) -> MaskingSettings:
        if self.mask_share + self.random_share > 1:
            raise ValueError("mask_share and random_share are together more than 1")
        return self


class PlainTextSettings(Settings):
    """How plain text is read, and for how long."""

    steps: int = Field(20000, ge=1, description="optimiser steps of the whole run")
    batch_size: int = Field(64, ge=1, description="sequences an optimiser step")
    max_length: int = Field(128, ge=8, description="tokens a sequence at most; lines are packed up to it")
    lr: float = Field(5e-4, gt=0, description="peak learning rate")
    warmup: float = Field(0.05, ge=0, le=1, description="share of steps over which the learning rate rises")
    held_out: int = Field(512, ge=1, description="sequences that are kept back to measure the loss on, a tenth of all at most")


class AdaptTextSettings(PlainTextSettings):
    """How an encoder that was trained before reads plain text: gently."""

    steps: int = Field(20000, ge=1, description="optimiser steps of the whole run at most")
    epochs: int | None = Field(None, ge=1, description="passes over the text at most; the run ends at whichever comes first")
    batch_size: int = Field(32, ge=1, description="sequences an optimiser step")
    lr: float = Field(5e-5, gt=0, description="peak learning rate")


class AdaptConfig(Settings):
    """Continued pre-training of an encoder on plain text (duobiao adapt)."""

    kind: Literal["adapt"]
    name: str = Field("", description="the run's name; by default the configuration's")
    input: InputSettings = Field(InputSettings(context="none"), description="cleaning of the text")
    masking: MaskingSettings = MaskingSettings()
    text: AdaptTextSettings = AdaptTextSettings()
    train: TrainSettings = TrainSettings()
    mlm_weight: float = Field(1.0, ge=0, description="weight of the loss on masked words")
    hidden_weight: float = Field(
        0.0, ge=0, description="weight of the loss against the hidden states of the whole text in the encoder as it was"
    )

    @model_validator(mode="after")
    def _something_is_learned(self) -> AdaptConfig:
        if not self.mlm_weight and not self.hidden_weight:
            raise ValueError("mlm_weight and hidden_weight are both 0: nothing would be learned")
        return self


class VocabularyShape(Settings):
    """The vocabulary of an encoder of one's own."""

    kind: Literal["characters", "teacher"] = Field(
        "characters",
        description="characters: each Chinese character a token, and pieces of Latin words and numbers, learned from the text; "
        "teacher: the teacher's own",
    )
    size: int = Field(
        8000,
        ge=100,
        description="characters only: tokens learned from the text; Chinese characters that the teacher knows come on top",
    )
    tokenizer: str | None = Field(None, description="a tokenizer.json to take as it is, learned before")


class GeneralConfig(AdaptConfig):
    """A small encoder made from plain text: masked words, and the inside of a teacher (duobiao general-distil)."""

    kind: Literal["general"]  # type: ignore[assignment]
    text: PlainTextSettings = PlainTextSettings()  # type: ignore[assignment]
    shape: TinyShape = TinyShape()
    vocabulary: VocabularyShape = VocabularyShape()
    start: Literal["layers", "random"] = Field(
        "layers", description="layers: at the teacher's layers of layer_map, their most used parts; random: at random weights"
    )
    layer_map: Literal["uniform", "last"] | tuple[Annotated[int, Field(ge=1)], ...] = Field(
        "uniform",
        description="the teacher's layer that each layer learns from. uniform: every N/M-th; last: the last M; or a list",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout inside the encoder while it is made")
    hidden_weight: float = Field(1.0, ge=0, description="weight of the loss against the teacher's hidden states")
    half: bool = Field(True, description="store the weights in half precision; they are loaded in single precision")
