"""The wrong decisions that a model was surest of, and the words that led it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao import progress
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, model_inputs
from duobiao.evaluate.evaluation import Judged
from duobiao.explain import explain
from duobiao.labels import LabelSpace

MOST = 20


@dataclass(frozen=True)
class Mistake:
    """A wrong decision.

    Attributes:
        row: Its number among the judged rows.
        label: The label whose words are asked: the one that is wrong, or what a group was answered with (where it was not
            answered: its true label).
        true: What is true: the label, or None.
        decided: What was decided: the label, or None.
        sureness: The probability that the model left for everything but the truth, 0 to 1.
    """

    row: int
    label: str
    true: str | None
    decided: str | None
    sureness: float


def mistakes(judged: Judged, space: LabelSpace, most: int = MOST) -> list[Mistake]:
    """The surest wrong decisions, the surest first, one a row; unknown and unasked cells are no mistakes."""
    found = [*_independent(judged, space), *_groups(judged, space)]
    worst: dict[int, Mistake] = {}
    for mistake in sorted(found, key=lambda one: (-one.sureness, one.row, space.index[one.label])):
        worst.setdefault(mistake.row, mistake)
        if len(worst) == most:
            break
    return list(worst.values())


def explained(classifier: Classifier, rows: Sequence[Row], found: Sequence[Mistake]) -> list[dict[str, Any]]:
    """Mistakes with their row and, as ``words``, what each word does for the label; see ``duobiao.explain``."""
    shown = []
    numbers = model_inputs(rows, classifier.columns).get("numeric", {})
    with progress.task("words of the worst errors", len(found)) as task:
        for mistake in found:
            row = rows[mistake.row]
            numeric = {name: [values[mistake.row]] for name, values in numbers.items()} or None
            words = explain(classifier, row.text, row.context, [mistake.label], numeric)[mistake.label]
            shown.append({"mistake": mistake, "row": row, "words": words})
            task.advance()
    return shown


def _independent(judged: Judged, space: LabelSpace) -> list[Mistake]:
    count = len(space.independent)
    cells, decided = judged.cells[:, :count], judged.decided[:, :count]
    wrong = (cells >= 0) & ((cells == 1) != decided)
    found = []
    for row, column in np.argwhere(wrong).tolist():
        name, proba = space.names[column], float(judged.probabilities[row, column])
        said = bool(decided[row, column])
        found.append(Mistake(row, name, None if said else name, name if said else None, proba if said else 1 - proba))
    return found


def _groups(judged: Judged, space: LabelSpace) -> list[Mistake]:
    found = []
    for columns in space.slices:
        cells, decided = judged.cells[:, columns], judged.decided[:, columns]
        names = space.names[columns]
        wrong = (cells >= 0).all(axis=1) & ((cells == 1) != decided).any(axis=1)
        for row in np.flatnonzero(wrong).tolist():
            proba = judged.probabilities[row, columns].astype(np.float64)
            truth, said = np.flatnonzero(cells[row] == 1), np.flatnonzero(decided[row])
            left = 1 - float(proba[truth[0]]) if len(truth) else float(proba.sum())
            true, answer = (names[at[0]] if len(at) else None for at in (truth, said))
            found.append(Mistake(row, str(answer or true), true, answer, left))
    return found
