"""Words of a text: jieba's, with a user's own added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Cut = Callable[[str], list[str]]
_OFTEN = 20000
"""How often an own word is said to have been seen: often enough to stand against jieba's."""


@lru_cache(maxsize=8)
def make_jieba(dictionary: tuple[str, ...] = ()) -> Any:
    """An own jieba: words that somebody adds to a shared one must not change what others get.

    Args:
        dictionary: Words beyond jieba's: names, products.
    """
    from rjieba import Jieba

    jieba = Jieba()
    for word in dictionary:
        jieba.add_word(word, _OFTEN, "nz")
    return jieba


def word_begins(text: str, cut: Cut) -> npt.NDArray[np.bool_]:
    """Whether a word begins at each character, ``(characters,)``."""
    begins = np.zeros(len(text), dtype=np.bool_)
    words: Sequence[str] = cut(text)
    ends = np.cumsum([len(word) for word in words], dtype=np.int64)
    begins[0:1] = True
    begins[ends[ends < len(text)]] = True
    return begins
