"""What a model reads of a row."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator

from duobiao.config.base import Settings
from duobiao.config.cleaning import clean_step


class InputSettings(Settings):
    """What a model reads of a row; stored in the bundle, the same in training and serving."""

    context: Literal["pair", "none"] = Field(
        "pair",
        description="pair: the context is known: it is read, as features.segment says, and decides what a row is asked. none: "
        "the text alone is read, and all groups are answered from one pass (one encoding serves every node)",
    )
    max_length: int = Field(128, ge=8, le=8192, description="longest input in tokens, special tokens included")
    clean: tuple[Annotated[str | dict[str, dict[str, Any]], BeforeValidator(clean_step)], ...] = Field(
        ("invisible", "whitespace"),
        description="cleaning steps, in order; one with parameters is {name: {parameter: value}}, or {name: value}",
    )


Statistic = Literal[
    "length", "digits", "dates", "amounts", "negations", "questions", "exclamations", "latin", "hits", "turn", "window"
]


class FeatureSettings(Settings):
    """What stands before the text, and the numbers beside it; stored in the bundle, the same in training and serving."""

    segment: Literal["none", "node", "mined", "pairwise"] = Field(
        "node",
        description="the first segment. none: there is none, [text]. node: the context, [context][SEP][text]. mined: the "
        "context and its category words. pairwise: a pass for each label that is asked, [label and its category words]"
        "[SEP][text], one score each",
    )
    words: str | None = Field(
        None, description="file of category words that duobiao mine wrote; by default they are mined from the training rows"
    )
    top: int = Field(8, ge=1, description="category words of a label or a context that are used, the best first")
    mine_by: Literal["log_odds", "chi2", "mi"] = Field("log_odds", description="what ranks words that are mined in training")
    min_support: int = Field(3, ge=1, description="a word must stand in so many rows of its label or context to be mined")
    pairwise_max: int = Field(32, ge=1, description="pairwise only: passes a row at most; more asked labels are refused")
    statistics: tuple[Statistic, ...] = Field(
        (), description="statistics of each row that join the pooled encoding; true: all of them"
    )
    numeric: tuple[str, ...] = Field((), description="own columns of numbers that join the pooled encoding")

    @field_validator("statistics", mode="before")
    @classmethod
    def _all_or_none(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return get_args(Statistic) if value else ()
        return value

    @field_validator("statistics", "numeric")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names) or not all(names):
            raise ValueError(f"{list(names)} holds an empty name, or one twice")
        return names

    @field_validator("numeric")
    @classmethod
    def _not_derived(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if "window" in names:
            raise ValueError("'window' is a statistic of the context; give the column another name")
        return names

    @property
    def needs_words(self) -> bool:
        """Whether category words are read at all."""
        return self.segment in ("mined", "pairwise") or "hits" in self.statistics
