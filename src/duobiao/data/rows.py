"""A row of data, and how many rows become cells."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from duobiao.errors import DataError
from duobiao.labels import LabelSpace, Targets


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


def content_digest(text: str, context: str | None) -> str:
    """A 128-bit name of what a model sees of a row: the same text in the same context has the same name."""
    seen = ("" if context is None else "\x01" + context) + "\x00" + text
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
        where = row.source or f"row {row.id}"
        if row.labels is None:
            problems.append(f"{where}: has no labels")
            continue
        found = space.problems(row.labels, row.unknown, row.context)
        problems += [f"{where}: {problem}" for problem in found]
        if not found:
            cells[number] = space.encode(row.labels, row.unknown, row.context)
    if problems:
        raise DataError(
            f"{len(problems)} problems between the rows and the label space",
            hint="correct the rows, or add the label to the label space file and pass it with --labels",
            problems=problems,
        )
    return cells


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
