"""Thresholds for a target: the best F1, a precision or recall that holds, the lowest expected cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao.config import ThresholdSettings
from duobiao.config.points import OTHERS, Costs, PointSettings
from duobiao.labels import LabelSpace, Mask, Targets
from duobiao.postprocess.bounded import LEAST, Reached, bounded_thresholds, bounded_weights, wanted_labels
from duobiao.postprocess.cuts import Cuts, Doubles
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.f1_targets import Tables, micro_thresholds, samples_thresholds
from duobiao.postprocess.group_worth import GROUP_COSTS, GROUP_WEIGHTS, GroupWorth
from duobiao.postprocess.points import stored_points, with_points
from duobiao.postprocess.probabilities import Floats
from duobiao.postprocess.thresholds import DIGITS, HIGHEST, LOWEST, best_threshold, thresholds_to_dict, tune


@dataclass(frozen=True)
class Tuned:
    """Thresholds of an operating point.

    Attributes:
        thresholds: Shape ``(independent labels,)``.
        reached: For precision and recall: what each label reaches.
        worth: For costs those of groups, as the table has them; for precision and recall the weights of their labels.
    """

    thresholds: Floats
    reached: tuple[Reached, ...] = ()
    worth: GroupWorth | None = None


def target_of(entry: Mapping[str, Any]) -> PointSettings:
    """What a stored operating point was tuned for; training's own is the best macro-F1."""
    return PointSettings.model_validate(entry.get("target", {"target": "macro-f1"}))


def refitted(thresholds: Mapping[str, Any], proba: Floats, cells: Targets, asked: Mask, space: LabelSpace) -> dict[str, Any]:
    """A bundle's operating points, thresholds and weights fitted anew for their targets; rules, names and calibration stay.

    Args:
        thresholds: As the bundle stores them.
        proba: Calibrated probabilities on dev rows, ``(rows, labels)``.
        cells: Truth, ``(rows, labels)``.
        asked: Which cells are asked, ``(rows, labels)``.
        space: The label space.
    """
    entries = {}
    for name, entry in stored_points(thresholds).items():
        settings = ThresholdSettings(**entry["settings"])
        found = thresholds_for(target_of(entry), proba, cells, space, settings, group_answers(proba, asked, space))
        kept = {key: value for key, value in entry.items() if key not in (GROUP_COSTS, GROUP_WEIGHTS)}
        entries[name] = {**kept, **thresholds_to_dict(found.thresholds, settings, space, found.worth)}
    return with_points(entries, thresholds.get("calibration"))


def group_answers(proba: Floats, asked: Mask, space: LabelSpace) -> Mask:
    """What is decided of the groups, ``(rows, labels)``; thresholds of independent labels play no part in it."""
    return Decoder(space, np.full(len(space.independent), 0.5, np.float32), ThresholdSettings()).decide(proba, asked)


def thresholds_for(
    point: PointSettings, proba: Floats, cells: Targets, space: LabelSpace, settings: ThresholdSettings, groups: Mask
) -> Tuned:
    """Tunes the independent labels' thresholds for a target; for costs groups get theirs, for precision and recall weights.

    With n positives, a label's own best threshold counts n times and an anchor ``settings.shrink`` times, so that rare labels
    do not follow their few rows. The anchor of the F1 targets is the one threshold that is best for all labels together; that
    of a cost is ``fp / (fp + fn)``, the best one for probabilities that are right. Precision and recall have a confidence bound
    in its place, which is the more cautious the fewer rows there are; labels whose precision or recall does not matter follow
    ``macro-f1``.

    Args:
        point: The target.
        proba: Calibrated probabilities on dev rows, ``(rows, labels)``.
        cells: Truth, ``(rows, labels)``; cells that are not 0 or 1 are left out.
        space: The label space.
        settings: ``shrink``. Rules among labels are not looked at.
        groups: What the likeliest labels of groups are, ``(rows, labels)``, for micro-F1 and samples-F1, which are over all
            labels.
    """
    usual = tune(proba, cells, space, settings)
    if point.target == "cost":
        table = {label: price for label in space.names if (price := costs_of(point, label)) is not None}
        worth = GroupWorth.of(space, table)
        if not space.independent:
            return Tuned(usual, worth=worth)
        return Tuned(_cheapest(point, Tables.of(proba, cells, space, groups), usual, space, settings.shrink), worth=worth)
    if point.target in ("precision", "recall"):
        found, reached = bounded_thresholds(point, Tables.of(proba, cells, space, groups), usual, space)
        weights, more = bounded_weights(point, proba, cells, space, wanted_labels(point, space))
        return Tuned(_stored(found, LEAST), (*reached, *more), GroupWorth.of(space, weights=weights))
    if point.target == "macro-f1" or not space.independent:
        return Tuned(usual)
    tables = Tables.of(proba, cells, space, groups)
    own = micro_thresholds(tables)
    if point.target == "samples-f1":
        own = samples_thresholds(tables, own)
    common = best_threshold(tables.values[tables.known], tables.truth[tables.known])
    return Tuned(_stored(_shrunk(own, np.full(len(own), common), tables, settings.shrink), LOWEST))


def _cheapest(point: PointSettings, tables: Tables, usual: Floats, space: LabelSpace, shrink: float) -> Floats:
    own = usual.astype(np.float64)
    anchors = own.copy()
    for number, label in enumerate(space.independent):
        costs = costs_of(point, label)
        if costs is None:
            continue
        anchors[number] = own[number] = costs.false_positive / (costs.false_positive + costs.false_negative)
        values, truth = tables.column(number)
        if len(values):
            cuts = Cuts.of(values, truth, LEAST, 1 - LEAST)
            wrong, missed = cuts.predicted - cuts.hits, cuts.positives - cuts.hits
            price = costs.false_positive * wrong + costs.false_negative * missed
            own[number] = cuts.best(-price, -np.abs(cuts.thresholds - anchors[number]))
    return _stored(_shrunk(own, anchors, tables, shrink), LEAST)


def costs_of(point: PointSettings, label: str) -> Costs | None:
    """What wrong answers of a label cost; None where the table does not say."""
    return point.costs.get(label, point.costs.get(OTHERS))


def expected_cost(point: PointSettings, cells: Targets, decided: Mask, space: LabelSpace) -> dict[str, Any]:
    """The cost of decisions, in total and a row: over known cells of the labels that have costs, those of groups included."""
    total = 0.0
    for number, label in enumerate(space.names):
        costs = costs_of(point, label)
        if costs is not None:
            truth, guess = cells[:, number], decided[:, number]
            total += costs.false_positive * int((guess & (truth == 0)).sum())
            total += costs.false_negative * int((~guess & (truth == 1)).sum())
    return {"total": total, "per_row": total / max(len(cells), 1)}


def _shrunk(own: Doubles, anchors: Doubles, tables: Tables, shrink: float) -> Doubles:
    positives = (tables.truth & tables.known).sum(axis=0)
    weight = np.maximum(positives + shrink, 1e-9)
    found: Doubles = np.where(positives > 0, (positives * own + shrink * anchors) / weight, anchors)
    return found


def _stored(thresholds: Doubles, least: float) -> Floats:
    """As a bundle keeps them."""
    highest = HIGHEST if least == LOWEST else 1 - least
    found: Floats = np.clip(np.round(thresholds, DIGITS), least, highest).astype(np.float32)
    return found
