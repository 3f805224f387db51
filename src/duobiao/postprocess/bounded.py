"""A precision or recall that holds: thresholds of independent labels, weights of labels in groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from duobiao.config import ThresholdSettings
from duobiao.config.points import PointSettings
from duobiao.labels import Group, LabelSpace, Mask, Targets
from duobiao.postprocess.cuts import Counts, Cuts, Doubles
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.f1_targets import Tables
from duobiao.postprocess.group_worth import GroupWorth
from duobiao.postprocess.probabilities import Floats

LEAST = 1e-4
"""Thresholds for precision, recall and cost lie in [LEAST, 1 - LEAST]: such targets may need the ends."""
ROUNDS = 20


@dataclass(frozen=True)
class Reached:
    """What a label with a wanted precision or recall reaches.

    Attributes:
        label: The label.
        bound: The lower confidence bound of precision or recall on the rows that the threshold or weight was chosen on.
        observed: Precision or recall there.
        rows: Rows that it is a share of: predicted ones for precision, true ones for recall.
        met: Whether the bound is at least what was wanted. If not, this is the highest bound that any threshold has; of a label
            in a group, the one that it has beside the weights of the group's other labels.
    """

    label: str
    bound: float
    observed: float
    rows: int
    met: bool


def wanted_labels(point: PointSettings, space: LabelSpace) -> tuple[str, ...]:
    """Of which labels a precision or recall is wanted; if none are named all independent ones, or all where there are none."""
    return point.labels or space.independent or space.names


def lower_bound(hits: Counts, rows: Counts, confidence: float) -> Doubles:
    """The one-sided lower confidence bound of a share (Clopper and Pearson 1934): the ``1 - confidence`` quantile of
    Beta(hits, rows - hits + 1); 0 without hits.
    """
    found: Doubles = np.where(hits > 0, betaincinv(np.maximum(hits, 1), rows - np.minimum(hits, rows) + 1, 1 - confidence), 0.0)
    return found


def bounded_thresholds(
    point: PointSettings, tables: Tables, usual: Floats, space: LabelSpace
) -> tuple[Doubles, tuple[Reached, ...]]:
    """Of the thresholds whose bound is high enough, the one with most recall (for recall: with fewest rows predicted).

    A label none of whose thresholds is good enough has the one with the highest bound.

    Args:
        point: The target.
        tables: Independent labels on dev rows.
        usual: Thresholds of the labels that are not wanted, ``(independent labels,)``.
        space: The label space.

    Returns:
        Shape ``(independent labels,)``, and what the wanted labels among them reach.
    """
    result, notes = usual.astype(np.float64), []
    for number, label in enumerate(space.independent):
        values, truth = tables.column(number)
        if label not in wanted_labels(point, space):
            continue
        if not len(values):
            notes.append(Reached(label, 0.0, 0.0, 0, False))
            continue
        cuts = Cuts.of(values, truth, LEAST, 1 - LEAST)
        bound, whole = _bounds(point, cuts)
        met, few = bound >= _at_least(point), -cuts.predicted.astype(np.float64)
        prefer = cuts.hits.astype(np.float64) if point.target == "precision" else few
        chosen = cuts.best(met.astype(np.float64), prefer) if met.any() else cuts.best(bound, few)
        at, result[number] = cuts.at(chosen), chosen
        share = float(cuts.hits[at] / whole[at]) if whole[at] else 0.0
        notes.append(Reached(label, float(bound[at]), share, int(whole[at]), bool(met[at])))
    return result, tuple(notes)


def bounded_weights(
    point: PointSettings,
    proba: Floats,
    cells: Targets,
    space: LabelSpace,
    labels: Sequence[str],
    start: Mapping[str, float] | None = None,
) -> tuple[dict[str, float], tuple[Reached, ...]]:
    """Weights with which labels of groups have a wanted precision or recall, as near to 1 as that allows.

    A label of weight ``w`` is given where ``w p`` is above the strongest rival's ``r``, so where ``p / (p + r)`` is at least
    ``1 / (1 + w)``: all weights are the cuts of that share, and 1 is the cut at 0.5. Of those whose bound is high enough the
    nearest to 0.5 is taken; if there is none, the one with the highest bound. What one label gives up others get, so the
    labels of a group take turns until none moves any more. Of all weights that stood on the way, those of 1 among them, the
    group keeps those with which, decided and counted as a whole, most labels have what is wanted; of equals those that are
    short of it by the least, then those nearest to 1.

    Args:
        point: The target.
        proba: Calibrated probabilities on dev rows, ``(rows, labels)``.
        cells: Truth, ``(rows, labels)``; cells that are not 0 or 1 are left out.
        space: The label space.
        labels: Whose weights are chosen; independent ones are passed over.
        start: Weights to start from; those of other labels stay.

    Returns:
        The weights by label, those of ``start`` included, and what the labels reach.
    """
    weights, notes = dict(start or {}), list[Reached]()
    for group, columns in zip(space.groups, space.slices, strict=True):
        chosen = [place for place, label in enumerate(group.labels) if label in labels]
        if not chosen:
            continue
        first = np.array([weights.get(label, 1.0) for label in group.labels])
        found, reached = _Turns(point, group, proba[:, columns], cells[:, columns], chosen).best(first)
        weights |= {group.labels[place]: float(found[place]) for place in chosen}
        notes += reached
    return weights, tuple(notes)


@dataclass(frozen=True)
class _Turns:
    """The labels of one group, one after another.

    Attributes:
        point: The target.
        group: The group.
        part: Probabilities of its columns, ``(rows, labels of the group)``.
        cells: Truth, of the same shape.
        chosen: The places of the labels that have a weight to choose.
    """

    point: PointSettings
    group: Group
    part: Floats
    cells: Targets
    chosen: Sequence[int]

    def best(self, start: Doubles) -> tuple[Doubles, list[Reached]]:
        """The best weights on the way from ``start``, ``(labels of the group,)``, and what the chosen labels reach."""
        weights, stood, seen = start, list[tuple[Doubles, list[Reached]]](), set[bytes]()
        while weights.tobytes() not in seen and len(seen) <= ROUNDS:
            seen.add(weights.tobytes())
            stood.append((weights, self._reached(weights)))
            weights = weights.copy()
            for place in self.chosen:
                weights[place] = self._alone(weights, place)
            if not self.group.at_most_one and len(self.chosen) == weights.size:  # their ratios alone count: one stays 1
                weights /= np.sort(weights)[(weights.size - 1) // 2]
        return max(stood, key=lambda one: self._rank(*one))

    def _rank(self, weights: Doubles, reached: Sequence[Reached]) -> tuple[float, float, float]:
        short = [max(_at_least(self.point) - one.bound, 0.0) for one in reached]
        return sum(one.met for one in reached), -math.fsum(short), -float(np.abs(np.log(weights)).sum())

    def _alone(self, weights: Doubles, place: int) -> float:
        """The weight that is best for one label beside those of the others."""
        known = self.cells[:, place] >= 0
        if not known.any():
            return float(weights[place])
        cuts = Cuts.of(self._shares(weights, place)[known], self.cells[known, place] == 1, LEAST, 1 - LEAST)
        bound, _ = _bounds(self.point, cuts)
        met = bound >= _at_least(self.point)
        chosen = cuts.best(met.astype(np.float64)) if met.any() else cuts.best(bound, -cuts.predicted.astype(np.float64))
        return (1 - chosen) / chosen

    def _shares(self, weights: Doubles, place: int) -> Doubles:
        """A label's probability over the sum of it and the strongest rival's worth, ``(rows,)``.

        Just under a half where it is as likely as a rival that comes before it, which a weight of 1 leaves the answer to.
        """
        own, worth = self.part[:, place].astype(np.float64), self.part * weights
        before, after = worth[:, :place], worth[:, place + 1 :]
        if self.group.at_most_one:
            none = np.maximum(1.0 - self.part.sum(axis=1, keepdims=True), 0.0)
            before = np.concatenate([before, none], axis=1)
        first = before.max(axis=1, initial=0.0)
        found: Doubles = own / np.maximum(own + np.maximum(first, after.max(axis=1, initial=0.0)), np.finfo(np.float64).tiny)
        return np.where(first >= own, np.minimum(found, np.nextafter(0.5, 0)), found)

    def _reached(self, weights: Doubles) -> list[Reached]:
        """What the labels have when the group is decided with these weights."""
        decided = self._decided(weights)
        truth, known = self.cells[:, self.chosen] == 1, self.cells[:, self.chosen] >= 0
        guess = decided[:, self.chosen] & known
        hits = (guess & truth).sum(axis=0)
        whole = guess.sum(axis=0) if self.point.target == "precision" else truth.sum(axis=0)
        bounds = lower_bound(hits, whole, self.point.confidence)
        found = []
        for place, hit, rows, bound in zip(self.chosen, hits.tolist(), whole.tolist(), bounds.tolist(), strict=True):
            met = bool(bound >= _at_least(self.point))
            found.append(Reached(self.group.labels[place], bound, hit / rows if rows else 0.0, rows, met))
        return found

    def _decided(self, weights: Doubles) -> Mask:
        space = LabelSpace((), (Group(self.group.name, self.group.labels, self.group.at_most_one),))
        worth = GroupWorth.of(space, weights=dict(zip(self.group.labels, weights.tolist(), strict=True)))
        decoder = Decoder(space, np.zeros(0, np.float32), ThresholdSettings(), worth)
        return decoder.decide(self.part, np.ones(self.part.shape, dtype=np.bool_))


def _bounds(point: PointSettings, cuts: Cuts) -> tuple[Doubles, npt.NDArray[np.int64]]:
    """The bound of each cut, and the rows that precision or recall is a share of."""
    whole = cuts.predicted if point.target == "precision" else np.full(len(cuts.hits), cuts.positives)
    return lower_bound(cuts.hits, whole, point.confidence), whole


def _at_least(point: PointSettings) -> float:
    assert point.at_least is not None
    return point.at_least
