"""Thresholds of independent labels, tuned on dev rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.config import ThresholdSettings
from duobiao.labels import LabelSpace, Targets
from duobiao.postprocess.cuts import Cuts
from duobiao.postprocess.group_worth import GroupWorth
from duobiao.postprocess.probabilities import Floats

LOWEST, HIGHEST = 0.01, 0.99
DIGITS = 6
"""Decimals of a threshold; tuned ones are rounded, so that a bundle stores exactly what was scored."""


def tune(proba: Floats, cells: Targets, space: LabelSpace, settings: ThresholdSettings) -> Floats:
    """A threshold for each independent label.

    The global threshold maximises micro-F1 over all independent labels. A label's own threshold maximises its F1; with n
    dev positives the label gets ``(n * own + shrink * global) / (n + shrink)``. Equally good thresholds are decided in
    favour of the one nearest to 0.5. The result lies in [0.01, 0.99], never at 0.

    Args:
        proba: Probabilities on dev rows, shape ``(rows, labels)``.
        cells: Truth, shape ``(rows, labels)``; cells that are not 0 or 1 are left out.
        space: The label space.
        settings: ``shrink``.

    Returns:
        Shape ``(independent labels,)``.
    """
    count = len(space.independent)
    values, truth = proba[:, :count].astype(np.float64), cells[:, :count]
    known = truth >= 0
    common = best_threshold(values[known], truth[known] == 1)
    result = np.full(count, common)
    for label in range(count):
        rows = known[:, label]
        positives = int((truth[rows, label] == 1).sum())
        if positives:
            own = best_threshold(values[rows, label], truth[rows, label] == 1)
            result[label] = (positives * own + settings.shrink * common) / (positives + settings.shrink)
    clipped: Floats = np.clip(np.round(result, DIGITS), LOWEST, HIGHEST).astype(np.float32)
    return clipped


def best_threshold(values: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """The threshold (predict where ``value >= threshold``) with the best F1; 0.5 without positives.

    Candidates are those of ``Cuts``; of equals the nearest to 0.5 wins.
    """
    if not truth.any():
        return 0.5
    cuts = Cuts.of(values, truth)
    return cuts.best(2 * cuts.hits / (cuts.positives + cuts.predicted))


def thresholds_to_dict(
    thresholds: Floats, settings: ThresholdSettings, space: LabelSpace, worth: GroupWorth | None = None
) -> dict[str, Any]:
    """The form stored in a bundle; rules that are not used are left out, and costs and weights where groups have none."""
    values = {name: round(float(value), DIGITS) for name, value in zip(space.independent, thresholds, strict=True)}
    unused = {name for name in ("parents", "forbidden", "band") if not getattr(settings, name)}
    found = {"values": values, "settings": settings.model_dump(mode="json", exclude=unused)}
    return {**found, **worth.to_dict()} if worth else found
