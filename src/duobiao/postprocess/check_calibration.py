"""Whether a calibration is any better: its probabilities on held-out rows, before and after, decision by decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao.labels import LabelSpace, Targets
from duobiao.postprocess.calibration import Calibration, columns_of, decisions_of
from duobiao.postprocess.fit_calibration import Ids, fit
from duobiao.postprocess.probabilities import Floats, probabilities
from duobiao.postprocess.reliability import reliability_bins, scores_of

MEASURES = ("log_loss", "brier", "ece")
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Checked:
    """A calibration, and what it is worth.

    Attributes:
        calibration: Fitted on all rows; only decisions that it betters.
        by_fold: What the same procedure finds without each fold, for honest scores of what follows.
        before: ``log_loss``, ``brier``, ``ece`` over all known cells, not calibrated.
        after: The same on held-out folds with ``by_fold``.
        decisions: For each decision ``name``, ``map`` (``none``, ``temperature``, ``isotonic``), ``before``, ``after``.
        left_off: Why a decision, or everything, is not calibrated although a map was found.
        bins: Reliability bins ``before`` and ``after``.
    """

    calibration: Calibration
    by_fold: dict[int, Calibration]
    before: Scores
    after: Scores
    decisions: list[dict[str, Any]]
    left_off: list[str]
    bins: Mapping[str, list[dict[str, float]]]

    def to_dict(self) -> dict[str, Any]:
        """For tables and bundles."""
        kept = ("before", "after", "decisions", "left_off", "bins")
        return {name: getattr(self, name) for name in kept}


def fit_checked(logits: Floats, cells: Targets, space: LabelSpace, folds: Ids, shrink: float) -> Checked:
    """Fits a calibration and leaves off whatever is worse on held-out rows.

    Everything, the choice among maps included, is done anew without each fold and scored on that fold. A decision keeps its map
    if log-loss and Brier score of its held-out cells are not worse than before; the whole is kept if log-loss, Brier score and
    ECE of all held-out cells together are not.

    Args:
        logits: Shape ``(rows, labels)``, not calibrated.
        cells: Truth, shape ``(rows, labels)``.
        space: The label space.
        folds: The fold of each row, ``(rows,)``.
        shrink: See ``fit``.
    """
    found = fit(logits, cells, space, folds, shrink)
    own = {
        fold: fit(logits[folds != fold], cells[folds != fold], space, folds[folds != fold], shrink)
        for fold in np.unique(folds).tolist()
    }
    names = decisions_of(space)
    plain = probabilities(logits, space)
    before = {name: _scores(plain, cells, columns_of(name, space)) for name in names}
    after = {name: _scores(_held_out(logits, folds, own, space), cells, columns_of(name, space)) for name in names}
    notes, worse = [], {name for name in names if not _has(found, name)}
    for name in names:
        bad = [one for one in ("log_loss", "brier") if after[name][one] > before[name][one]]
        if name not in worse and bad:
            worse.add(name)
            notes.append(f"{name}: left as it was, for on held-out rows {_told(bad, before[name], after[name])}")
    found, own = found.without(worse), {fold: one.without(worse) for fold, one in own.items()}
    everything = slice(0, len(space))
    whole = _scores(plain, cells, everything), _scores(_held_out(logits, folds, own, space), cells, everything)
    bad = [one for one in MEASURES if whole[1][one] > whole[0][one] + 1e-12]
    if found and bad:
        notes.append(f"all: left as it was, for on held-out rows {_told(bad, *whole)}")
        found, own = Calibration(), dict.fromkeys(own, Calibration())
    held = _held_out(logits, folds, own, space)
    table = [
        {
            "name": name,
            "map": "isotonic" if name in found.steps else "temperature" if name in found.temperatures else "none",
            "temperature": found.temperatures.get(name),
            "before": before[name],
            "after": _scores(held, cells, columns_of(name, space)),
        }
        for name in names
    ]
    known = cells >= 0
    bins = {key: reliability_bins(of[known], cells[known] == 1) for key, of in (("before", plain), ("after", held))}
    return Checked(found, own, whole[0], _scores(held, cells, everything), table, notes, bins)


def _held_out(logits: Floats, folds: Ids, own: Mapping[int, Calibration], space: LabelSpace) -> Floats:
    """Probabilities of each row by the calibration that was fitted without its fold."""
    values = logits.copy()
    for fold, calibration in own.items():
        values[folds == fold] = calibration.apply(logits[folds == fold], space)
    return probabilities(values, space)


def _scores(proba: Floats, cells: Targets, columns: slice) -> Scores:
    known = cells[:, columns] >= 0
    return scores_of(proba[:, columns][known], cells[:, columns][known] == 1)


def _has(calibration: Calibration, name: str) -> bool:
    return name in calibration.temperatures or name in calibration.steps


def _told(bad: list[str], before: Scores, after: Scores) -> str:
    words = {"log_loss": "log-loss", "brier": "the Brier score", "ece": "ECE"}
    return ", ".join(f"{words[one]} would rise from {before[one]:.5f} to {after[one]:.5f}" for one in bad)
