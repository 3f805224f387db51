"""Thresholds for a target: the best F1, a precision or recall that holds, the lowest expected cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from duobiao.config import ThresholdSettings
from duobiao.config.points import OTHERS, Costs, PointSettings
from duobiao.labels import LabelSpace, Mask, Targets
from duobiao.postprocess.cuts import Cuts, Doubles
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.f1_targets import Tables, micro_thresholds, samples_thresholds
from duobiao.postprocess.group_costs import GroupCosts
from duobiao.postprocess.points import stored_points, with_points
from duobiao.postprocess.probabilities import Floats
from duobiao.postprocess.thresholds import DIGITS, HIGHEST, LOWEST, best_threshold, thresholds_to_dict, tune

LEAST = 1e-4
"""Thresholds for precision, recall and cost lie in [LEAST, 1 - LEAST]: such targets may need the ends."""


@dataclass(frozen=True)
class Reached:
    """What a label with a wanted precision or recall reaches.

    Attributes:
        label: The label.
        bound: The lower confidence bound of precision or recall on the rows that the threshold was chosen on.
        observed: Precision or recall there.
        rows: Rows that it is a share of: predicted ones for precision, true ones for recall.
        met: Whether the bound is at least what was wanted; if not, this is the highest bound that any threshold has.
    """

    label: str
    bound: float
    observed: float
    rows: int
    met: bool


@dataclass(frozen=True)
class Tuned:
    """Thresholds of an operating point.

    Attributes:
        thresholds: Shape ``(independent labels,)``.
        reached: For precision and recall: what each label reaches.
        costs: For costs: those that groups are answered by, as the table has them.
    """

    thresholds: Floats
    reached: tuple[Reached, ...] = ()
    costs: GroupCosts | None = None


def target_of(entry: Mapping[str, Any]) -> PointSettings:
    """What a stored operating point was tuned for; training's own is the best macro-F1."""
    return PointSettings.model_validate(entry.get("target", {"target": "macro-f1"}))


def refitted(thresholds: Mapping[str, Any], proba: Floats, cells: Targets, asked: Mask, space: LabelSpace) -> dict[str, Any]:
    """A bundle's operating points, their thresholds fitted anew for their targets; rules, names and calibration stay.

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
        entries[name] = {**entry, **thresholds_to_dict(found.thresholds, settings, space)}
    return with_points(entries, thresholds.get("calibration"))


def group_answers(proba: Floats, asked: Mask, space: LabelSpace) -> Mask:
    """What is decided of the groups, ``(rows, labels)``; thresholds of independent labels play no part in it."""
    return Decoder(space, np.full(len(space.independent), 0.5, np.float32), ThresholdSettings()).decide(proba, asked)


def thresholds_for(
    point: PointSettings, proba: Floats, cells: Targets, space: LabelSpace, settings: ThresholdSettings, groups: Mask
) -> Tuned:
    """Tunes the independent labels' thresholds for a target; for costs, groups get theirs.

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
        groups: What is decided, ``(rows, labels)``, of which the columns of groups count: micro-F1 and samples-F1 are over all
            labels.
    """
    usual = tune(proba, cells, space, settings)
    if point.target == "cost":
        table = {label: price for label in space.names if (price := costs_of(point, label)) is not None}
        costs = GroupCosts.of(table, space)
        if not space.independent:
            return Tuned(usual, costs=costs)
        return Tuned(_cheapest(point, Tables.of(proba, cells, space, groups), usual, space, settings.shrink), costs=costs)
    if point.target == "macro-f1" or not space.independent:
        return Tuned(usual)
    tables = Tables.of(proba, cells, space, groups)
    if point.target in ("precision", "recall"):
        return _bounded(point, tables, usual, space)
    own = micro_thresholds(tables)
    if point.target == "samples-f1":
        own = samples_thresholds(tables, own)
    common = best_threshold(tables.values[tables.known], tables.truth[tables.known])
    return Tuned(_stored(_shrunk(own, np.full(len(own), common), tables, settings.shrink), LOWEST))


def lower_bound(hits: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], confidence: float) -> Doubles:
    """The one-sided lower confidence bound of a share (Clopper and Pearson 1934): the ``1 - confidence`` quantile of
    Beta(hits, rows - hits + 1); 0 without hits.
    """
    found: Doubles = np.where(hits > 0, betaincinv(np.maximum(hits, 1), rows - np.minimum(hits, rows) + 1, 1 - confidence), 0.0)
    return found


def _bounded(point: PointSettings, tables: Tables, usual: Floats, space: LabelSpace) -> Tuned:
    """Of the thresholds whose bound is high enough, the one with most recall (for recall: with fewest rows predicted)."""
    assert point.at_least is not None
    result, notes = usual.astype(np.float64), []
    for number, label in enumerate(space.independent):
        values, truth = tables.column(number)
        if label not in (point.labels or space.independent):
            continue
        if not len(values):
            notes.append(Reached(label, 0.0, 0.0, 0, False))
            continue
        cuts = Cuts.of(values, truth, LEAST, 1 - LEAST)
        whole = cuts.predicted if point.target == "precision" else np.full(len(cuts.hits), cuts.positives)
        bound = lower_bound(cuts.hits, whole, point.confidence)
        met, few = bound >= point.at_least, -cuts.predicted.astype(np.float64)
        prefer = cuts.hits.astype(np.float64) if point.target == "precision" else few
        chosen = cuts.best(met.astype(np.float64), prefer) if met.any() else cuts.best(bound, few)
        at, result[number] = cuts.at(chosen), chosen
        share = float(cuts.hits[at] / whole[at]) if whole[at] else 0.0
        notes.append(Reached(label, float(bound[at]), share, int(whole[at]), bool(met[at])))
    return Tuned(_stored(result, LEAST), tuple(notes))


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
