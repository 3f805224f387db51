"""A row of data, and how many rows become cells."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from duobiao.errors import DataError
from duobiao.labels import LabelSpace, Targets

Numeric = Mapping[str, Sequence[float | None]]
"""Columns of numbers by name, one entry a row; None where there is none."""
Contexts = Sequence[str | None] | None
"""What each text answers to; None where it answers to nothing."""
LARGEST = 1e15
"""The largest number that a column of numbers may hold."""
LABELS_COLUMN = (
    "give each row its labels: in a column 'labels' (empty where none is true; --columns labels=... names another), "
    "or in one 0/1 column a label"
)
"""What to do about rows without labels."""
_BLANK = {"", "nan", "none", "null", "?"}


@dataclass(frozen=True, slots=True)
class Row:
    """One text to classify.

    Attributes:
        id: The row's name; its number in the file when the file gives none.
        text: What was said or written (in the mission's words P, the answer).
        context: What it answers to: the dialogue node, the product line (X, the node category).
        labels: True labels; None where the file carries no labels at all.
        unknown: Labels or groups whose truth nobody knows for this row.
        group_id: Rows of one dialogue or document; never split across train and test.
        extra: Further columns, kept as they are.
        source: ``file:row``, for messages.
    """

    id: str
    text: str
    context: str | None = None
    labels: tuple[str, ...] | None = None
    unknown: tuple[str, ...] = ()
    group_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


def content_digest(text: str, context: str | None, numbers: Sequence[float | None] = ()) -> str:
    """A 128-bit name of what a model sees of a row: the same text in the same context, with the same numbers."""
    seen = ("" if context is None else "\x01" + context) + "\x00" + text
    seen += "".join(f"\x02{number!r}" for number in numbers)
    return hashlib.blake2b(seen.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def rows_digest(rows: Sequence[Row]) -> str:
    """A name of rows with their labels, in order."""
    digest = hashlib.sha256()
    for row in rows:
        truth = "\x00".join([*sorted(row.labels or ()), "\x01", *sorted(row.unknown)]) if row.labels is not None else "\x02"
        digest.update(f"{content_digest(row.text, row.context)}{truth}\x03".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def targets(rows: Sequence[Row], space: LabelSpace) -> Targets:
    """The cells of labelled rows: 1, 0, UNKNOWN or UNASKED; shape ``(rows, labels)``.

    Raises:
        DataError: Naming every row that has no labels, or labels that do not fit the space.
    """
    cells = np.zeros((len(rows), len(space)), dtype=np.int8)
    problems: list[str] = []
    for number, row in enumerate(rows):
        if row.labels is None:
            problems.append(_unlabelled(row))
            continue
        found = space.problems(row.labels, row.unknown, row.context)
        problems += [f"{_where(row)}: {problem}" for problem in found]
        if not found:
            cells[number] = space.encode(row.labels, row.unknown, row.context)
    bare = sum(row.labels is None for row in rows)
    if len(problems) > bare:
        hint = "correct the labels of these rows, so that they fit the label space"
        raise DataError(
            f"{len(problems)} problems between the rows and the label space",
            hint=f"{hint}; {LABELS_COLUMN}" if bare else hint,
            problems=problems,
        )
    if bare:
        check_labelled(rows)
    return cells


def check_labelled(rows: Sequence[Row]) -> None:
    """Refuses rows that carry no labels at all; a row of which no label is true carries an empty list of them.

    Raises:
        DataError: Naming each.
    """
    problems = [_unlabelled(row) for row in rows if row.labels is None]
    if problems:
        raise DataError(f"{len(problems)} rows have no labels", hint=LABELS_COLUMN, problems=problems)


def _unlabelled(row: Row) -> str:
    return f"{_where(row)}: has no labels"


def _where(row: Row) -> str:
    return row.source or f"row {row.id}"


def numeric_columns(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[float | None]]:
    """Columns of numbers from the further columns of rows.

    Raises:
        DataError: If a column is in no row, or naming every cell that is no number.
    """
    problems = [f"there is no column {name!r}" for name in names if rows and not any(name in row.extra for row in rows)]
    found: dict[str, list[float | None]] = {}
    for name in names:
        found[name] = []
        for row in rows:
            value = row.extra.get(name)
            number = _number(value)
            if number is not None and not isfinite(number):
                problems.append(f"{_where(row)}: column {name!r} holds {value!r}, which is no usable number")
                number = None
            found[name].append(number)
    if problems:
        raise DataError(
            f"{len(problems)} problems with columns of numbers",
            hint=f"this model reads {', '.join(names)} beside the text; write numbers, and leave a cell blank where unknown",
            problems=problems,
        )
    return found


def _number(value: Any) -> float | None:
    """The number in a cell; None where it is blank, infinite where it holds something else."""
    if isinstance(value, str):
        if value.strip().lower() in _BLANK:
            return None
        try:
            value = float(value)
        except ValueError:
            return float("inf")
    if value is None or value != value:
        return None
    if isinstance(value, (list, tuple)):  # earlier turns: how many there are
        return float(len(value))
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return float("inf")
    return number if abs(number) <= LARGEST else float("inf")


def model_inputs(rows: Sequence[Row], columns: Sequence[str] = ()) -> dict[str, Any]:
    """What a classifier is given of rows: ``texts``, ``context`` and, where the model reads columns of numbers, ``numeric``.

    Raises:
        DataError: As in ``numeric_columns``.
    """
    found: dict[str, Any] = {"texts": [row.text for row in rows], "context": [row.context for row in rows]}
    return {**found, "numeric": numeric_columns(rows, columns)} if columns else found


def text_pairs(texts: Sequence[str], context: Contexts) -> list[tuple[str, str | None]]:
    """Texts with what they answer to.

    Raises:
        DataError: If either is a single string, or there are not as many of both.
    """
    if isinstance(texts, str) or isinstance(context, str):
        raise DataError("texts and context are lists of strings, not a string", hint='write predict(["..."])')
    if context is not None and len(context) != len(texts):
        raise DataError(f"{len(texts)} texts, but {len(context)} contexts", hint="give one context (or None) a text")
    return [(text, None if context is None else (context[number] or None)) for number, text in enumerate(texts)]


def check_labels(rows: Sequence[Row], space: LabelSpace, owner: str) -> None:
    """Refuses rows with labels that a model does not know, naming each label once and not each row.

    Args:
        rows: Labelled rows.
        space: The model's label space.
        owner: The model, in messages.

    Raises:
        DataError: Naming the labels that only the rows have, and those that only the model has.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        for label in row.labels or ():
            found.setdefault(label, []).append(row)
    foreign = [label for label in found if label not in space.index]
    if not foreign:
        return
    problems = [
        f"only in the rows: {label!r} ({len(found[label])} rows, first {found[label][0].source or found[label][0].id})"
        for label in foreign
    ]
    problems += [f"only in {owner}: {label!r}" for label in space.names if label not in found]
    raise DataError(
        f"the rows have {len(foreign)} labels that {owner} does not know",
        hint="train a teacher on these labels, or correct the rows",
        problems=problems,
    )


def check_texts(rows: Sequence[Row], purpose: str) -> None:
    """Refuses rows that nothing can be learned from or scored on.

    Raises:
        DataError: If there are no rows, or naming every row whose text is empty.
    """
    if not rows:
        raise DataError(f"there are no rows for {purpose}", hint="give a file with at least one row")
    problems = [f"{row.source or row.id}: the text is empty" for row in rows if not row.text.strip()]
    if problems:
        raise DataError(
            f"{len(problems)} rows for {purpose} have no text", hint="fill in or delete these rows", problems=problems
        )
