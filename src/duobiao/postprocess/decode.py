"""Probabilities to decisions: thresholds, group rules, ``min_k``, ``max_k``, fallback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao.config import ThresholdSettings
from duobiao.errors import ConfigError
from duobiao.labels import LabelSpace, Mask
from duobiao.postprocess.probabilities import Floats


@dataclass(frozen=True)
class Decoder:
    """The last step of every system.

    Attributes:
        space: The label space.
        thresholds: One for each independent label.
        settings: ``min_k``, ``max_k``, ``fallback``.

    Raises:
        ConfigError: If the fallback is no independent label, or ``min_k`` exceeds their number.
    """

    space: LabelSpace
    thresholds: Floats
    settings: ThresholdSettings

    def __post_init__(self) -> None:
        check_rules(self.settings, self.space)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], space: LabelSpace) -> Decoder:
        """Reads the form stored in a bundle."""
        values = np.array([data["values"][name] for name in space.independent], dtype=np.float32)
        return cls(space, values, ThresholdSettings(**data["settings"]))

    def decide(self, proba: Floats, asked: Mask) -> Mask:
        """Decisions of shape ``(rows, labels)``; False in cells that are not asked.

        Args:
            proba: Probabilities, shape ``(rows, labels)``.
            asked: Which cells are asked, shape ``(rows, labels)``.
        """
        chosen = np.zeros(proba.shape, dtype=np.bool_)
        count = len(self.space.independent)
        if count:
            chosen[:, :count] = self._independent(proba[:, :count])
        for group, columns in zip(self.space.groups, self.space.slices, strict=True):
            part = proba[:, columns]
            best = part.argmax(axis=1)
            rows = np.arange(len(part))
            answered = asked[:, columns.start].copy()
            if group.at_most_one:
                answered &= part[rows, best] > 1.0 - part.sum(axis=1)
            chosen[rows[answered], columns.start + best[answered]] = True
        return chosen & asked

    def _independent(self, proba: Floats) -> Mask:
        rules = self.settings
        chosen: Mask = proba >= self.thresholds
        margin = _log_odds(proba) - _log_odds(self.thresholds)
        order = np.argsort(-margin, axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
        if rules.min_k:
            chosen |= rank < rules.min_k
        if rules.max_k is not None:
            chosen &= rank < rules.max_k
        if rules.fallback is not None:
            chosen[~chosen.any(axis=1), self.space.index[rules.fallback]] = True
        return chosen


def check_rules(settings: ThresholdSettings, space: LabelSpace) -> None:
    """Refuses threshold rules that the label space cannot carry out.

    Raises:
        ConfigError: Naming the rule.
    """
    names = space.independent
    if settings.fallback is not None and settings.fallback not in names:
        raise ConfigError(
            f"thresholds.fallback: {settings.fallback!r} is no independent label",
            hint=f"choose one of {', '.join(names) or '(the space has none)'}",
        )
    if settings.min_k > len(names):
        raise ConfigError(
            f"thresholds.min_k is {settings.min_k}, but there are {len(names)} independent labels", hint="lower it"
        )


def _log_odds(proba: Floats) -> Floats:
    clipped = np.clip(proba, 1e-7, 1 - 1e-7)
    return np.log(clipped) - np.log1p(-clipped)
