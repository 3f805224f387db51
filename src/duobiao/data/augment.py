"""Synthetic rows for a teacher to label: training rows with words dropped, replaced, cut out and joined (arXiv 1903.12136)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from dataclasses import replace

import rjieba

from duobiao.config import AugmentSettings
from duobiao.data.rows import Row, content_digest
from duobiao.data.synonyms import read_synonyms

Words = list[tuple[str, str]]
Guesses = list[dict[int, tuple[str, ...]]]
"""What may stand for words: for each row, by the number of the word."""
Guess = Callable[[Sequence[Sequence[str]]], Guesses]
_SHORTEST, _JOINED = 2, 25
_TRIES = 3
_LONGEST = 4


class Augmenter:
    """Makes synthetic rows, always the same ones for the same rows, settings and seed.

    After arXiv 1903.12136, section 3.2, on words of a segmenter: each word is dropped (there: masked) with probability
    ``drop``, else replaced with probability ``replace`` by a word of the same class, drawn as often as rows use it; then with
    probability ``ngram`` only a run of words is kept. Ours is ``join``: a run of words of another row with the same context
    comes before or after, so that rows with several labels come up where they are rare.

    A word that stays may be replaced by a guess of a masked language model (arXiv 1909.10351, algorithm 1) or by a synonym;
    words change places with their neighbours (``swap``), and so do characters (``swap_characters``), which also go
    (``drop_characters``).

    Args:
        rows: Rows to start from; their labels are not looked at.
        settings: How many, and the probabilities.
        seed: Of all draws.
        guess: Tells from the words of all rows what a language model would put in their places.
    """

    def __init__(self, rows: Sequence[Row], settings: AugmentSettings, seed: int, guess: Guess | None = None) -> None:
        self.rows = rows
        self.settings = settings
        self.random = random.Random(seed)
        self.words: list[Words] = [rjieba.tag(row.text) for row in rows]
        self.synonyms = read_synonyms(settings.synonyms) if settings.synonyms else {}
        if self.synonyms:
            self.words = [merged(words, self.synonyms) for words in self.words]
        self.guesses = guess([[word for word, _ in words] for words in self.words]) if guess else None
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
        words = self._noisy(number)
        if draw.random() < settings.ngram and len(words) > _SHORTEST:
            words = self._run(words, _SHORTEST, max(_SHORTEST, len(words) * 2 // 3))
        if draw.random() < settings.join:
            other = self._noisy(draw.choice(self.partners[self.rows[number].context]))
            other = self._run(other, min(_SHORTEST, len(other)), _JOINED)
            words = [*words, "，", *other] if draw.random() < 0.5 else [*other, "，", *words]
        return self._noisy_characters("".join(words)).strip()

    def _noisy(self, row: int) -> list[str]:
        kept = []
        for number, (word, kind) in enumerate(self.words[row]):
            lot = self.random.random() - self.settings.drop
            if lot >= 0:
                replaced = lot < self.settings.replace
                kept.append(self.random.choice(self.classes[kind]) if replaced else self._alike(row, number, word))
        return self._swapped(kept, self.settings.swap)

    def _alike(self, row: int, number: int, word: str) -> str:
        """The word, or a guess or synonym in its place. Nothing is drawn where there is none, so rows stay what they were."""
        guesses = self.guesses[row].get(number) if self.guesses else None
        if guesses and self.random.random() < self.settings.mlm_replace:
            return self.random.choice(guesses)
        group = self.synonyms.get(word)
        if group and self.random.random() < self.settings.synonym:
            return self.random.choice(group)
        return word

    def _swapped(self, parts: list[str], share: float) -> list[str]:
        at = 0
        while share and at + 1 < len(parts):
            if self.random.random() < share:
                parts[at : at + 2] = parts[at + 1], parts[at]
                at += 1
            at += 1
        return parts

    def _noisy_characters(self, text: str) -> str:
        share = self.settings.drop_characters
        kept = [character for character in text if self.random.random() >= share] if share else list(text)
        return "".join(self._swapped(kept, self.settings.swap_characters))

    def _run(self, words: list[str], shortest: int, longest: int) -> list[str]:
        size = self.random.randint(shortest, max(shortest, min(longest, len(words))))
        start = self.random.randint(0, max(len(words) - size, 0))
        return words[start : start + size]


def augment(rows: Sequence[Row], settings: AugmentSettings, seed: int = 0, guess: Guess | None = None) -> list[Row]:
    """Synthetic rows without labels from ``rows``; none for ``copies: 0``. See ``Augmenter``."""
    return Augmenter(rows, settings, seed, guess).make() if settings.copies else []


def merged(words: Words, known: Container[str]) -> Words:
    """Neighbouring words as one where a dictionary has them as one, the longest first."""
    found, at = Words(), 0
    while at < len(words):
        size = next((n for n in range(_LONGEST, 1, -1) if "".join(word for word, _ in words[at : at + n]) in known), 1)
        part = words[at : at + size]
        found.append(("".join(word for word, _ in part), part[-1][1]))
        at += size
    return found
