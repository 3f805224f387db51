"""Where the cut of a new label belongs: seen from all rows that can place it, not from the few dev rows that have the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import logit

from duobiao.classifier import Classifier
from duobiao.data.rows import Row, model_inputs, targets
from duobiao.labels import LabelSpace
from duobiao.postprocess.thresholds import best_threshold
from duobiao.train.column import Column, best_cut
from duobiao.train.grow import read_inputs


def steps_to_threshold(
    old: Classifier, columns: Mapping[str, Column], train: Sequence[Row], dev: Sequence[Row], space: LabelSpace
) -> dict[str, float]:
    """What brings the best cut of each new independent label to the threshold that is best for the old ones together.

    A file that is made for a label is half full of it, the rows to come are not, and the few dev rows that have it cannot place
    a threshold. Many more rows can: dev rows without the label tell how often a cut errs; new rows with it, scored by fits that
    had not seen them, tell how much it finds; the dev rows' share of the label weighs the two.

    Args:
        old: The model before.
        columns: The fitted output row of each new label.
        train: Rows that they were fitted on.
        dev: Dev rows, which know the new labels.
        space: The grown label space.

    Returns:
        What is to be added to the bias of each new label.
    """
    cells, fitted = targets(dev, space), targets(train, space)
    common = _common_threshold(old, dev, space)
    inputs = read_inputs(old, dev)
    steps = {}
    for name, column in columns.items():
        own, seen = cells[:, space.index[name]], fitted[:, space.index[name]]
        scores = np.asarray(inputs @ column.weights) + column.bias
        true = np.concatenate([column.held_out[seen[seen >= 0] == 1], scores[own == 1]])
        share = ((own == 1).sum() + 0.5) / ((own >= 0).sum() + 1)
        steps[name] = float(logit(common)) - best_cut(true, scores[own == 0], float(share))
    return steps


def _common_threshold(old: Classifier, dev: Sequence[Row], space: LabelSpace) -> float:
    names = [name for name in old.space.independent if name in space.index]
    if not names:
        return 0.5
    cells = targets(dev, space)[:, [space.index[name] for name in names]]
    proba = old.predict_proba(**model_inputs(dev, old.columns))[:, [old.space.index[name] for name in names]]
    known = cells >= 0
    return best_threshold(proba[known].astype(np.float64), cells[known] == 1)
