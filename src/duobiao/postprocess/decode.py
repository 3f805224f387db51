"""Probabilities to decisions: thresholds, rules among labels, groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from duobiao.config import ThresholdSettings
from duobiao.labels import LabelSpace, Mask
from duobiao.postprocess.group_worth import GroupWorth
from duobiao.postprocess.probabilities import Floats
from duobiao.postprocess.rules import Rules, check_rules

__all__ = ["Decoder", "check_rules"]


@dataclass(frozen=True)
class Decoder:
    """The last step of every system.

    Attributes:
        space: The label space.
        thresholds: One for each independent label.
        settings: The rules, see ``Rules``.
        worth: Of the answers of groups that do not give their likeliest label, but answer by costs or weights.

    Raises:
        ConfigError: If the rules do not fit the label space or contradict each other.
    """

    space: LabelSpace
    thresholds: Floats
    settings: ThresholdSettings
    worth: GroupWorth | None = None

    def __post_init__(self) -> None:
        check_rules(self.settings, self.space)

    @cached_property
    def rules(self) -> Rules:
        return Rules(self.space.independent, self.settings)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], space: LabelSpace) -> Decoder:
        """Reads the form stored in a bundle: that of its default operating point, or of another one."""
        values = np.array([data["values"][name] for name in space.independent], dtype=np.float32)
        return cls(space, values, ThresholdSettings(**data["settings"]), GroupWorth.from_dict(data, space))

    def decide(self, proba: Floats, asked: Mask, logits: Floats | None = None) -> Mask:
        """Decisions of shape ``(rows, labels)``; False in cells that are not asked.

        Args:
            proba: Probabilities, shape ``(rows, labels)``.
            asked: Which cells are asked, shape ``(rows, labels)``.
            logits: The calibrated logits that they come from, by which rules rank the independent labels; by default the
                probabilities' log-odds, which are level where a probability is 0 or 1 in single precision.
        """
        chosen = np.zeros(proba.shape, dtype=np.bool_)
        count = len(self.space.independent)
        if count:
            margin = None
            if self.rules.ranks:
                odds = _log_odds(proba[:, :count]) if logits is None else logits[:, :count]
                margin = odds - _log_odds(self.thresholds)
            chosen[:, :count] = self.rules.choose(proba[:, :count] >= self.thresholds, margin)
        if self.space.groups:
            part, starts, owners = proba[:, count:], self.space.starts, self.space.owners
            worth = self.worth.of_labels(part) if self.worth else part
            best = np.maximum.reduceat(worth, starts, axis=1)
            places = np.where(worth == best[:, owners], np.arange(part.shape[1]), part.shape[1])
            first = np.minimum.reduceat(places, starts, axis=1)  # of equals the earlier
            answered = asked[:, count + starts]
            if self.space.at_most_one.any():
                none = 1.0 - np.add.reduceat(part, starts, axis=1)
                if self.worth:
                    none = none * self.worth.none
                answered = answered & (~self.space.at_most_one | (best > none))
            chosen[np.arange(len(part))[:, None], count + first] = answered
        return chosen & asked


def _log_odds(proba: Floats) -> Floats:
    clipped = np.clip(proba, 1e-7, 1 - 1e-7)
    return np.log(clipped) - np.log1p(-clipped)
