"""Whether a calibration is any better: its probabilities on held-out rows, before and after, decision by decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao.labels import LabelSpace, Targets
from duobiao.postprocess.calibration import Calibration, columns_of, decisions_of
from duobiao.postprocess.fit_calibration import Fits, Ids
from duobiao.postprocess.probabilities import Floats, probabilities
from duobiao.postprocess.reliability import reliability_bins, scores_of

MEASURES = ("log_loss", "brier", "ece")
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Checked:
    """A calibration, and what it is worth.

    Attributes:
        calibration: Fitted on all rows; only decisions that it betters.
        by_fold: What the other folds alone find and leave off, for honest scores of what follows.
        before: ``log_loss``, ``brier``, ``ece`` over all known cells, not calibrated.
        after: The same on held-out folds with ``by_fold``.
        decisions: For each decision ``name``, ``map`` (``none``, ``temperature``, ``isotonic``), ``temperature``, and the
            scores ``before`` and ``after`` that its map was kept by.
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


@dataclass(frozen=True)
class _Chosen:
    """What rows choose.

    Attributes:
        calibration: Only decisions that it betters.
        after: By decision, scores of held-out rows by the maps found without their fold.
        notes: Why something is left off.
    """

    calibration: Calibration
    after: Mapping[str, Scores]
    notes: list[str]


def fit_checked(logits: Floats, cells: Targets, space: LabelSpace, folds: Ids, shrink: float) -> Checked:
    """Fits a calibration and leaves off whatever is worse on held-out rows.

    Maps are found anew without each fold and scored on that fold. A decision keeps its map if log-loss and Brier score of its
    held-out cells are not worse than before; the whole is kept if log-loss, Brier score and ECE of all held-out cells together
    are not. The ECE of a single decision is told and guards nothing: 15 bins of one decision's cells are mostly noise.

    All of that, which decisions are left off included, is done once more without each fold: ``by_fold`` of a fold is what the
    other folds alone choose, and ``after`` scores each fold by it. One last choice sees all folds: if ``after`` is worse than
    ``before``, or all rows together keep no map, nothing is calibrated, in ``by_fold`` neither.

    With k folds, maps are fitted ``1 + k + k (k - 1) / 2 + k (k - 1) (k - 2) / 6`` times: 26 times with 5 folds.

    Args:
        logits: Shape ``(rows, labels)``, not calibrated.
        cells: Truth, shape ``(rows, labels)``.
        space: The label space.
        folds: The fold of each row, ``(rows,)``.
        shrink: See ``fit``.
    """
    fits = Fits(logits, cells, space, folds, shrink)
    names, plain, everything = decisions_of(space), probabilities(logits, space), slice(0, len(space))
    chosen = _chosen(fits)
    found, notes = chosen.calibration, chosen.notes
    own = {fold: _chosen(fits, frozenset({fold})).calibration for fold in fits.numbers}
    before, after = _scores(plain, cells, everything), _scores(_held_out(fits, own), cells, everything)
    bad = _worse(MEASURES, before, after)
    if found and bad:
        notes.append(_left_off("all", bad, before, after))
    if not found or bad:
        found, own = Calibration(), dict.fromkeys(own, Calibration())
    table = []
    for name in names:
        untouched = _scores(plain, cells, columns_of(name, space))
        kept = chosen.after[name] if _has(found, name) else untouched
        kind = "isotonic" if name in found.steps else "temperature" if name in found.temperatures else "none"
        line = {"name": name, "map": kind, "temperature": found.temperatures.get(name), "before": untouched, "after": kept}
        table.append(line)
    held, known = _held_out(fits, own), cells >= 0
    bins = {key: reliability_bins(of[known], cells[known] == 1) for key, of in (("before", plain), ("after", held))}
    return Checked(found, own, before, _scores(held, cells, everything), table, notes, bins)


def _chosen(fits: Fits, without: frozenset[int] = frozenset()) -> _Chosen:
    """What the rows of all folds but some choose: maps, and which of them are left off."""
    space, rows = fits.space, ~np.isin(fits.folds, list(without))
    found = fits.fit(without)
    own = {fold: fits.fit(without | {fold}) for fold in fits.numbers if fold not in without}
    cells, plain, held = fits.cells[rows], probabilities(fits.logits[rows], space), _held_out(fits, own)[rows]
    notes, gone, after = [], set[str](), {}
    for name in decisions_of(space):
        columns = columns_of(name, space)
        before, after[name] = _scores(plain, cells, columns), _scores(held, cells, columns)
        bad = _worse(("log_loss", "brier"), before, after[name])
        if not _has(found, name):
            gone.add(name)
        elif bad:
            gone.add(name)
            notes.append(_left_off(name, bad, before, after[name]))
    found, own = found.without(gone), {fold: one.without(gone) for fold, one in own.items()}
    everything = slice(0, len(space))
    whole = _scores(plain, cells, everything), _scores(_held_out(fits, own)[rows], cells, everything)
    bad = _worse(MEASURES, *whole)
    if found and bad:
        notes.append(_left_off("all", bad, *whole))
        found = Calibration()
    return _Chosen(found, after, notes)


def _held_out(fits: Fits, own: Mapping[int, Calibration]) -> Floats:
    """Probabilities of each row by the calibration that was found without its fold; rows of other folds are not calibrated."""
    values = fits.logits.copy()
    for fold, calibration in own.items():
        values[fits.folds == fold] = calibration.apply(fits.logits[fits.folds == fold], fits.space)
    return probabilities(values, fits.space)


def _scores(proba: Floats, cells: Targets, columns: slice) -> Scores:
    known = cells[:, columns] >= 0
    return scores_of(proba[:, columns][known], cells[:, columns][known] == 1)


def _has(calibration: Calibration, name: str) -> bool:
    return name in calibration.temperatures or name in calibration.steps


def _worse(measures: Sequence[str], before: Scores, after: Scores) -> list[str]:
    """Which measures rise."""
    return [one for one in measures if after[one] > before[one] + 1e-12]


def _left_off(name: str, bad: Sequence[str], before: Scores, after: Scores) -> str:
    words = {"log_loss": "log-loss", "brier": "the Brier score", "ece": "ECE"}
    told = ", ".join(f"{words[one]} would rise from {before[one]:.5f} to {after[one]:.5f}" for one in bad)
    return f"{name}: left as it was, for on held-out rows {told}"
