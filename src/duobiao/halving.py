"""Rows on which a model fails, told apart from their neighbours and from a model that fails on everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from duobiao.answer import Predictor
from duobiao.cascade import Cascade

Answer = TypeVar("Answer")
TRIED = ("你好，我想问一下上次买的东西什么时候能到。", "ok 123", "。")
"""Texts that a model must answer before it gets any work."""


def each_answered(ask: Callable[[Sequence[int]], Sequence[Answer]], count: int) -> list[Answer | Exception]:
    """Asks about all rows at once; where that raises, about halves, until the rows that it fails on stand alone.

    Args:
        ask: Answers the rows at these places, in their order.
        count: Rows in all.

    Returns:
        An answer a row, or the error that it raised alone.
    """
    found: list[Answer | Exception] = []
    waiting = [range(count)]
    while waiting:
        places = waiting.pop()
        if not places:
            continue
        try:
            found += ask(places)
        except Exception as error:
            if len(places) == 1:
                found.append(error)
            else:
                half = len(places) // 2
                waiting += [places[half:], places[:half]]  # the first half comes first
    return found


def lacks_memory(error: object) -> bool:
    """Whether an error says that there is no memory; torch has no type of its own for that on a CPU."""
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in ("DefaultCPUAllocator", "out of memory"))
    return told or isinstance(error, MemoryError)


def check_sound(predictor: Predictor) -> None:
    """Tries every model of a predictor on a few texts in a few of its contexts.

    Raises:
        Exception: Whatever a model raises; ``FloatingPointError`` where a probability is no number.
    """
    for model in (predictor.first, predictor.second) if isinstance(predictor, Cascade) else (predictor,):
        contexts = {name for group in model.space.groups for name in group.contexts or ()}
        rows = [(text, context) for context in (None, *sorted(contexts)[:4]) for text in TRIED]
        blank: list[float | None] = [None] * len(rows)
        numeric = dict.fromkeys(model.columns, blank) if model.columns else None
        model.predict([text for text, _ in rows], [context for _, context in rows], numeric=numeric)
