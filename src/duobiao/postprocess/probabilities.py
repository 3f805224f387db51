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
    free = slice(0, len(space.independent))
    result[:, free] = 0.5 * (1.0 + np.tanh(0.5 * values[:, free]))
    for group, columns in zip(space.groups, space.slices, strict=True):
        part = values[:, columns]
        top = part.max(axis=1, keepdims=True)
        if group.at_most_one:
            top = np.maximum(top, 0.0)
        powers = np.exp(part - top)
        total = powers.sum(axis=1, keepdims=True)
        if group.at_most_one:
            total = total + np.exp(-top)
        result[:, columns] = powers / total
    return result.astype(np.float32)
