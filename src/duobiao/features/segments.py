"""The model's first segment: none, the context, the context with its words, or a label with its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from duobiao.data.encode import Ids, Pair
from duobiao.labels import LabelSpace, node_of

WordLists = Mapping[str, Sequence[str]]


class TextOnly:
    """``[text]``; of what a row is asked, the context still decides."""

    def __call__(self, pairs: Sequence[Pair], cleaned: Sequence[Pair]) -> tuple[list[Pair], Ids | None]:
        return [(text, None) for text, _ in cleaned], None


class Mined:
    """``[context and its category words][SEP][text]``.

    Args:
        words: Category words by context.
    """

    def __init__(self, words: WordLists) -> None:
        self.words = {context: "".join(f" {word}" for word in own) for context, own in words.items()}

    def __call__(self, pairs: Sequence[Pair], cleaned: Sequence[Pair]) -> tuple[list[Pair], Ids | None]:
        """``pairs`` are as given, for looking up; ``cleaned`` are what is read."""
        return [
            (text, None if context is None else context + self.words.get(node_of(given), ""))
            for (text, context), (_, given) in zip(cleaned, pairs, strict=True)
        ], None


class Pairwise:
    """``[label and its category words][SEP][text]``, one input for each label that the row is asked.

    Args:
        space: The label space.
        words: Category words by label.
        missing: What rows without a context are asked, as in ``LabelSpace.asked``.
    """

    def __init__(self, space: LabelSpace, words: WordLists, missing: Literal["skip", "all"]) -> None:
        self.space, self.missing = space, missing
        self.first = [" ".join([name, *words.get(name, ())]) for name in space.names]

    def __call__(self, pairs: Sequence[Pair], cleaned: Sequence[Pair]) -> tuple[list[Pair], Ids | None]:
        """Inputs, row after row, and which of them scores which label: ``(rows, labels)``, -1 where none does."""
        asked = self.space.asked([context for _, context in pairs], self.missing)
        slots = np.where(asked, np.cumsum(asked).reshape(asked.shape) - 1, -1).astype(np.int64)
        inputs: list[Pair] = [
            (text, self.first[label])
            for (text, _), row in zip(cleaned, asked, strict=True)
            for label in np.flatnonzero(row).tolist()
        ]
        return inputs, slots


def most_asked(space: LabelSpace, missing: Literal["skip", "all"]) -> int:
    """The largest number of labels that one row can be asked."""
    contexts = {context for group in space.groups for context in group.contexts or ()}
    return int(space.asked([None, *sorted(contexts)], missing).sum(axis=1).max())
