"""What a report shows of single rows: the surest mistakes, and labels that may be wrong."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from duobiao.classifier import Classifier
from duobiao.data.rows import Row
from duobiao.evaluate.evaluation import Judged
from duobiao.evaluate.mistakes import MOST, explained, mistakes
from duobiao.evaluate.suspects import Suspect, find_suspects
from duobiao.explain import Word
from duobiao.labels import LabelSpace

LONGEST = 240
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Cases:
    """Single rows for the report.

    Attributes:
        system: The name of the system whose mistakes are shown.
        mistakes: The mistakes, ready to show; see ``look_at``.
        suspects: Labels that may be wrong, ready to show.
    """

    system: str
    mistakes: Sequence[dict[str, Any]] = field(default_factory=tuple)
    suspects: Sequence[dict[str, Any]] = field(default_factory=tuple)


def look_at(
    name: str,
    classifier: Classifier,
    judged: Judged,
    rows: Sequence[Row],
    doubts: Sequence[Suspect],
    texts: bool,
    space: LabelSpace | None = None,
) -> Cases:
    """Finds and explains what a report shows of single rows.

    Args:
        name: The system's name in the report.
        classifier: The system.
        judged: What it says of the rows.
        rows: The judged rows.
        doubts: Answers that may be wrong, the most suspect first.
        texts: Whether texts may be shown; without them, rows are called by their id alone.
        space: The label space whose order ``judged`` has; the system's own if left out.
    """
    found = mistakes(judged, space or classifier.space)
    if not texts:
        shown = [{"mistake": one, "row": rows[one.row], "parts": []} for one in found]
    else:
        shown = [{**one, "parts": highlighted(one["row"].text, one["words"])} for one in explained(classifier, rows, found)]
    first: dict[int, Suspect] = {}
    for one in doubts:
        first.setdefault(one.row, one)
    suspects = [
        {"suspect": one, "row": rows[one.row], "text": shortened(rows[one.row].text) if texts else ""}
        for one in list(first.values())[:MOST]
    ]
    return Cases(name, shown, suspects)


def doubted(judged: Sequence[Judged], rows: Sequence[Row], seen: Collection[str], space: LabelSpace) -> list[Suspect]:
    """Given answers that systems agree to be wrong, by the mean of their probabilities on rows that none of them learned from.

    Args:
        judged: What each system says of the same rows.
        rows: The rows.
        seen: Texts that systems learned from; rows that say the same are left out.
        space: The label space.
    """
    proba = np.mean([one.probabilities for one in judged], axis=0)
    proba[[number for number, row in enumerate(rows) if row.text.strip() in seen]] = np.nan
    return find_suspects(judged[0].cells, proba, space)


def highlighted(text: str, words: Sequence[Word], longest: int = LONGEST) -> list[tuple[str, float]]:
    """A text in pieces with their weight, -1 to 1, relative to the heaviest word; of a long text, the part around that word."""
    heaviest = max(words, key=lambda word: abs(word.weight), default=None)
    scale = abs(heaviest.weight) if heaviest else 0.0
    start, stop = 0, len(text)
    if stop > longest:
        middle = (heaviest.start + heaviest.end) // 2 if heaviest else 0
        start = min(max(middle - longest // 2, 0), len(text) - longest)
        stop = start + longest
    parts, at = [("…", 0.0)] if start else [], start
    for word in words:
        begin, end = max(word.start, start), min(word.end, stop)
        if begin >= end:
            continue
        parts += [(text[at:begin], 0.0), (text[begin:end], round(word.weight / scale, 3) if scale else 0.0)]
        at = end
    parts += [(text[at:stop], 0.0), ("…" if stop < len(text) else "", 0.0)]
    return [(piece, weight) for piece, weight in parts if piece]


def shortened(text: str, longest: int = LONGEST) -> str:
    """The beginning of a text."""
    return text if len(text) <= longest else text[:longest] + "…"
