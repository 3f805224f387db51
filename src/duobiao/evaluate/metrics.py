"""Exact metrics over known cells only.

Convention for undefined ratios: scikit-learn's ``zero_division=0``. A label without positives and without predictions in the
scored rows has F1 0 and counts in the macro average; a label none of whose cells is known is left out of it. A row without
true and predicted labels has samples-F1 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.labels import LabelSpace, Mask, Targets


def score(cells: Targets, decided: Mask, space: LabelSpace) -> dict[str, Any]:
    """All metrics of decisions against truth.

    Args:
        cells: Truth, shape ``(rows, labels)``: 1, 0, or negative where unknown or unasked.
        decided: Decisions, shape ``(rows, labels)``.
        space: The label space.

    Returns:
        ``rows, micro_f1, macro_f1, weighted_f1, samples_f1, subset_accuracy, hamming_loss, groups.{name}.{accuracy, rows},
        group_accuracy, per_label.{label}.{precision, recall, f1, support}``. ``weighted_f1`` weighs labels by their known
        positives. Where nothing is known, averages over rows, labels and groups are None; ``micro_f1`` and the ratios of a
        label are 0.
    """
    known = cells >= 0
    truth = (cells == 1) & known
    guess = decided & known
    hits = truth & guess
    tp, actual, predicted = hits.sum(0), truth.sum(0), guess.sum(0)
    f1 = ratio(2 * tp, actual + predicted)
    scored = known.any(axis=0)
    rows = known.any(axis=1)
    right = ((truth == guess) | ~known).all(axis=1)
    groups, group_right, group_rows = _groups(truth, guess, known, space)
    samples = ratio(2 * hits.sum(1), truth.sum(1) + guess.sum(1))
    return {
        "rows": len(cells),
        "micro_f1": _share(2 * int(tp.sum()), int(actual.sum() + predicted.sum())),
        "macro_f1": float(f1[scored].mean()) if scored.any() else None,
        "weighted_f1": float(f1 @ actual / max(int(actual.sum()), 1)) if scored.any() else None,
        "samples_f1": float(samples[rows].mean()) if rows.any() else None,
        "subset_accuracy": float(right[rows].mean()) if rows.any() else None,
        "hamming_loss": _share(int((truth != guess).sum()), int(known.sum())) if known.any() else None,
        "groups": groups,
        "group_accuracy": _share(group_right, group_rows) if group_rows else None,
        "per_label": {
            name: {
                "precision": _share(int(tp[i]), int(predicted[i])),
                "recall": _share(int(tp[i]), int(actual[i])),
                "f1": float(f1[i]),
                "support": int(actual[i]),
            }
            for i, name in enumerate(space.names)
        },
    }


def micro_f1(cells: Targets, decided: Mask) -> float:
    """Micro-F1 over known cells of all labels, the ones in groups included."""
    hits, marks = marked(cells, decided)
    return _share(2 * int(hits.sum()), int(marks.sum()))


def marked(cells: Targets, decided: Mask) -> tuple[Mask, npt.NDArray[np.int8]]:
    """What F1 is made of: hits, and true plus said, 0 to 2, of each cell, ``(rows, labels)``; 0 where the truth is unknown."""
    truth, said = cells == 1, decided & (cells >= 0)
    return truth & said, truth.astype(np.int8) + said


def ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any], nothing: float = 0.0) -> npt.NDArray[np.float64]:
    """Parts of wholes, and ``nothing`` where the whole is 0."""
    out = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), nothing)
    found: npt.NDArray[np.float64] = np.divide(part, whole, out=out, where=whole > 0)
    return found


def _groups(truth: Mask, guess: Mask, known: Mask, space: LabelSpace) -> tuple[dict[str, Mapping[str, Any]], int, int]:
    found: dict[str, Mapping[str, Any]] = {}
    right_sum = rows_sum = 0
    for group, columns in zip(space.groups, space.slices, strict=True):
        rows = known[:, columns].all(axis=1)
        right = int((truth[rows, columns] == guess[rows, columns]).all(axis=1).sum())
        total = int(rows.sum())
        found[group.name] = {"accuracy": right / total if total else None, "rows": total}
        right_sum, rows_sum = right_sum + right, rows_sum + total
    return found, right_sum, rows_sum


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
