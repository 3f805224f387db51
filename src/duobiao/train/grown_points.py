"""Operating points of a bundle that has got labels: old thresholds stay, new ones are tuned on dev rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.config import ThresholdSettings
from duobiao.config.points import OTHERS, Costs, PointSettings
from duobiao.data.rows import Row
from duobiao.data.stratify import stratified_folds
from duobiao.data.units import tied_units
from duobiao.errors import ConfigError
from duobiao.evaluate.bootstrap import counts, resample
from duobiao.evaluate.intervals import DRAWS, dice_bounds, percentiles
from duobiao.labels import LabelSpace, Mask, Targets
from duobiao.postprocess.bounded import bounded_weights, wanted_labels
from duobiao.postprocess.calibration import Calibration
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.group_worth import GROUP_COSTS, GROUP_WEIGHTS, GroupWorth
from duobiao.postprocess.points import stored_points, with_points
from duobiao.postprocess.probabilities import Floats, probabilities
from duobiao.postprocess.targets import costs_of, group_answers, target_of, thresholds_for
from duobiao.postprocess.thresholds import DIGITS, thresholds_to_dict

FOLDS = 5


@dataclass(frozen=True)
class Grown:
    """Dev rows as a grown model sees them.

    Attributes:
        space: The grown label space.
        names: Its new labels.
        logits: Not calibrated, ``(rows, labels)``.
        cells: Truth, ``(rows, labels)``.
        asked: Which cells are asked.
        rows: The rows.
        parents: What a new label implies.
    """

    space: LabelSpace
    names: tuple[str, ...]
    logits: Floats
    cells: Targets
    asked: Mask
    rows: Sequence[Row]
    parents: Mapping[str, str]

    def points(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The old bundle's ``thresholds`` for the grown space."""
        calibration = kept_calibration(stored, self.space)
        proba = self._proba(calibration)
        entries = {}
        for name, entry in stored_points(stored).items():
            settings, target = self._settings(entry), self._target(entry)
            everywhere = np.ones(len(proba), dtype=np.bool_)
            values = self._thresholds(entry, proba, settings, target, everywhere)
            extra = {"target": target.stored()} if "target" in entry else {}
            worth = self._worth(entry, proba, target, everywhere)
            entries[name] = {**thresholds_to_dict(values, settings, self.space, worth), **extra}
        return with_points(entries, calibration.to_dict() if calibration else None)

    def held_out(self, stored: Mapping[str, Any], seed: int = 0) -> list[dict[str, Any]]:
        """F1 of each new label at the default point, each fold decided by a threshold from the others, with its interval."""
        proba = self._proba(kept_calibration(stored, self.space))
        entry = next(iter(stored_points(stored).values()))
        settings, target = self._settings(entry), self._target(entry)
        decided = np.zeros(self.cells.shape, dtype=np.bool_)
        folds = self._folds(seed)
        for fold in np.unique(folds):
            outside = folds == fold
            values = self._thresholds(entry, proba, settings, target, ~outside)
            decoder = Decoder(self.space, values, settings, self._worth(entry, proba, target, ~outside))
            decided[outside] = decoder.decide(proba[outside], self.asked[outside])
        units = tied_units(self.rows)
        return [self._told(name, decided, units) for name in self.names]

    def _told(self, name: str, decided: Mask, units: npt.NDArray[np.int64]) -> dict[str, Any]:
        column = [self.space.index[name]]
        table = counts(self.cells[:, column], decided[:, column], units)[:2, :, 0].T.astype(np.float64)
        hits, marks = table.sum(axis=0).tolist()
        f1 = 2 * hits / marks if marks else 0.0
        drawn = np.concatenate(list(resample(table[table[:, 1] > 0], DRAWS))) if marks else np.zeros((0, 2))
        ratios = 2.0 * drawn[:, 0] / drawn[:, 1]
        low, high = dice_bounds(f1, int((table[:, 1] > 0).sum())) or percentiles(ratios) or (0.0, 1.0)
        true = int((self.cells[:, column] == 1).sum())
        return {"label": name, "positives": true, "f1": f1, "low": low, "high": high}

    def _proba(self, calibration: Calibration) -> Floats:
        return probabilities(calibration.apply(self.logits, self.space), self.space)

    def _folds(self, seed: int) -> npt.NDArray[np.int64]:
        units = tied_units(self.rows)
        count = max(1, min(FOLDS, int(units.max()) + 1))
        return stratified_folds(self.rows, units, self.space, count, seed)

    def _settings(self, entry: Mapping[str, Any]) -> ThresholdSettings:
        """The point's rules without labels that are gone, and with what new labels imply."""
        index = self.space.index
        rules = dict(entry["settings"])
        parents = {
            name: [one for one in own if one in index] for name, own in rules.get("parents", {}).items() if name in index
        }
        parents |= {name: [parent] for name, parent in self.parents.items()}
        pairs = [pair for pair in rules.get("forbidden", ()) if all(name in index for name in pair)]
        fallback = rules.get("fallback")
        rules |= {"parents": parents, "forbidden": pairs, "fallback": fallback if fallback in index else None}
        return ThresholdSettings(**rules)

    def _target(self, entry: Mapping[str, Any]) -> PointSettings:
        """The point's target without labels that are gone."""
        target = target_of(entry)
        left = tuple(name for name in target.labels if name in self.space.index)
        if target.at_least is not None and not (target.labels or entry["values"]) and self.space.independent:
            left = self.space.names[len(self.space.independent) :]  # those of groups were all, and it is they that are meant
        costs = {name: own for name, own in target.costs.items() if name == OTHERS or name in self.space.index}
        if (target.labels and not left) or (target.costs and not costs):
            return PointSettings(target="macro-f1")
        return target.model_copy(update={"labels": left, "costs": costs})

    def _thresholds(
        self, entry: Mapping[str, Any], proba: Floats, settings: ThresholdSettings, target: PointSettings, rows: Mask
    ) -> Floats:
        """Old labels keep theirs; a new one gets what tuning on the rows gives it."""
        answers = group_answers(proba[rows], self.asked[rows], self.space)
        tuned = thresholds_for(target, proba[rows], self.cells[rows], self.space, settings, answers).thresholds
        kept = entry["values"]
        values = [kept.get(name, float(own)) for name, own in zip(self.space.independent, tuned, strict=True)]
        found: Floats = np.round(np.array(values), DIGITS).astype(np.float32)
        return found

    def _worth(self, entry: Mapping[str, Any], proba: Floats, target: PointSettings, rows: Mask) -> GroupWorth:
        """Old labels keep their costs and weights; a new one gets a weight where the target is for it."""
        kept = kept_worth(entry, self.space, self.names)
        if target.at_least is None:
            return kept
        new = [name for name in wanted_labels(target, self.space) if name in self.names]
        weights, _ = bounded_weights(target, proba[rows], self.cells[rows], self.space, new, kept.weights)
        return GroupWorth.of(self.space, kept.costs, weights)


def kept_worth(entry: Mapping[str, Any], space: LabelSpace, names: Sequence[str]) -> GroupWorth:
    """Costs and weights of a point's groups; new labels of priced ones have what its table says of them, or of ``*``."""
    weights = {label: float(own) for label, own in entry.get(GROUP_WEIGHTS, {}).items() if label in space.index}
    costs = {label: Costs.model_validate(own) for label, own in entry.get(GROUP_COSTS, {}).items() if label in space.index}
    target = target_of(entry)
    if costs:
        costs |= {name: own for name in names if (own := costs_of(target, name)) is not None}
    return GroupWorth.of(space, costs, weights)


def check_costs(stored: Mapping[str, Any], old: LabelSpace, space: LabelSpace, names: Sequence[str]) -> None:
    """Refuses new labels of groups that a point answers by costs, where its table says nothing of them.

    Raises:
        ConfigError: Naming points, groups and labels.
    """
    problems = []
    for point, entry in stored_points(stored).items():
        found = kept_worth(entry, space, names)
        before = GroupWorth.from_dict(entry, old).costs
        priced = {group.name for group in old.groups if group.labels[0] in before}
        for group in space.groups:
            if group.name not in priced or group.labels[0] in found.costs:
                continue
            new = [label for label in group.labels if label in names]
            problems.append(f"{point}: group {group.name!r} is answered by costs, and the table has none of {', '.join(new)}")
    if problems:
        hint = "tune the old bundle again with a table of costs that has a line for *, or with another target for that point"
        raise ConfigError("new labels without costs", hint=hint, problems=problems)


def kept_calibration(stored: Mapping[str, Any], space: LabelSpace) -> Calibration:
    """The calibration of the decisions that are left; a new label has none."""
    data = stored.get("calibration") or {}
    known = {*space.independent, *(group.name for group in space.groups)}
    kept = {
        kind: {name: own for name, own in data.get(kind, {}).items() if name in known} for kind in ("temperature", "isotonic")
    }
    return Calibration.from_dict(kept, space)
