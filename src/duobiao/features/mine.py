"""Mining category words: which words tell the rows of a label, or of a dialogue node, from the others."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from duobiao import progress
from duobiao.config import InputSettings
from duobiao.data.clean import build_chain
from duobiao.data.rows import Row, targets
from duobiao.data.segmenter import make_jieba
from duobiao.errors import ConfigError
from duobiao.features.scores import Array, chi_squared, log_odds, mutual_information
from duobiao.features.words import SCORES, Category, Term, Words
from duobiao.labels import LabelSpace, node_of

Score = Literal["log_odds", "chi2", "mi"]
Mask = npt.NDArray[np.bool_]
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class MineSettings:
    """How words are mined.

    Attributes:
        by: The score that ranks them.
        top: Words kept for each label and context.
        min_support: A word must stand in so many rows of the label; rarer ones are never category words.
        min_chi2: Nor are words whose chi-squared is lower; 3.84 is the 5 % level of one degree of freedom.
        ngrams: Shortest and longest character n-gram beside the segmenter's words.
        prior: Strength ``alpha_0`` of the log-odds prior, in occurrences.
        clean: Cleaning steps of the model that will read the words.
    """

    by: Score = "log_odds"
    top: int = 20
    min_support: int = 3
    min_chi2: float = 3.84
    ngrams: tuple[int, int] = (2, 4)
    prior: float = 500.0
    clean: tuple[Any, ...] = InputSettings().clean

    def __post_init__(self) -> None:
        problems = [] if self.by in SCORES else [f"by: {self.by!r} is none of {', '.join(SCORES)}"]
        problems += [] if 1 <= self.ngrams[0] <= self.ngrams[1] else [f"ngrams: {list(self.ngrams)} is not [shortest, longest]"]
        for name in ("top", "min_support"):
            problems += [] if getattr(self, name) >= 1 else [f"{name} must be 1 or more"]
        problems += [] if self.prior > 0 else ["prior must be above 0"]
        if problems:
            raise ConfigError("words cannot be mined this way", hint="correct these settings", problems=problems)


def mine(rows: Sequence[Row], space: LabelSpace, settings: MineSettings | None = None) -> Words:
    """Category words of every label and every context.

    A label's rows are told apart from the rows of which it is known to be false: unknown and unasked cells count nowhere, and
    a label of a group meets only the other answers to the same question. A context's rows are told apart from all others.

    Args:
        rows: Labelled training rows, and no others: words mined from dev or test rows make their scores worthless.
        space: The label space.
        settings: Ranking, limits and cleaning.

    Raises:
        DataError: If rows are unlabelled or do not fit the space.
    """
    settings = settings or MineSettings()
    cells = targets(rows, space)
    vocabulary = _Vocabulary(rows, build_chain(settings.clean), settings.ngrams, settings.min_support)
    nodes_of = np.array([node_of(row.context) for row in rows], dtype=object)
    contexts = sorted({node for node in nodes_of if node})
    labels: dict[str, Category] = {}
    with progress.task("mine words", len(space) + len(contexts)) as task:
        for number, name in enumerate(space.names):
            labels[name] = vocabulary.category(cells[:, number] == 1, cells[:, number] == 0, settings)
            task.advance()
        nodes = {}
        for name in contexts:
            nodes[name] = vocabulary.category(nodes_of == name, nodes_of != name, settings)
            task.advance()
    return Words(labels, nodes, settings.by)


def parse_ngrams(text: str) -> tuple[int, int]:
    """``2-4`` as shortest and longest.

    Raises:
        ConfigError: If it is something else.
    """
    found = re.fullmatch(r"\s*(\d{1,2})\s*-\s*(\d{1,2})\s*", text)
    if not found:
        raise ConfigError(f"--ngrams {text!r} is not shortest-longest", hint="write --ngrams 2-4")
    return int(found[1]), int(found[2])


def terms_of(text: str, ngrams: tuple[int, int]) -> tuple[set[str], set[str]]:
    """Words of the segmenter, and character n-grams that are no such words; lower case, each once.

    Words without a letter (numbers, punctuation) are left out; n-grams do not reach over anything but Chinese characters.
    """
    text = text.lower()
    words = {word for word in make_jieba().cut(text) if _LETTER.search(word)}
    grams = {
        run[start : start + size]
        for run in _HAN.findall(text)
        for size in range(ngrams[0], ngrams[1] + 1)
        for start in range(len(run) - size + 1)
    }
    return words, grams - words


class _Vocabulary:
    """Which row holds which word, over all rows once; words and n-grams in columns of one matrix."""

    def __init__(self, rows: Sequence[Row], clean: Callable[[str], str], ngrams: tuple[int, int], least: int) -> None:
        index: dict[tuple[bool, str], int] = {}
        flat, ends = array("q"), array("q", [0])
        with progress.task("segment rows", len(rows)) as task:
            for row in rows:
                for is_word, found in zip((True, False), terms_of(clean(row.text), ngrams), strict=True):
                    flat.extend(index.setdefault((is_word, term), len(index)) for term in sorted(found))
                ends.append(len(flat))
                task.advance()
        ones = np.ones(len(flat), dtype=np.float64)
        shape = (len(rows), len(index))
        places = np.frombuffer(flat, dtype=np.int64) if len(flat) else np.zeros(0, np.int64)
        whole = csr_matrix((ones, places, np.frombuffer(ends, dtype=np.int64)), shape)
        keys = list(index)
        kinds = np.array([key[0] for key in keys], dtype=np.bool_)
        counts = np.asarray(whole.sum(axis=0)).ravel()
        self.sizes = np.stack([np.asarray(whole @ (kinds == kind).astype(np.float64)).ravel() for kind in (True, False)], 1)
        kept = np.flatnonzero(counts >= least)
        self.terms = [keys[place][1] for place in kept]
        self.is_word = kinds[kept]
        self.counts: Array = counts[kept]
        self.whole = whole[:, kept]

    def category(self, inside: Mask, outside: Mask, settings: MineSettings) -> Category:
        """The words of the rows ``inside``, told apart from the rows ``outside``; both of shape ``(rows,)``."""
        rows_in, rows_out = int(inside.sum()), int(outside.sum())
        if not rows_in or not rows_out or not self.terms:
            return Category((), rows_in, rows_out)
        there, elsewhere = (np.asarray(self.whole[mask].sum(axis=0)).ravel() for mask in (inside, outside))
        scores = {
            "log_odds": self._log_odds(there, elsewhere, inside, outside, settings.prior),
            "chi2": chi_squared(there, elsewhere, rows_in, rows_out),
            "mi": mutual_information(there, elsewhere, rows_in, rows_out),
        }
        speaks = (there >= settings.min_support) & (there * rows_out > elsewhere * rows_in)
        speaks &= (scores["chi2"] >= settings.min_chi2) & (scores["log_odds"] > 0)
        places = self._without_repeats(np.flatnonzero(speaks), there, elsewhere)
        rank = sorted(places, key=lambda place: (-scores[settings.by][place], -there[place], self.terms[place]))
        terms = []
        for place in rank[: settings.top]:
            values = {name: round(float(scores[name][place]), 4) for name in SCORES}
            terms.append(Term(self.terms[place], int(there[place]), int(elsewhere[place]), values))
        return Category(tuple(terms), rows_in, rows_out)

    def _log_odds(self, there: Array, elsewhere: Array, inside: Mask, outside: Mask, strength: float) -> Array:
        """Words and n-grams are two languages, each with its own totals and its own background: all training rows."""
        found = np.zeros_like(there)
        totals = self.sizes.sum(axis=0)
        for column, kind in enumerate((True, False)):
            mine = self.is_word == kind
            if mine.any():
                all_in, all_out = self.sizes[inside, column].sum(), self.sizes[outside, column].sum()
                prior = strength * self.counts[mine] / totals[column]
                found[mine] = log_odds(there[mine], elsewhere[mine], all_in, all_out, prior, strength)
        return found

    def _without_repeats(self, places: Iterable[Any], there: Array, elsewhere: Array) -> list[int]:
        """Of terms that contain each other and stand in equally many rows, here and elsewhere, one.

        A word of two characters or more stays instead of the n-grams around it; of the rest the longest stays. A word goes
        only if a term that stays contains it.
        """
        left = {self.terms[place]: int(place) for place in places}

        def repeats(longer: str) -> Iterable[str]:
            place = left[longer]
            for part in _parts(longer):
                other = left.get(part)
                if other is not None and there[other] == there[place] and elsewhere[other] == elsewhere[place]:
                    yield part

        def is_word(term: str) -> bool:
            return bool(self.is_word[left[term]]) and len(term) > 1

        around = {term for term in left if not is_word(term) and any(map(is_word, repeats(term)))}
        pieces = {part for term in left for part in repeats(term)}
        kept = {term for term in left if term not in around and (term not in pieces or self.is_word[left[term]])}
        kept -= {part for term in kept for part in repeats(term)}
        return [place for term, place in left.items() if term in kept]


def _parts(term: str) -> set[str]:
    """All shorter pieces of a term."""
    size = len(term)
    return {term[start:stop] for start in range(size) for stop in range(start + 1, size + 1) if stop - start < size}
