"""Rows that need a person: each answer once a node, the most informative first, as a workbook, CSV or JSONL."""

from __future__ import annotations

import csv
import io
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from duobiao.data.excel_cells import LONGEST, escaped, text_cell
from duobiao.data.rows import Row
from duobiao.data.varied import unlike_first
from duobiao.data.write import write_text, written_beside
from duobiao.data.write_rows import write_records
from duobiao.errors import DataError, MissingExtraError
from duobiao.labels import LabelSpace, Mask

COLUMNS = ("id", "context", "text", "labels", "suggestion", "score", "count", "group_id")
ENDINGS = (".xlsx", ".csv", ".jsonl")
_WIDTHS = (22, 14, 60, 24, 24, 8, 8, 18)
_MOST_ROWS = 1_048_575
_STEP = 0.05


class Model(Protocol):
    """What can say how sure it is: a ``Classifier``."""

    @property
    def space(self) -> LabelSpace: ...

    def decide(self, texts: Sequence[str], context: Sequence[str | None], label: str = "") -> tuple[Any, Mask]:
        """Probabilities (NaN where a label is not asked) and decisions, each of shape ``(rows, labels)``."""
        ...


@dataclass
class TodoItem:
    """One thing to decide.

    Attributes:
        row: The first row with this text at this node.
        node: The node it answers; None if there is none.
        count: How many rows are alike.
        choices: Labels that may be given; empty if nobody asks anything here.
        suggestion: The model's labels.
        score: How open the model finds it, 0 to 1; None without a model or a question.
    """

    row: Row
    node: str | None
    count: int = 1
    choices: tuple[str, ...] = ()
    suggestion: tuple[str, ...] = ()
    score: float | None = None


def openness(proba: Any, space: LabelSpace) -> Any:
    """How open the most open question of each row is: uncertainty sampling by entropy (Settles 2009, section 3.1).

    An independent label counts with the entropy of yes and no, a group with that of its labels (in an ``at_most_one`` group of
    "none" too), each divided by the largest entropy that it could have.

    Args:
        proba: Probabilities, shape ``(rows, labels)``; NaN where a label is not asked.
        space: The label space.

    Returns:
        Shape ``(rows,)``, 0 to 1; NaN where nothing is asked.
    """
    proba = np.asarray(proba, dtype=np.float64)
    parts = [_entropy(np.stack([proba[:, at], 1 - proba[:, at]], axis=1)) for at in range(len(space.independent))]
    for group, columns in zip(space.groups, space.slices, strict=True):
        shares = proba[:, columns]
        if group.at_most_one:
            shares = np.concatenate([shares, 1 - shares.sum(axis=1, keepdims=True)], axis=1)
        parts.append(_entropy(shares))
    every = np.stack(parts, axis=1)
    best = np.max(np.nan_to_num(every, nan=-1.0), axis=1)
    return np.where(best < 0, np.nan, best)


def _entropy(shares: Any) -> Any:
    """Entropy of each row, divided by that of equal shares."""
    shares = np.clip(shares, 1e-12, 1.0)
    return np.clip(-(shares * np.log(shares)).sum(axis=1) / np.log(shares.shape[1]), 0.0, 1.0)


def rank(items: list[TodoItem], nodes: Sequence[str], model: Model | None) -> list[TodoItem]:
    """Orders items: with a model the most open first, otherwise by node and the most frequent first.

    Items that nobody asks anything of come last. With a model, its suggestions and scores are filled in; of items that are
    about as open (a step of ``_STEP``), those come first that are unlike the ones before them at their node.
    """
    if model is not None and items:
        proba, chosen = model.decide([item.row.text for item in items], [item.row.context for item in items], "to do")
        scores = openness(proba, model.space)
        for item, score, decided in zip(items, scores.tolist(), chosen, strict=True):
            if score == score:
                item.score = round(score, 4)
                item.suggestion = tuple(model.space.names[at] for at in np.flatnonzero(decided))
    place = {name: number for number, name in enumerate(nodes)}

    def key(item: TodoItem) -> tuple[bool, float, int, int]:
        return not item.choices, -(item.score or 0.0), place.get(item.node or "", len(place)), -item.count

    ranked = sorted(items, key=key)
    return ranked if model is None else _varied(ranked)


def _varied(ranked: Sequence[TodoItem]) -> list[TodoItem]:
    found: list[TodoItem] = []
    seen: set[tuple[Hashable, str]] = set()
    for _, same in groupby(ranked, key=lambda item: (not item.choices, -(item.score or 0.0) // _STEP)):
        alike = list(same)
        found += [alike[at] for at in unlike_first([(item.node, item.row.text) for item in alike], seen)]
    return found


def write_todo(path: Path, items: Sequence[TodoItem]) -> None:
    """Writes items; the ending of the path names the format.

    Raises:
        DataError: If the format is none of ``ENDINGS``, a workbook cannot hold them, or the place cannot be written.
        MissingExtraError: If openpyxl is needed and not installed.
    """
    if path.suffix.lower() == ".xlsx":
        _write_workbook(path, items)
    elif path.suffix.lower() == ".csv":
        table = io.StringIO()
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_cells(item) for item in items)
        write_text(path, ("\ufeff", table.getvalue()))  # the mark tells Excel that it is UTF-8
    else:
        write_records(path, map(_record, items))


def check_fits(path: Path, items: Sequence[TodoItem]) -> None:
    """Refuses what a workbook would cut off.

    Raises:
        DataError: Naming what is too long.
    """
    if path.suffix.lower() != ".xlsx":
        return
    long = [item.row.id for item in items if any(len(escaped(str(cell))) > LONGEST for cell in _cells(item).values())]
    problems = [f"row {name}: longer than the {LONGEST} characters of an Excel cell" for name in long]
    if len(items) > _MOST_ROWS:
        problems.append(f"{len(items)} rows, but a sheet has {_MOST_ROWS}")
    if problems:
        raise DataError(f"{path}: a workbook cannot hold the rows", hint="write .jsonl or .csv", problems=problems)


def _cells(item: TodoItem) -> dict[str, Any]:
    row = item.row
    values = (row.id, row.context or "", row.text, "", ",".join(item.suggestion), item.score, item.count, row.group_id or "")
    return dict(zip(COLUMNS, values, strict=True))


def _record(item: TodoItem) -> dict[str, Any]:
    """Without the key ``labels``, which would say that none is true."""
    record = {**_cells(item), "suggestion": list(item.suggestion), "context": item.row.context}
    del record["labels"]
    return {key: value for key, value in record.items() if value is not None}


def _write_workbook(path: Path, items: Sequence[TodoItem]) -> None:
    """One sheet of rows, with a drop-down list of labels in each cell to fill in, and one sheet of those labels."""
    try:
        import openpyxl
        from openpyxl.styles import Alignment, Font
        from openpyxl.utils import get_column_letter
    except ImportError as error:
        raise MissingExtraError("openpyxl", "tables") from error
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "rows"
    sheet.append(COLUMNS)
    for number, item in enumerate(items, 2):
        for column, value in enumerate(_cells(item).values(), 1):
            text_cell(sheet.cell(number, column), value)
        sheet.cell(number, 3).alignment = Alignment(wrap_text=True, vertical="top")
    for column, width in enumerate(_WIDTHS, 1):
        sheet.column_dimensions[get_column_letter(column)].width = width
        sheet.cell(1, column).font = Font(bold=True)
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions
    _add_choices(book, sheet, items)
    with written_beside(path) as beside:
        book.save(beside)


def _add_choices(book: Any, sheet: Any, items: Sequence[TodoItem]) -> None:
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    lists = book.create_sheet("labels")
    rules: dict[tuple[str, ...], Any] = {}
    number = 2
    for choices, same in groupby(items, key=lambda item: item.choices):
        first, number = number, number + len(list(same))
        if not choices:
            continue
        if choices not in rules:
            letter = get_column_letter(len(rules) + 1)
            for at, label in enumerate(choices, 1):
                text_cell(lists[f"{letter}{at}"], label)
            # Several labels may be written into one cell, so other entries than those of the list are let through.
            rules[choices] = DataValidation("list", f"labels!${letter}$1:${letter}${len(choices)}", showErrorMessage=False)
            sheet.add_data_validation(rules[choices])
        rules[choices].add(f"D{first}:D{number - 1}")


def choices_by_node(
    nodes: Mapping[str, str], labels: Mapping[str, Sequence[str]], space: LabelSpace | None
) -> dict[str, tuple[str, ...]]:
    """The labels that answers to each node may get.

    Args:
        nodes: Context by node.
        labels: Labels of the flow's edges by node; they count where there is no label space.
        space: The label space.
    """
    if space is None:
        return {name: tuple(dict.fromkeys(labels.get(name, ()))) for name in nodes}
    asked = space.asked(list(nodes.values()))
    return {name: tuple(space.names[at] for at in np.flatnonzero(row)) for name, row in zip(nodes, asked, strict=True)}
