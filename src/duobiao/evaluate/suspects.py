"""Labels that are probably wrong: cells against which a model that never saw them is sure.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068): a given answer is suspect where another answer is at
least as probable as it typically is among the rows that carry it (section 3.1, the confident joint). Independent labels are
judged one by one, as yes or no (Thyagarajan et al. 2022, arXiv 2211.13895); an exclusive group is judged as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao.data.rows import Row
from duobiao.data.write_rows import row_record
from duobiao.labels import LabelSpace, Targets
from duobiao.postprocess.probabilities import Floats

SURE = 0.95
"""A probability that is always sure enough: where the mean of an answer lies above it, many errors would stay below."""
ADDED = ("suggestion", "score", "suspects")
"""What the record of a suspect row has beyond the row."""
MIN_ROWS = 5
"""An answer that fewer rows carry is not suggested, and not suspected."""


@dataclass(frozen=True)
class Suspect:
    """An answer that is probably wrong.

    Attributes:
        row: Its number among the judged rows.
        decision: The label or group that is asked.
        given: The answer that the row has: labels, or none.
        suggested: The answer that the model is sure of.
        probability: Of the given answer.
        typical: The mean probability of that answer among rows that carry it.
    """

    row: int
    decision: str
    given: tuple[str, ...]
    suggested: tuple[str, ...]
    probability: float
    typical: float

    @property
    def score(self) -> float:
        """How sure the model is that the given answer is wrong, 0 to 1."""
        return 1 - self.probability


def find_suspects(cells: Targets, probabilities: Floats, space: LabelSpace) -> list[Suspect]:
    """Suspect answers, the most suspect first.

    With ``t_k`` the mean probability of answer k among rows that carry it, an answer g is suspect where another one k has
    ``p_k >= min(t_k, 0.95)`` and ``p_k > p_g``. They are ranked by ``p_g`` (self-confidence), the least probable first.

    Args:
        cells: Given labels, ``(rows, labels)``; negative cells are never suspect.
        probabilities: ``(rows, labels)``, of a model that did not learn from the row; NaN where it cannot tell.
        space: The label space.
    """
    found: list[Suspect] = []
    for column, name in enumerate(space.independent):
        proba = probabilities[:, column].astype(np.float64)
        answers = [(), (name,)]
        found += _of_decision(name, answers, np.stack([1 - proba, proba], axis=1), cells[:, column], cells[:, column] >= 0)
    for group, columns in zip(space.groups, space.slices, strict=True):
        proba, own = probabilities[:, columns].astype(np.float64), cells[:, columns]
        answers = [(name,) for name in group.labels]
        given = np.where((own == 1).any(axis=1), (own == 1).argmax(axis=1), len(answers))
        if group.at_most_one:
            proba = np.concatenate([proba, 1 - proba.sum(axis=1, keepdims=True)], axis=1)
            answers.append(())
        found += _of_decision(group.name, answers, proba, given, (own >= 0).all(axis=1))
    return sorted(found, key=lambda one: (-one.score, one.row))


def _of_decision(name: str, answers: Sequence[tuple[str, ...]], proba: Any, given: Any, known: Any) -> list[Suspect]:
    """Suspects of one decision; ``proba`` is ``(rows, answers)``, ``given`` the number of each row's answer."""
    rows = np.flatnonzero(known & ~np.isnan(proba).any(axis=1))
    proba, given = proba[rows], given[rows].astype(np.int64)
    counts = np.bincount(given, minlength=len(answers))
    own = proba[np.arange(len(rows)), given]
    typical = np.bincount(given, weights=own, minlength=len(answers)) / np.maximum(counts, 1)
    enough = np.where(counts < MIN_ROWS, np.inf, np.minimum(typical, SURE))
    sure = (proba >= enough) & (proba > own[:, None])
    best = np.where(sure, proba, -1.0).argmax(axis=1)
    hits = np.flatnonzero(sure.any(axis=1) & (counts[given] >= MIN_ROWS))
    return [
        Suspect(int(rows[at]), name, answers[given[at]], answers[best[at]], float(own[at]), float(typical[given[at]]))
        for at in hits.tolist()
    ]


def suspect_records(rows: Sequence[Row], found: Sequence[Suspect], most: int | None = None) -> list[dict[str, Any]]:
    """Suspect rows as objects of a JSONL file that ``annotate export`` and ``annotate import`` read; the most suspect first.

    Each is the row as it was, with ``suspects`` (what is doubted, and how much), ``suggestion`` (its labels with the suggested
    answers in place of the doubted ones) and ``score`` (that of the most suspect answer). A column of the row's own that has
    one of these names is written as ``NAME_``.

    Args:
        rows: The judged rows.
        found: As ``find_suspects`` returns them.
        most: Of so many rows at most.
    """
    by_row: dict[int, list[Suspect]] = {}
    for one in found:
        by_row.setdefault(one.row, []).append(one)
    records = []
    for number, own in list(by_row.items())[:most]:
        row = rows[number]
        doubted = {label for one in own for label in one.given}
        kept = [label for label in row.labels or () if label not in doubted]
        added = [label for one in own for label in one.suggested]
        records.append(
            {
                **row_record(row, ADDED),
                "suggestion": kept + added,
                "score": round(own[0].score, 4),
                "suspects": [
                    {
                        "decision": one.decision,
                        "given": list(one.given),
                        "suggested": list(one.suggested),
                        "probability": round(one.probability, 4),
                        "typical": round(one.typical, 4),
                    }
                    for one in own
                ],
            }
        )
    return records
