"""Synthetic rows for a teacher to label: training rows with words dropped, replaced, cut out and joined (arXiv 1903.12136)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import rjieba

from duobiao.config import AugmentSettings
from duobiao.data.rows import Row, content_digest

Words = list[tuple[str, str]]
_SHORTEST, _JOINED = 2, 25
_TRIES = 3


class Augmenter:
    """Makes synthetic rows, always the same ones for the same rows, settings and seed.

    After arXiv 1903.12136, section 3.2, on words of a segmenter: each word is dropped (there: masked) with probability
    ``drop``, else replaced with probability ``replace`` by a word of the same class, drawn as often as rows use it; then with
    probability ``ngram`` only a run of words is kept. Ours is ``join``: a run of words of another row with the same context
    comes before or after, so that rows with several labels come up where they are rare.

    Args:
        rows: Rows to start from; their labels are not looked at.
        settings: How many, and the probabilities.
        seed: Of all draws.
    """

    def __init__(self, rows: Sequence[Row], settings: AugmentSettings, seed: int) -> None:
        self.rows = rows
        self.settings = settings
        self.random = random.Random(seed)
        self.words: list[Words] = [rjieba.tag(row.text) for row in rows]
        self.classes: dict[str, list[str]] = defaultdict(list)
        self.partners: dict[str | None, list[int]] = defaultdict(list)
        for number, (row, words) in enumerate(zip(rows, self.words, strict=True)):
            self.partners[row.context].append(number)
            for word, kind in words:
                self.classes[kind].append(word)

    def make(self) -> list[Row]:
        """Synthetic rows without labels, at most ``copies`` for each row; none equals a given row or another one."""
        seen = {content_digest(row.text, row.context) for row in self.rows}
        found: list[Row] = []
        for number, row in enumerate(self.rows):
            for copy in range(self.settings.copies):
                for _ in range(_TRIES):
                    text = self._variant(number)
                    digest = content_digest(text, row.context)
                    if text and digest not in seen:
                        seen.add(digest)
                        found.append(replace(row, id=f"{row.id}+{copy + 1}", text=text, labels=None, unknown=(), source=""))
                        break
        return found

    def _variant(self, number: int) -> str:
        settings, draw = self.settings, self.random
        words = self._noisy(self.words[number])
        if draw.random() < settings.ngram and len(words) > _SHORTEST:
            words = self._run(words, _SHORTEST, max(_SHORTEST, len(words) * 2 // 3))
        if draw.random() < settings.join:
            other = self._noisy(self.words[draw.choice(self.partners[self.rows[number].context])])
            other = self._run(other, min(_SHORTEST, len(other)), _JOINED)
            words = [*words, "，", *other] if draw.random() < 0.5 else [*other, "，", *words]
        return "".join(words).strip()

    def _noisy(self, words: Words) -> list[str]:
        kept = []
        for word, kind in words:
            lot = self.random.random() - self.settings.drop
            if lot >= 0:
                kept.append(self.random.choice(self.classes[kind]) if lot < self.settings.replace else word)
        return kept

    def _run(self, words: list[str], shortest: int, longest: int) -> list[str]:
        size = self.random.randint(shortest, max(shortest, min(longest, len(words))))
        start = self.random.randint(0, max(len(words) - size, 0))
        return words[start : start + size]


def augment(rows: Sequence[Row], settings: AugmentSettings, seed: int = 0) -> list[Row]:
    """Synthetic rows without labels from ``rows``; none for ``copies: 0``. See ``Augmenter``."""
    return Augmenter(rows, settings, seed).make() if settings.copies else []
