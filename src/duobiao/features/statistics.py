"""Numbers beside the text: counted, standardised on the training rows, and joined to the pooled encoding."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao import progress
from duobiao.data.rows import Numeric
from duobiao.errors import DataError

Floats = npt.NDArray[np.float32]
Raw = npt.NDArray[np.float64]
LIMIT = 5.0
"""Standard deviations that a value may be away from the mean; what is farther counts as this far."""

_NUMBER = r"(?:\d+(?:[.,]\d+)*|[零〇一二两三四五六七八九十百千万半几]+)"
_DATES = re.compile(
    rf"\d{{4}}[-/.年]\d{{1,2}}(?:[-/.月]\d{{1,2}}[日号]?)?|{_NUMBER}月(?:{_NUMBER}[日号]?)?|{_NUMBER}[日号]|{_NUMBER}(?:点半?|[:：]\d\d)"
    r"|(?:星期|礼拜|周)[一二三四五六日天末]|[今明后昨前]天|[今明后昨]晚|[上下这本]个?(?:星期|礼拜|周|月)|早上|上午|中午|下午|晚上"
)
_AMOUNTS = re.compile(rf"[¥￥$]\s*\d+(?:[.,]\d+)*|{_NUMBER}\s*(?:块钱?|元|毛钱?|角|美元|人民币|rmb)", re.IGNORECASE)
_CHOICES = re.compile(r"(.)[不没]\1|有没有")
_NEGATIONS = re.compile(r"[不没別别未无無勿莫非]")
_QUESTIONS = re.compile(r"[?？]|[吗嗎呢]|什么|什麼|怎么|怎麼|咋|啥|谁|誰|哪|多少|几[个点时号天块]|(.)[不没]\1|有没有")


def _negations(text: str) -> int:
    """Negating characters; those of "是不是" and "有没有" ask and do not negate."""
    return len(_NEGATIONS.findall(_CHOICES.sub("", text)))


COUNTS: dict[str, Callable[[str], int]] = {
    "length": len,
    "digits": lambda text: sum(character.isdecimal() for character in text),
    "dates": lambda text: len(_DATES.findall(text)),
    "amounts": lambda text: len(_AMOUNTS.findall(text)),
    "negations": _negations,
    "questions": lambda text: sum(1 for _ in _QUESTIONS.finditer(text)),
    "exclamations": lambda text: text.count("!") + text.count("！"),
    "latin": lambda text: sum(character.isascii() and character.isalpha() for character in text),
}
"""Counts of a text; a model reads log(1 + count)."""
CARRIED = ("turn",)
"""Statistics that a row carries in a column of this name: its place in the dialogue."""
DERIVED = ("window",)
"""Statistics of the context: how many earlier turns stand in it, a line each, after the node."""


class Hits:
    """How many category words of each label a text holds, as substrings.

    Args:
        words: Words by label.
    """

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        self.owners: dict[str, list[int]] = {}
        for number, own in enumerate(words.values()):
            for word in dict.fromkeys(own):
                self.owners.setdefault(word, []).append(number)
        self.labels = tuple(words)
        self.sizes = sorted({len(word) for word in self.owners})

    def count(self, text: str) -> list[int]:
        """Shape ``(labels,)``; each word counts once."""
        text = text.lower()
        pieces = (text[start : start + size] for size in self.sizes for start in range(len(text) - size + 1))
        counts = [0] * len(self.labels)
        for word in {piece for piece in pieces if piece in self.owners}:
            for number in self.owners[word]:
                counts[number] += 1
        return counts


@dataclass(frozen=True)
class Statistics:
    """Which numbers of a row are read, and how they are standardised.

    Attributes:
        names: ``length`` and the like, ``hits:LABEL``, ``column:NAME``, ``missing:NAME``; in the order of the vector.
        mean: Mean of each over the training rows, shape ``(names,)``; it also stands in for a missing number.
        std: Standard deviation of each.
    """

    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    _columns: tuple[str, ...] = field(init=False, default=(), compare=False)

    def __post_init__(self) -> None:
        read = (name.partition(":")[2] for name in self.names if name.startswith(("column:", "missing:")))
        object.__setattr__(self, "_columns", tuple(dict.fromkeys(read)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of numbers that rows must bring along."""
        return tuple(name for name in self._columns if name not in DERIVED)

    @classmethod
    def fit(
        cls,
        wanted: Sequence[str],
        own: Sequence[str],
        texts: Sequence[str],
        cleaned: Sequence[str],
        hits: Hits | None,
        numeric: Numeric,
    ) -> Statistics:
        """Means and deviations over training rows; what is the same in all of them is left out.

        Args:
            wanted: Names of statistics.
            own: The user's columns.
            texts: Texts of the rows, as they are.
            cleaned: The same, cleaned: hits are counted there.
            hits: Category words, if ``hits`` is wanted.
            numeric: Columns of numbers, those of ``own`` and those of ``CARRIED`` and ``DERIVED`` that rows have.

        Raises:
            DataError: If a column of ``own`` holds no number at all.
        """
        empty = [name for name in own if all(value is None for value in numeric[name])]
        if empty:
            raise DataError(
                f"columns without any number in the training rows: {', '.join(empty)}",
                hint="fill them in, or take them out of features.numeric",
            )
        names: list[str] = []
        for name in wanted:
            names += [f"hits:{label}" for label in hits.labels] if name == "hits" and hits else []
            names += [name] if name in COUNTS else []
        beside = [name for name in (*CARRIED, *DERIVED) if name in wanted]
        carried = [name for name in beside if any(value is not None for value in numeric.get(name, ()))]
        names += [f"{kind}:{name}" for name in dict.fromkeys((*carried, *own)) for kind in ("column", "missing")]
        raw = raw_values(names, texts, cleaned, hits, numeric)
        mean = np.array([column[~np.isnan(column)].mean() for column in raw.T])
        filled = np.where(np.isnan(raw), mean, raw)
        std = filled.std(axis=0)
        varies = (filled.min(axis=0, initial=np.inf) < filled.max(axis=0, initial=-np.inf)) & (std > 0)
        kept = np.flatnonzero(varies).tolist()
        dropped = [name for name, own_way in zip(names, varies, strict=True) if not own_way and not name.startswith("missing:")]
        dropped += [name for name in beside if name not in carried]
        if dropped:
            shown = ", ".join(dropped[:8]) + (f" and {len(dropped) - 8} more" if len(dropped) > 8 else "")
            progress.say(f"statistics that are the same in all training rows, left out: {shown}")
        return cls(
            tuple(names[number] for number in kept),
            tuple(float(mean[number]) for number in kept),
            tuple(float(std[number]) for number in kept),
        )

    def vectors(self, texts: Sequence[str], cleaned: Sequence[str], hits: Hits | None, numeric: Numeric) -> Floats:
        """Standardised numbers, shape ``(rows, names)``, each within ``LIMIT`` deviations; a missing number is 0."""
        raw = raw_values(self.names, texts, cleaned, hits, numeric)
        mean, std = np.array(self.mean), np.array(self.std)
        values = (np.where(np.isnan(raw), mean, raw) - mean) / std
        clipped: Floats = np.clip(values, -LIMIT, LIMIT).astype(np.float32)
        return clipped

    def to_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Statistics:
        return cls(tuple(data["names"]), tuple(data["mean"]), tuple(data["std"]))


def raw_values(names: Sequence[str], texts: Sequence[str], cleaned: Sequence[str], hits: Hits | None, numeric: Numeric) -> Raw:
    """The numbers before they are standardised, shape ``(rows, names)``; NaN where a column has none."""
    values = np.zeros((len(texts), len(names)), dtype=np.float64)
    found: Raw | None = None
    for number, name in enumerate(names):
        kind, _, rest = name.partition(":")
        if kind == "hits" and hits is not None:
            if found is None:
                found = np.array([hits.count(text) for text in cleaned], dtype=np.float64).reshape(len(texts), len(hits.labels))
            values[:, number] = np.log1p(found[:, hits.labels.index(rest)])
        elif kind == "column":
            values[:, number] = [np.nan if value is None else value for value in numeric[rest]]
        elif kind == "missing":
            values[:, number] = [value is None for value in numeric[rest]]
        else:
            count = COUNTS[name]
            values[:, number] = np.log1p([count(text) for text in texts])
    return values
