"""Which words speak for a label: by occlusion, for any kind of model.

A word's weight for a label is the log-odds of the label on the whole text minus those on the text without the word: occlusion,
Zeiler and Fergus 2014 (arXiv 1311.2901), for words Li, Monroe and Jurafsky 2016 (arXiv 1612.08220), equation 1, in log-odds and
not divided by those of the whole text. Positive: the word speaks for the label. All shortened texts are answered in one call.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from duobiao.classifier import Classifier
from duobiao.data.rows import Numeric
from duobiao.data.segmenter import make_jieba
from duobiao.errors import DataError
from duobiao.postprocess.probabilities import Floats

MAX_SPANS = 64
"""Shortened texts of a row at most; in longer texts neighbouring words are left out together."""
_EDGE = 1e-7


@dataclass(frozen=True)
class Word:
    """A word and what it does for a label.

    Attributes:
        text: The word, or neighbouring words of a long text.
        start: Its first character in the text.
        end: The character after its last.
        weight: Log-odds that the label loses without it.
    """

    text: str
    start: int
    end: int
    weight: float


def explain(
    classifier: Classifier,
    text: str,
    context: str | None = None,
    labels: Sequence[str] | None = None,
    numeric: Numeric | None = None,
) -> dict[str, list[Word]]:
    """The words of a text and their weight for each label.

    Args:
        classifier: What answers.
        text: The text as it came.
        context: What it answers to.
        labels: Which labels; by default those chosen for the text or, where none is, the likeliest one.
        numeric: Columns of numbers, one entry each.

    Returns:
        For each label all words, in the order of the text. A label that this context is not asked has none.

    Raises:
        DataError: If the model has no such label.
    """
    foreign = [name for name in labels or () if name not in classifier.space.index]
    if foreign:
        raise DataError(
            f"the model has no label {', '.join(map(repr, foreign))}", hint=f"its labels are {', '.join(classifier.labels)}"
        )
    spans = word_spans(text)
    texts = [text, *(text[:start] + text[end:] for start, end in spans)]
    columns = None if numeric is None else {name: [values[0]] * len(texts) for name, values in numeric.items()}
    proba = classifier.predict_proba(texts, [context] * len(texts), numeric=columns)
    if labels is None:
        labels = _chosen(classifier, proba[:1])
    odds = _log_odds(proba)
    found: dict[str, list[Word]] = {}
    for name in labels:
        column = classifier.space.index[name]
        asked = not np.isnan(proba[0, column])
        weights = odds[0, column] - odds[1:, column]
        pairs = zip(spans, weights.tolist(), strict=True) if asked else ()
        found[name] = [Word(text[start:end], start, end, round(weight, 4)) for (start, end), weight in pairs]
    return found


def word_spans(text: str, most: int = MAX_SPANS) -> list[tuple[int, int]]:
    """First character and end of each word that holds a letter or a digit; of long texts, of neighbouring words together."""
    spans, at = [], 0
    for word in make_jieba().cut(text):
        if any(character.isalnum() for character in word):
            spans.append((at, at + len(word)))
        at += len(word)
    if len(spans) <= most:
        return spans
    cuts = np.linspace(0, len(spans), most + 1).astype(int).tolist()
    return [(spans[first][0], spans[last - 1][1]) for first, last in itertools.pairwise(cuts)]


def _chosen(classifier: Classifier, proba: Floats) -> list[str]:
    asked = ~np.isnan(proba)
    chosen = classifier.decoder.decide(np.nan_to_num(proba), asked)[0]
    if chosen.any():
        return [classifier.labels[column] for column in np.flatnonzero(chosen)]
    return [classifier.labels[int(np.nanargmax(proba[0]))]] if asked.any() else []


def _log_odds(proba: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    clipped = np.clip(proba.astype(np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
