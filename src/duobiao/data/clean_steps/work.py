"""What a step of the chain is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Clean = Callable[[str], str]

HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Chinese characters, as the inside of a character class."""
ROUNDS = 8
"""How often a step or a chain goes over a text that goes on changing."""


class Work(NamedTuple):
    """A step that is ready to run.

    Attributes:
        run: The step; pure, and linear in the length of the text.
        spots: Where there may be something to do: characters (the inside of a character class) and the expression that
            follows one of them. A text without any spot is left alone by the step; a step without spots looks at every text.
    """

    run: Clean
    spots: tuple[tuple[str, str], ...] = ()


def until_stable(step: Clean, text: str) -> str:
    """The step again and again until it changes nothing, at most ``ROUNDS`` times."""
    for _ in range(ROUNDS):
        before, text = text, step(text)
        if text == before:
            break
    return text


def listed(words: str) -> frozenset[str]:
    """Words that are written with spaces between them."""
    return frozenset(words.split())
