"""Logits to probabilities, by the rules of the label space."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from duobiao.labels import LabelSpace

Floats = npt.NDArray[np.float32]


def probabilities(logits: npt.NDArray[np.floating], space: LabelSpace) -> Floats:
    """Sigmoid for independent labels, softmax inside each group.

    In an ``at_most_one`` group "none of them" takes part with logit 0, so the group's probabilities may sum to less than 1.

    Args:
        logits: Shape ``(rows, labels)``.
        space: The label space.

    Returns:
        Probabilities, shape ``(rows, labels)``.
    """
    values = np.asarray(logits, dtype=np.float64)
    result = np.empty_like(values)
    free = len(space.independent)
    result[:, :free] = 0.5 * (1.0 + np.tanh(0.5 * values[:, :free]))
    if space.groups:
        part = values[:, free:]
        top = np.maximum.reduceat(part, space.starts, axis=1)
        if space.at_most_one.any():
            top = np.where(space.at_most_one, np.maximum(top, 0.0), top)
        powers = np.exp(part - top[:, space.owners])
        total = np.add.reduceat(powers, space.starts, axis=1)
        if space.at_most_one.any():
            total = total + np.where(space.at_most_one, np.exp(-np.maximum(top, 0.0)), 0.0)
        result[:, free:] = powers / total[:, space.owners]
    return result.astype(np.float32)
