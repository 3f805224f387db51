"""What an operating point is tuned for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from duobiao.config.base import Settings

F1_TARGETS = ("micro-f1", "macro-f1", "samples-f1")
OTHERS = "*"
"""In a cost table: all labels that have no line of their own."""


class Costs(Settings):
    """What wrong answers of a label cost, in any unit."""

    false_positive: float = Field(gt=0, description="the label is given, and is not true")
    false_negative: float = Field(gt=0, description="the label is true, and is not given")


class PointSettings(Settings):
    """The target of an operating point: thresholds of independent labels and weights of labels in groups are tuned for it;
    priced groups answer by costs.
    """

    target: Literal["micro-f1", "macro-f1", "samples-f1", "precision", "recall", "cost"] = Field(
        description="the best F1; a precision or recall of at least 'at_least'; the lowest expected cost"
    )
    at_least: float | None = Field(None, gt=0, lt=1, description="precision, recall: what is to be reached")
    labels: tuple[str, ...] = Field(
        (), description="precision, recall: of which labels; if left out all independent ones, or all where there are none"
    )
    confidence: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="precision, recall: how sure dev rows must make it, as the level of a one-sided Clopper-Pearson bound",
    )
    costs: dict[str, Costs] = Field(
        {}, description="cost: by label; '*' stands for all labels without a line of their own, those of groups too"
    )

    @model_validator(mode="after")
    def _whole(self) -> PointSettings:
        bounded = self.target in ("precision", "recall")
        if bounded != (self.at_least is not None):
            raise ValueError(f"{self.target}: at_least is {'missing' if bounded else 'for precision and recall only'}")
        if self.labels and not bounded:
            raise ValueError("labels are for precision and recall only")
        if (self.target == "cost") != bool(self.costs):
            raise ValueError("target cost needs costs, and no other target has them")
        return self

    def __str__(self) -> str:
        if self.at_least is None:
            return self.target
        return f"{self.target}>={self.at_least:g}" + (f":{','.join(self.labels)}" if self.labels else "")

    def stored(self) -> dict[str, Any]:
        """The form kept in a bundle, without what is not used."""
        return self.model_dump(mode="json", exclude_defaults=True)
