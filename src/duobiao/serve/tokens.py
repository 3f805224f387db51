"""How many tokens a model reads, and how many of them it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from duobiao.data.encode import Encoded, Pair

_UNKNOWN = ("[UNK]", "<unk>")


class CountedEncoder:
    """A backend's encoder that counts what it encodes.

    Args:
        encoder: The encoder; all but ``encode`` is its own.
        unknown: The id of the unknown token.
    """

    def __init__(self, encoder: Any, unknown: int) -> None:
        self._encoder, self._unknown = encoder, unknown
        self._tokens = self._missed = 0

    @classmethod
    def around(cls, backend: Any) -> CountedEncoder | None:
        """Puts itself around the encoder of a backend; None where it has none, or no unknown token."""
        encoder = getattr(backend, "encoder", None)
        tokenizer = getattr(encoder, "tokenizer", None)
        if tokenizer is None:
            return None
        ids = [tokenizer.token_to_id(name) for name in _UNKNOWN]
        known = [number for number in ids if number is not None]
        if not known:
            return None
        counted = cls(encoder, known[0])
        backend.encoder = counted
        return counted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, pairs: Sequence[Pair]) -> Encoded:
        found: Encoded = self._encoder.encode(pairs)
        self._tokens += sum(len(ids) for ids in found.ids)
        self._missed += sum(int(np.count_nonzero(ids == self._unknown)) for ids in found.ids)
        return found

    def take(self) -> tuple[int, int]:
        """Tokens and unknown ones since the last call."""
        found = self._tokens, self._missed
        self._tokens = self._missed = 0
        return found
