"""Where the cut of a new label belongs: seen from all rows that can place it, not from the few dev rows that have the label."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from duobiao.labels import LabelSpace, Targets
from duobiao.postprocess.probabilities import Floats, probabilities
from duobiao.postprocess.thresholds import best_threshold
from duobiao.train.column import best_cut


def steps_to_threshold(
    true: Mapping[str, npt.NDArray[np.floating]], logits: Floats, cells: Targets, space: LabelSpace
) -> dict[str, float]:
    """What brings the best cut of each new independent label to the threshold that is best for the old ones together.

    A file that is made for a label is half full of it, the rows to come are not, and the few dev rows that have it cannot place
    a threshold. Many more rows can: dev rows without the label tell how often a cut errs; new rows with it tell how much it
    finds; the dev rows' share of the label weighs the two.

    Args:
        true: Logits of new rows that have each new label, best from fits that had not seen them.
        logits: The new model's logits of the dev rows, calibrated where the old ones are, ``(rows, labels)``.
        cells: Truth of the dev rows, which know the new labels, ``(rows, labels)``.
        space: The grown label space.

    Returns:
        What is to be added to the bias of each new label.
    """
    free = [place for place, name in enumerate(space.independent) if name not in true]
    known = cells[:, free] >= 0
    values = probabilities(logits, space)[:, free][known].astype(np.float64)
    common = best_threshold(values, cells[:, free][known] == 1) if len(values) else 0.5
    steps = {}
    for name, own in true.items():
        scores, truth = logits[:, space.index[name]], cells[:, space.index[name]]
        share = ((truth == 1).sum() + 0.5) / ((truth >= 0).sum() + 1)
        cut = best_cut(np.concatenate([own, scores[truth == 1]]), scores[truth == 0], float(share))
        steps[name] = float(logit(common)) - cut
    return steps
