"""What a process that computes does with a batch: decisions, explanations, depths, and a row that fails on its own."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from duobiao.classifier import Classifier
from duobiao.errors import DuobiaoError
from duobiao.explain import explain
from duobiao.routing.routes import Routes
from duobiao.serve.frames import to_json
from duobiao.serve.tokens import CountedEncoder

log = logging.getLogger("duobiao.serve.worker")
Row = Sequence[Any]
"""``[text, context, number of its options, numbers beside the text or None]``."""
FAILED = "the model failed on this row"
TRIED = ("你好，我想问一下上次买的东西什么时候能到。", "ok 123", "。")
"""Texts that a model must answer before it gets any work."""


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
        """Answers rows; where the model raises, halves are tried until the rows that it fails on stand alone."""
        began = time.perf_counter()
        found = Answered([b""] * len(rows))
        self._try(rows, options, list(range(len(rows))), found)
        found.seconds = time.perf_counter() - began
        return found

    def _try(self, rows: Sequence[Row], options: Sequence[dict[str, Any]], places: list[int], found: Answered) -> None:
        try:
            lines, labels = self.answers([rows[place] for place in places], options)
        except Exception as error:
            if len(places) > 1:
                half = len(places) // 2
                self._try(rows, options, places[:half], found)
                self._try(rows, options, places[half:], found)
                return
            log.warning("a row fails", exc_info=error)
            found.rows[places[0]] = to_json({"error": row_error(error)})
            found.failed += 1
            return
        for place, line in zip(places, lines, strict=True):
            found.rows[place] = line
        found.labels.update(labels)

    def answers(self, rows: Sequence[Row], options: Sequence[dict[str, Any]]) -> tuple[list[bytes], list[str]]:
        """Rows of one operating point after another, since where a decision falls can decide how far a row runs."""
        lines, counted = [b""] * len(rows), []
        points = [options[row[2]].get("operating_point", self.classifier.point) for row in rows]
        for point in dict.fromkeys(points):
            places = [place for place, other in enumerate(points) if other == point]
            own = [rows[place] for place in places]
            for place, answer in zip(places, self._point(own, options, point), strict=True):
                lines[place] = to_json(answer)
                counted += answer["labels"]
        return lines, counted

    def _point(self, rows: Sequence[Row], options: Sequence[dict[str, Any]], point: str) -> list[dict[str, Any]]:
        at = self.classifier.at(point)
        texts, context = [row[0] for row in rows], [row[1] for row in rows]
        found = at.predict(texts, context, numeric=self._numeric(rows))
        answers = []
        for row, prediction in zip(rows, found, strict=True):
            wishes = options[row[2]]
            answer: dict[str, Any] = {"labels": prediction.labels, "scores": likeliest(prediction.scores, wishes.get("top_k"))}
            if at.decoder.settings.band:
                answer |= {"review": prediction.review, "unsure": list(prediction.unsure)}
            if self.routes is not None:
                answer["next"] = self.routes.next(row[1], prediction.labels, unsure=prediction.review)
            if wishes.get("depth") and prediction.depth is not None:
                answer["depth"] = prediction.depth
            if wishes.get("explain"):
                answer["explanation"] = self._explanation(at, row, prediction.labels or list(likeliest(prediction.scores, 1)))
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


def check_sound(answering: Answering) -> None:
    """Tries a model on a few texts in a few of its contexts; raises what goes wrong.

    Raises:
        Exception: Whatever the model raises; ``FloatingPointError`` where a probability is no number.
    """
    contexts = {name for group in answering.classifier.space.groups for name in group.contexts or ()}
    rows = [[text, context, 0, None] for context in (None, *sorted(contexts)[:4]) for text in TRIED]
    answering.answers(rows, [{}])
