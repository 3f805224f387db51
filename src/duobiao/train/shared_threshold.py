"""Where the cut of a new label belongs: seen from all rows that can place it, not from the few dev rows that have the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from duobiao.classifier import Classifier
from duobiao.data.rows import Row, model_inputs, targets
from duobiao.labels import LabelSpace
from duobiao.postprocess.probabilities import Floats
from duobiao.postprocess.thresholds import best_threshold
from duobiao.train.column import best_cut


def steps_to_threshold(
    old: Classifier, true: Mapping[str, npt.NDArray[np.floating]], logits: Floats, dev: Sequence[Row], space: LabelSpace
) -> dict[str, float]:
    """What brings the best cut of each new independent label to the threshold that is best for the old ones together.

    A file that is made for a label is half full of it, the rows to come are not, and the few dev rows that have it cannot place
    a threshold. Many more rows can: dev rows without the label tell how often a cut errs; new rows with it tell how much it
    finds; the dev rows' share of the label weighs the two.

    Args:
        old: The model before.
        true: Logits of new rows that have each new label, best from fits that had not seen them.
        logits: The new model's logits of the dev rows, ``(rows, labels)``.
        dev: Dev rows, which know the new labels.
        space: The grown label space.

    Returns:
        What is to be added to the bias of each new label.
    """
    cells, common = targets(dev, space), _common_threshold(old, dev, space)
    steps = {}
    for name, own in true.items():
        scores, truth = logits[:, space.index[name]], cells[:, space.index[name]]
        share = ((truth == 1).sum() + 0.5) / ((truth >= 0).sum() + 1)
        cut = best_cut(np.concatenate([own, scores[truth == 1]]), scores[truth == 0], float(share))
        steps[name] = float(logit(common)) - cut
    return steps


def _common_threshold(old: Classifier, dev: Sequence[Row], space: LabelSpace) -> float:
    names = [name for name in old.space.independent if name in space.index]
    if not names:
        return 0.5
    cells = targets(dev, space)[:, [space.index[name] for name in names]]
    proba = old.predict_proba(**model_inputs(dev, old.columns))[:, [old.space.index[name] for name in names]]
    known = cells >= 0
    return best_threshold(proba[known].astype(np.float64), cells[known] == 1)
