"""Which label of a group is taken for which."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.labels import LabelSpace, Mask, Targets

NONE = "(none)"
"""The class of rows of which no label of the group is true, or none was decided."""


def confusions(cells: Targets, decided: Mask, space: LabelSpace) -> dict[str, dict[str, Any]]:
    """A confusion matrix for each group, over the rows in which the group is known.

    Args:
        cells: Truth, ``(rows, labels)``; a row with a negative cell in the group is left out.
        decided: Decisions, ``(rows, labels)``.
        space: The label space.

    Returns:
        By group ``labels``, the names of the classes, and ``confusion``, rows by ``[true class][decided class]``. Where a group
        may have no label (``at_most_one``), or has been given none, the last class is ``(none)``.
    """
    found = {}
    for group, columns in zip(space.groups, space.slices, strict=True):
        known = (cells[:, columns] >= 0).all(axis=1)
        truth, said = _classes(cells[known, columns] == 1), _classes(decided[known, columns])
        size = len(group.labels)
        if group.at_most_one or (truth == size).any() or (said == size).any():
            size += 1
        matrix = np.bincount(truth * size + said, minlength=size * size).reshape(size, size)
        found[group.name] = {"labels": [*group.labels, NONE][:size], "confusion": matrix.tolist()}
    return found


def _classes(chosen: Mask) -> npt.NDArray[np.int64]:
    """The column that holds in each row; the number of columns where none does."""
    found: npt.NDArray[np.int64] = np.where(chosen.any(axis=1), chosen.argmax(axis=1), chosen.shape[1]).astype(np.int64)
    return found
