"""Which labels may stand together: implied parents, forbidden pairs, ``min_k``, ``max_k``, fallback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from duobiao.config import ThresholdSettings
from duobiao.errors import ConfigError
from duobiao.labels import LabelSpace, Mask
from duobiao.postprocess.probabilities import Floats


@dataclass(frozen=True)
class Rules:
    """What holds among the independent labels of a row.

    A row takes labels one by one, the furthest above its threshold in log-odds first, of equals the earlier in the label space.
    It takes those at or above their threshold, and goes on below for as long as it has fewer than ``min_k``. A label comes with
    all that it implies, and is passed over if one of these is forbidden beside a label that the row has, or if the row would
    have more than ``max_k``. A row that takes none gets the fallback, with what that implies.

    So parents, forbidden pairs and ``max_k`` always hold afterwards. ``min_k`` holds unless forbidden pairs leave no further
    label to take. What a row has decides itself again: taking its labels alone as likely gives the same labels.

    Attributes:
        names: The independent labels.
        settings: The rules.
    """

    names: tuple[str, ...]
    settings: ThresholdSettings

    @property
    def is_simple(self) -> bool:
        """Whether labels do not depend on each other's names, only on their number."""
        return not self.settings.parents and not self.settings.forbidden

    @cached_property
    def implied(self) -> Mask:
        """``[a, b]``: whether label a comes with label b; every label comes with itself. Shape ``(labels, labels)``."""
        index = {name: number for number, name in enumerate(self.names)}
        found = np.eye(len(self.names), dtype=np.bool_)
        for child, parents in self.settings.parents.items():
            found[index[child], [index[name] for name in parents]] = True
        for _ in self.names:
            further: Mask = (found.astype(np.int64) @ found.astype(np.int64)) > 0
            if (further == found).all():
                break
            found = further
        return found

    @cached_property
    def excluded(self) -> Mask:
        """``[a, b]``: whether a, with all that it implies, is forbidden beside b. Shape ``(labels, labels)``."""
        index = {name: number for number, name in enumerate(self.names)}
        pairs = np.zeros((len(self.names), len(self.names)), dtype=np.bool_)
        for one, other in self.settings.forbidden:
            pairs[index[one], index[other]] = pairs[index[other], index[one]] = True
        found: Mask = (self.implied.astype(np.int64) @ pairs.astype(np.int64)) > 0
        return found

    @property
    def ranks(self) -> bool:
        """Whether the choice depends on how far labels lie from their thresholds."""
        return not self.is_simple or bool(self.settings.min_k) or self.settings.max_k is not None

    def choose(self, above: Mask, margin: Floats | None = None) -> Mask:
        """Labels of rows, shape ``(rows, labels)``.

        Args:
            above: Which labels are at or above their threshold, ``(rows, labels)``.
            margin: Distance from the threshold in log-odds, ``(rows, labels)``; needed where the rules rank.
        """
        rules = self.settings
        if self.ranks:
            assert margin is not None
            order = np.argsort(-margin, axis=1, kind="stable")
            chosen = self._ranked(above, order) if self.is_simple else self._one_by_one(above, order)
        else:
            chosen = above.copy()
        if rules.fallback is not None:
            chosen[~chosen.any(axis=1)] |= self.implied[self.names.index(rules.fallback)]
        return chosen

    def _ranked(self, above: Mask, order: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Mask:
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
        chosen: Mask = above | (rank < self.settings.min_k)
        return chosen if self.settings.max_k is None else chosen & (rank < self.settings.max_k)

    def _one_by_one(self, above: Mask, order: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Mask:
        chosen = np.zeros_like(above)
        rows, most = np.arange(len(above)), self.settings.max_k
        for place in range(order.shape[1]):
            label = order[:, place]
            wanted = above[rows, label] | (chosen.sum(axis=1) < self.settings.min_k)
            if not wanted.any():  # margins fall: nothing further is above its threshold
                break
            taken = chosen | self.implied[label]
            wanted &= ~(self.excluded[label] & chosen).any(axis=1)
            if most is not None:
                wanted &= taken.sum(axis=1) <= most
            chosen = np.where(wanted[:, None], taken, chosen)
        return chosen


def check_rules(settings: ThresholdSettings, space: LabelSpace) -> None:
    """Refuses rules that the label space cannot carry out, or that contradict each other.

    Raises:
        ConfigError: Naming every rule.
    """
    names = space.independent
    hint = f"choose among the independent labels: {', '.join(names) or '(the space has none)'}"
    if settings.fallback is not None and settings.fallback not in names:
        raise ConfigError(f"thresholds.fallback: {settings.fallback!r} is no independent label", hint=hint)
    if settings.min_k > len(names):
        raise ConfigError(
            f"thresholds.min_k is {settings.min_k}, but there are {len(names)} independent labels", hint="lower it"
        )
    problems = _foreign(settings, names)
    if not problems:
        rules = Rules(names, settings)
        problems = [*_circles(rules), *_contradictions(rules)]
    if problems:
        raise ConfigError("the rules among labels cannot be carried out", hint=hint, problems=problems)


def _foreign(settings: ThresholdSettings, names: Sequence[str]) -> list[str]:
    problems = [
        f"parents: {name!r} is no independent label"
        for name in dict.fromkeys(name for child, parents in settings.parents.items() for name in (child, *parents))
        if name not in names
    ]
    for pair in settings.forbidden:
        problems += [f"forbidden: {name!r} is no independent label" for name in dict.fromkeys(pair) if name not in names]
        if pair[0] == pair[1]:
            problems.append(f"forbidden: {pair[0]!r} beside itself")
    return problems


def _circles(rules: Rules) -> list[str]:
    """Labels that imply themselves, each circle once."""
    problems = [f"parents: {name!r} implies itself" for name, parents in rules.settings.parents.items() if name in parents]
    both = rules.implied & rules.implied.T
    for number, row in enumerate(both):
        circle = np.flatnonzero(row)
        if len(circle) > 1 and circle[0] == number:
            problems.append(f"parents: {', '.join(repr(rules.names[at]) for at in circle)} imply each other")
    return problems


def _contradictions(rules: Rules) -> list[str]:
    problems = []
    for number, name in enumerate(rules.names):
        own = [rules.names[at] for at in np.flatnonzero(rules.implied[number])]
        if (rules.excluded[number] & rules.implied[number]).any():
            problems.append(f"{name!r} implies labels that are forbidden beside each other ({', '.join(own)})")
        if rules.settings.max_k is not None and len(own) > rules.settings.max_k:
            problems.append(f"{name!r} comes with {len(own)} labels ({', '.join(own)}), more than max_k {rules.settings.max_k}")
    return problems
