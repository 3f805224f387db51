"""What a process that computes does with a batch: decisions, explanations, depths, and a row that fails on its own."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from duobiao.answer import AnswerForm
from duobiao.classifier import Classifier
from duobiao.errors import DuobiaoError
from duobiao.explain import explain
from duobiao.halving import each_answered
from duobiao.routing.routes import Routes
from duobiao.serve.frames import to_json
from duobiao.serve.tokens import CountedEncoder

log = logging.getLogger("duobiao.serve.worker")
Row = Sequence[Any]
"""``[text, context, number of its options, numbers beside the text or None]``."""
FAILED = "the model failed on this row"


@dataclass
class Answered:
    """A batch, done.

    Attributes:
        rows: One JSON object a row, in order.
        failed: How many rows have an error instead of an answer.
        labels: How often each label was chosen.
        seconds: Time that the model took.
    """

    rows: list[bytes]
    failed: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Answering:
    """Answers batches with one classifier.

    Args:
        classifier: A loaded bundle.
        routes: Where rows go next; without, answers do not say.
    """

    def __init__(self, classifier: Classifier, routes: Routes | None = None) -> None:
        self.classifier, self.routes = classifier, routes
        self.tokens = CountedEncoder.around(classifier.backend)

    def answer(self, rows: Sequence[Row], options: Sequence[dict[str, Any]]) -> Answered:
        """Answers rows; where the model raises, the rows that it fails on are told alone."""
        began = time.perf_counter()
        found = Answered([])
        for one in each_answered(lambda places: self.answers([rows[place] for place in places], options), len(rows)):
            if isinstance(one, Exception):
                log.warning("a row fails", exc_info=one)
                found.rows.append(to_json({"error": row_error(one)}))
                found.failed += 1
            else:
                line, labels = one
                found.rows.append(line)
                found.labels.update(labels)
        found.seconds = time.perf_counter() - began
        return found

    def answers(self, rows: Sequence[Row], options: Sequence[dict[str, Any]]) -> list[tuple[bytes, list[str]]]:
        """Lines with their labels; rows of one operating point after another, for thresholds can decide how far a row runs."""
        found: list[tuple[bytes, list[str]]] = [(b"", [])] * len(rows)
        points = [options[row[2]].get("operating_point", self.classifier.point) for row in rows]
        for point in dict.fromkeys(points):
            places = [place for place, other in enumerate(points) if other == point]
            own = [rows[place] for place in places]
            for place, answer in zip(places, self._point(own, options, point), strict=True):
                found[place] = to_json(answer), answer["labels"]
        return found

    def _point(self, rows: Sequence[Row], options: Sequence[dict[str, Any]], point: str) -> list[dict[str, Any]]:
        at = self.classifier.at(point)
        form = AnswerForm.of(at, self.routes)
        texts, context = [row[0] for row in rows], [row[1] for row in rows]
        answers = []
        for row, found in zip(rows, at.predict(texts, context, numeric=self._numeric(rows)), strict=True):
            wishes = options[row[2]]
            scores = likeliest(found.scores, wishes.get("top_k"))
            answer = form.fields(found, row[1], scores, depth=wishes.get("depth", False))
            if wishes.get("explain"):
                answer["explanation"] = self._explanation(at, row, found.labels or list(likeliest(found.scores, 1)))
            answers.append(answer)
        return answers

    def _numeric(self, rows: Sequence[Row]) -> dict[str, list[float | None]] | None:
        columns = self.classifier.columns
        return {name: [(row[3] or {}).get(name) for row in rows] for name in columns} if columns else None

    def _explanation(self, at: Classifier, row: Row, labels: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        found = explain(at, row[0], row[1], labels, self._numeric([row]))
        return {
            label: [{"word": word.text, "start": word.start, "end": word.end, "weight": word.weight} for word in words]
            for label, words in found.items()
        }


def likeliest(scores: dict[str, float], count: int | None) -> dict[str, float]:
    """The scores of the likeliest labels, the likeliest first; all, in the order of the label space, without a count."""
    if count is None:
        return scores
    return dict(sorted(scores.items(), key=lambda entry: -entry[1])[:count])


def row_error(error: Exception) -> dict[str, str]:
    """What a caller is told about a row that failed: what the user can mend, else nothing of the inside."""
    if isinstance(error, DuobiaoError):
        return {"code": "row_refused", "message": error.message}
    return {"code": "row_failed", "message": FAILED}
