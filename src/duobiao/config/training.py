"""Losses, thresholds and the training loop."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from duobiao.config.base import LARGEST_SEED, Settings


class LossSettings(Settings):
    """The loss against labels; unknown and unasked cells never enter it."""

    independent: Literal["bce", "asymmetric", "zlpr"] = Field(
        "bce", description="loss of independent labels: binary cross-entropy, asymmetric (2009.14119), or ZLPR (2208.02955)"
    )
    pos_weight: bool = Field(False, description="bce only: weigh positives by negatives / positives of the training rows")
    pos_weight_max: float = Field(10.0, ge=1, description="the largest such weight")
    gamma_negative: float = Field(4.0, ge=0, description="asymmetric: focusing on negatives")
    gamma_positive: float = Field(0.0, ge=0, description="asymmetric: focusing on positives")
    margin: float = Field(0.05, ge=0, lt=1, description="asymmetric: negatives below this probability cost nothing")


class ThresholdSettings(Settings):
    """How probabilities of independent labels become labels; groups are answered by their likeliest label."""

    shrink: float = Field(
        10.0, ge=0, description="a label's own threshold counts as much as the global one at this many dev positives"
    )
    min_k: int = Field(0, ge=0, description="at least so many independent labels a row, the nearest to their thresholds")
    max_k: int | None = Field(None, ge=1, description="at most so many independent labels a row")
    fallback: str | None = Field(None, description="independent label given to rows that would have no independent label")
    parents: dict[str, tuple[str, ...]] = Field(
        {}, description="independent labels that a label implies, by that label: {退货: [售后]}; theirs are implied too"
    )
    forbidden: tuple[tuple[str, str], ...] = Field(
        (), description="pairs of independent labels of which a row has one at most, the further above its threshold"
    )
    band: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="rows go to review if a decision is as near to flipping, in log-odds, as 0.5 + band is to 0.5; 0: none",
    )

    @field_validator("parents", mode="before")
    @classmethod
    def _one_parent_is_a_list(cls, value: Any) -> Any:
        return {k: [v] if isinstance(v, str) else v for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _order(self) -> ThresholdSettings:
        if self.max_k is not None and self.min_k > self.max_k:
            raise ValueError(f"min_k {self.min_k} is larger than max_k {self.max_k}")
        return self


class TrainSettings(Settings):
    """The training loop; the same for every system that is trained by gradient."""

    epochs: int = Field(3, ge=1, description="passes over the training rows")
    batch_size: int = Field(32, ge=1, description="rows an optimiser step, over all processes and micro-batches")
    token_budget: int = Field(
        8192, ge=1, description="padded tokens a forward pass; a step that is larger is cut into micro-batches, same result"
    )
    micro_batch_size: int | None = Field(None, ge=1, description="rows a forward pass at most")
    lr: float = Field(3e-5, gt=0, description="peak learning rate")
    head_lr: float | None = Field(None, gt=0, description="peak learning rate of layers that start from random weights")
    weight_decay: float = Field(0.01, ge=0, description="AdamW weight decay of matrices (not of biases and norms)")
    warmup: float = Field(0.1, ge=0, le=1, description="share of steps over which the learning rate rises")
    clip: float = Field(1.0, gt=0, description="largest gradient norm")
    precision: Literal["no", "bf16", "fp16"] = Field("no", description="automatic mixed precision")

    @field_validator("precision", mode="before")
    @classmethod
    def _no_is_a_word(cls, value: Any) -> Any:
        return "no" if value is False else value  # YAML reads a bare no as false

    patience: int | None = Field(None, ge=1, description="stop after so many evaluations without a better score")
    evaluate_every: int | None = Field(
        None, ge=1, description="steps between evaluations, the last at the end; by default one after each epoch"
    )
    checkpoint_seconds: float = Field(
        15.0,
        ge=0,
        description="seconds between checkpoints to resume from (0: every step); longer if they cost over 5 % of the time",
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of weights, order and dropout")
    tracker: Literal["none", "tensorboard", "mlflow"] = Field(
        "none", description="where curves go besides metrics.jsonl, which is always written"
    )


class StudentTrainSettings(TrainSettings):
    """The same loop with a student's defaults, which hold where a file gives only some of the settings."""

    epochs: int = Field(20, ge=1, description="passes over the training rows")
    batch_size: int = Field(64, ge=1, description="rows an optimiser step, over all processes and micro-batches")
    lr: float = Field(1e-3, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay of matrices (not of biases and norms)")
