"""Features as a model carries them: fitted on training rows, stored in the bundle, applied alike wherever rows are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from duobiao import progress
from duobiao.bundle import FEATURES, Bundle
from duobiao.config import FeatureSettings, InputSettings
from duobiao.data.clean import build_chain
from duobiao.data.encode import Pair, Segments
from duobiao.data.rows import Numeric, Row, numeric_columns
from duobiao.errors import ConfigError, DataError
from duobiao.features.segments import Mined, Pairwise, TextOnly, WordLists, most_asked
from duobiao.features.statistics import CARRIED, Floats, Hits, Statistics
from duobiao.features.words import Words
from duobiao.labels import LabelSpace, node_of


@dataclass(frozen=True)
class Features:
    """Fitted features.

    Attributes:
        settings: What the configuration asked for; without the file of words, whose content is here.
        input: The model's cleaning and use of contexts.
        label_words: The category words of each label that are used.
        context_words: Those of each context.
        statistics: The numbers that join the pooled encoding.
    """

    settings: FeatureSettings = field(default_factory=FeatureSettings)
    input: InputSettings = field(default_factory=InputSettings)
    label_words: WordLists = field(default_factory=dict)
    context_words: WordLists = field(default_factory=dict)
    statistics: Statistics = field(default_factory=Statistics)

    # ---- making and storing -------------------------------------------------------------------

    @classmethod
    def fit(cls, settings: FeatureSettings, input: InputSettings, rows: Sequence[Row], space: LabelSpace) -> Features:
        """Learns words, means and deviations from training rows.

        Raises:
            DataError: If the file of words cannot be read, or a column of numbers is absent or holds something else.
            ConfigError: If ``pairwise`` would take more passes a row than it may, or the words do not fit the labels.
        """
        passes = most_asked(space, "all" if input.context == "none" else "skip") if settings.segment == "pairwise" else 0
        if passes > settings.pairwise_max:
            raise ConfigError(
                f"features.segment is pairwise: a row is asked up to {passes} labels and would take as many passes, but "
                f"features.pairwise_max is {settings.pairwise_max}",
                hint=f"use mined or node, or --set features.pairwise_max={passes} (training and serving cost that many times)",
            )
        words = _words(settings, input, rows, space) if settings.needs_words else Words({}, {})
        fitted = cls(
            settings.model_copy(update={"words": None}),
            input,
            {name: words.labels[name].top(settings.top) for name in space.names if name in words.labels},
            {name: category.top(settings.top) for name, category in words.contexts.items()},
        )
        if passes:
            progress.say(f"pairwise: up to {passes} passes a row in training and in serving")
        return fitted._with_statistics(rows)

    def _with_statistics(self, rows: Sequence[Row]) -> Features:
        settings = self.settings
        if not settings.statistics and not settings.numeric:
            return self
        carried = [name for name in CARRIED if name in settings.statistics and any(name in row.extra for row in rows)]
        numeric = {**numeric_columns(rows, (*carried, *settings.numeric)), **_derived([row.context for row in rows])}
        texts = [row.text for row in rows]
        cleaned = [self._clean(text) for text in texts]
        found = Statistics.fit(settings.statistics, settings.numeric, texts, cleaned, self._hits, numeric)
        return Features(settings, self.input, self.label_words, self.context_words, found)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Features:
        """What the bundle was trained with; bundles from before there were features read the context and the text."""
        input = InputSettings(**bundle.input)
        if FEATURES not in bundle.files:
            return cls(input=input)
        data = json.loads(bundle.files[FEATURES])
        statistics = Statistics.from_dict(data["statistics"])
        return cls(FeatureSettings(**data["settings"]), input, data["label_words"], data["context_words"], statistics)

    def stored(self) -> dict[str, str]:
        """The bundle's file of features; none where they are the default."""
        if self.settings == FeatureSettings():
            return {}
        data = {
            "settings": self.settings.model_dump(mode="json"),
            "label_words": {name: list(own) for name, own in self.label_words.items()},
            "context_words": {name: list(own) for name, own in self.context_words.items()},
            "statistics": self.statistics.to_dict(),
        }
        return {FEATURES: json.dumps(data, ensure_ascii=False, indent=1) + "\n"}

    # ---- applying -----------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """How many numbers join the pooled encoding."""
        return len(self.statistics.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of numbers that rows must bring along."""
        return self.statistics.columns

    @property
    def pairwise(self) -> bool:
        return self.settings.segment == "pairwise"

    @property
    def reads_contexts(self) -> bool:
        """Whether the context reaches the model at all, be it through what a row is asked."""
        return self.input.context == "pair" and self.settings.segment != "none"

    def segments(self, space: LabelSpace) -> Segments | None:
        """What builds the first segment; None where it is the context alone."""
        match self.settings.segment:
            case "none":
                return TextOnly()
            case "mined":
                return Mined(self.context_words)
            case "pairwise":
                return Pairwise(space, self.label_words, "all" if self.input.context == "none" else "skip")
            case _:
                return None

    def segment_texts(self, space: LabelSpace) -> list[str]:
        """Every word that stands in a first segment, for a vocabulary that is learned."""
        own = self.label_words if self.pairwise else self.context_words
        return [*(space.names if self.pairwise else ()), *(word for words in own.values() for word in words)]

    def vectors(self, pairs: Sequence[Pair], numeric: Numeric | None = None) -> Floats | None:
        """The standardised numbers of rows, shape ``(rows, width)``; None where the model reads none.

        Raises:
            DataError: If a column that the model needs is absent or of another length.
        """
        if not self.width:
            return None
        given = numeric or {}
        problems = [f"the column {name!r} is missing" for name in self.columns if name not in given]
        problems += [
            f"the column {name!r} has {len(given[name])} numbers for {len(pairs)} rows"
            for name in self.columns
            if name in given and len(given[name]) != len(pairs)
        ]
        if problems:
            raise DataError(
                f"this model reads columns of numbers beside the text: {', '.join(self.columns)}",
                hint="give them: predict(texts, numeric={...}), or as columns of the file; None (a blank cell) where unknown",
                problems=problems,
            )
        texts = [text for text, _ in pairs]
        cleaned = [self._clean(text) for text in texts] if self._hits else texts
        given = {**given, **_derived([context for _, context in pairs])}
        return self.statistics.vectors(texts, cleaned, self._hits, given)

    @cached_property
    def _hits(self) -> Hits | None:
        return Hits(self.label_words) if "hits" in self.settings.statistics else None

    @cached_property
    def _clean(self) -> Any:
        return build_chain(self.input.clean)


def _derived(contexts: Sequence[str | None]) -> dict[str, list[float | None]]:
    return {"window": [float((context or "").count("\n")) for context in contexts]}


def source_digest(settings: FeatureSettings, row_lists: Sequence[Sequence[Row]]) -> str:
    """A name of what features read besides texts, contexts and labels; empty where that is nothing."""
    names = (*settings.numeric, *(name for name in CARRIED if name in settings.statistics))
    digest = hashlib.sha256()
    if settings.words is not None and settings.needs_words and Path(settings.words).is_file():
        digest.update(Path(settings.words).read_bytes())
    elif not names:
        return ""
    for rows in row_lists:
        digest.update(json.dumps([[str(row.extra.get(name)) for name in names] for row in rows]).encode())
    return digest.hexdigest()


def _words(settings: FeatureSettings, input: InputSettings, rows: Sequence[Row], space: LabelSpace) -> Words:
    """The words of the given file, or those that the training rows give."""
    contexts = sorted({node_of(row.context) for row in rows if row.context}) if settings.segment == "mined" else []
    if settings.words is None:
        from duobiao.features.mine import MineSettings, mine

        how = MineSettings(settings.mine_by, settings.top, settings.min_support, clean=input.clean)
        found = mine(rows, space, how)
    else:
        found = Words.from_yaml(settings.words)
        others = sorted(found.labels.keys() - set(space.names))
        foreign = [f"{settings.words}: label {name!r} is not in the label space" for name in others]
        foreign += [f"{settings.words}: there is no {name}" for name in found.missing(space, contexts)]
        if foreign:
            raise ConfigError(
                "the category words do not fit the labels and contexts of the rows",
                hint="correct the file, or mine it again with the same label space; an empty list is a fine entry ('销售: []')",
                problems=foreign,
            )
    bare = [name for name in space.names if not found.labels[name].terms] if settings.segment != "mined" else []
    bare += [name for name in contexts if not found.contexts[name].terms]
    if bare:
        progress.say(f"no category words for {', '.join(bare)}")
    return found
