"""What scikit-learn calls y, as labels of rows under a label space, and back."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from duobiao.estimator.errors import InputError
from duobiao.labels import Group, LabelSpace, Mask

Form = Literal["classes", "indicator", "lists"]
GROUP = "y"
"""The exclusive group that a column of classes becomes."""


@dataclass(frozen=True)
class Truth:
    """Targets that were read.

    Attributes:
        space: The label space.
        labels: True labels of each row.
        unknown: Labels of each row whose truth nobody knows: cells of -1 in an indicator matrix.
        form: ``classes`` (one of each row, so one exclusive group), ``indicator`` or ``lists``.
        classes: What ``classes_`` is.
        columns: The column of ``classes`` that each label of the space is in.
        names: The names of all columns of an indicator matrix; else the labels.
    """

    space: LabelSpace
    labels: list[tuple[str, ...]]
    unknown: list[tuple[str, ...]]
    form: Form
    classes: npt.NDArray[Any]
    columns: npt.NDArray[np.int64]
    names: tuple[str, ...]

    def answers(self, decided: Mask) -> Any:
        """Decisions ``(rows, labels)`` in the form in which the truth was given."""
        full = self.spread(decided.astype(np.int64))
        if self.form == "classes":
            return self.classes[full.argmax(axis=1)]
        if self.form == "indicator":
            return full
        return [[str(self.classes[column]) for column in np.flatnonzero(row)] for row in full]

    def without_rows(self) -> Truth:
        """What is needed to answer."""
        return replace(self, labels=[], unknown=[])

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of labels in the columns of ``classes``; 0 for classes that had no true row to learn from."""
        full = np.zeros((len(values), len(self.classes)), dtype=values.dtype)
        full[:, self.columns] = values
        return full


def read_truth(y: Any, space: LabelSpace | None = None, like: Truth | None = None) -> Truth:
    """Reads targets.

    Args:
        y: An indicator matrix ``(rows, labels)`` of 0, 1 and -1 (unknown), whose columns are those of ``space`` or have the
            names of a DataFrame's; or a list of labels for each row; or one class for each row, ``(rows,)``, which under a
            given label space is a list of one label.
        space: The label space; None infers it.
        like: Targets that were read before: their label space counts, and an indicator matrix has their columns.

    Raises:
        InputError: If targets have another form.
        ValueError: As scikit-learn raises it for targets that are none of classes.
    """
    space = space if like is None else like.space
    if y is None:
        raise InputError("requires y to be passed, but the target y is None", hint="give the labels of the rows as y")
    if _is_lists(y):
        return _from_lists([tuple(map(str, one)) for one in y], space)
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] > 1:
        return _from_indicator(y, values, space, like)
    return _from_classes(values, space)


def column_names(y: Any) -> tuple[str, ...]:
    """The names of a DataFrame's columns; the numbers of the columns of another matrix."""
    return tuple(str(name) for name in getattr(y, "columns", range(np.shape(y)[1])))


def places_of(wanted: Sequence[str], y: Any) -> npt.NDArray[np.int64]:
    """The column of a matrix that holds each of the columns ``wanted``, ``(wanted,)``.

    A DataFrame's are found by their names. Where there are numbers alone, on either side, the order counts.

    Raises:
        InputError: If the matrix has other columns.
    """
    given = column_names(y)
    if hasattr(y, "columns") and sorted(wanted) == sorted(given):
        return np.array([given.index(name) for name in wanted], dtype=np.int64)
    if len(wanted) != len(given):
        raise InputError(
            f"y has {len(given)} columns, but the label space {len(wanted)} labels",
            hint="give a column for each label, in the order of the label space",
        )
    if all(list(names) != [str(number) for number in range(len(names))] for names in (wanted, given)):
        raise InputError(
            "y has other columns than the labels",
            hint="name each column after its label, or give an array whose columns are in the order of the label space",
            problems=[f"{name!r} is no label" for name in given if name not in wanted]
            + [f"there is no column {name!r}" for name in wanted if name not in given],
        )
    return np.arange(len(wanted))


def _is_lists(y: Any) -> bool:
    rows = y.tolist() if hasattr(y, "tolist") and getattr(y, "ndim", 1) == 1 else y
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        return False
    return all(isinstance(row, (list, tuple, set, frozenset)) and all(isinstance(one, str) for one in row) for row in rows)


def _from_lists(labels: list[tuple[str, ...]], space: LabelSpace | None) -> Truth:
    found = space or LabelSpace.infer(labels)
    classes = np.array(found.names, dtype=object)
    return Truth(found, labels, [()] * len(labels), "lists", classes, np.arange(len(found)), found.names)


def _from_indicator(y: Any, values: npt.NDArray[Any], space: LabelSpace | None, like: Truth | None) -> Truth:
    wrong = np.unique(values[~np.isin(values, (-1, 0, 1))])
    if len(wrong):
        raise InputError(
            f"y of the shape {values.shape} holds {', '.join(map(str, wrong[:5]))}",
            hint="an indicator matrix holds 1 (true), 0 (false) and -1 (unknown)",
        )
    names = column_names(y)
    if like is not None:
        space, kept = like.space, places_of(like.names, y)[like.columns]
    elif space is not None:
        kept = places_of(space.names, y)
        names = tuple(space.names[place] for place in np.argsort(kept))
    else:
        kept = np.flatnonzero((values == 1).any(axis=0))
        if len(kept) < len(names):
            empty = [name for column, name in enumerate(names) if column not in set(kept.tolist())]
            said = f"{len(empty)} labels have no true row and are never predicted: {', '.join(empty[:10])}"
            warnings.warn(said, UserWarning, stacklevel=4)
        if not len(kept):
            raise InputError("no cell of y is 1", hint="give rows for which labels are true")
        space = LabelSpace(tuple(names[column] for column in kept))
    used = values[:, kept]
    labels = [tuple(space.names[at] for at in np.flatnonzero(row == 1)) for row in used]
    unknown = [tuple(space.names[at] for at in np.flatnonzero(row == -1)) for row in used]
    return Truth(space, labels, unknown, "indicator", np.arange(values.shape[1]), kept, names)


def _from_classes(values: npt.NDArray[Any], space: LabelSpace | None) -> Truth:
    if values.ndim == 2:
        said = "A column-vector y was passed when a 1d array was expected."
        warnings.warn(said, DataConversionWarning, stacklevel=4)
    values = column_or_1d(values)
    if values.dtype.kind == "f":
        assert_all_finite(values, input_name="y")
    check_classification_targets(values)
    classes, places = np.unique(values, return_inverse=True)
    if len(classes) < 2:
        raise InputError(
            f"y holds one class, {', '.join(map(str, classes)) or 'none'}, in {len(values)} sample{'s' * (len(values) != 1)}",
            hint="give rows of two classes or more, or an indicator matrix",
        )
    names = tuple(str(name) for name in classes.tolist())
    labels: list[tuple[str, ...]] = [(names[place],) for place in places.tolist()]
    if space is not None:
        return _from_lists(labels, space)
    found = LabelSpace((), (Group(GROUP, names),))
    return Truth(found, labels, [()] * len(labels), "classes", classes, np.arange(len(found)), names)
