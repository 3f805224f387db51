"""Rows to token ids: the one road from (context, text) to what an encoder reads, in training and in serving."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from duobiao.config import InputSettings
from duobiao.data.clean import build_chain

Ids = npt.NDArray[np.int64]
Pair = tuple[str, str | None]


@dataclass(frozen=True)
class Encoded:
    """Token ids of rows, each as long as it is.

    Attributes:
        ids: One array of token ids a row.
        types: One array of segment ids a row: 0 for the first segment (the context, if there is one), 1 for the second.
    """

    ids: list[Ids]
    types: list[Ids]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> Ids:
        return np.fromiter((len(ids) for ids in self.ids), dtype=np.int64, count=len(self.ids))


class RowEncoder:
    """Cleans, pairs and tokenizes.

    Args:
        tokenizer: A fast tokenizer with its post-processor, which places [CLS] and [SEP].
        settings: Cleaning chain, use of the context, longest input.
        pad_id: The id that fills short rows.
    """

    def __init__(self, tokenizer: Tokenizer, settings: InputSettings, pad_id: int) -> None:
        self.settings = settings
        self.pad_id = pad_id
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(settings.max_length, strategy="longest_first")
        self._clean = build_chain(settings.clean)
        special = [token.content for token in self.tokenizer.get_added_tokens_decoder().values() if token.special]
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")

    def encode(self, pairs: Sequence[Pair]) -> Encoded:
        """Encodes (text, context) as ``[context][SEP][text]``, a true pair; the text alone without a context."""
        inputs = prepare(pairs, self._clean, self.settings.context)
        typed = self._as_typed
        found = self.tokenizer.encode_batch_fast(
            [typed(text) if context is None else (typed(context), typed(text)) for text, context in inputs]
        )
        return Encoded(
            ids=[np.asarray(one.ids, dtype=np.int64) for one in found],
            types=[np.asarray(one.type_ids, dtype=np.int64) for one in found],
        )

    def _as_typed(self, text: str) -> str:
        """A "[SEP]" that somebody typed is text, so it is taken apart before the tokenizer could take it for its own."""
        return self._special.sub(lambda found: f"{found[0][:1]} {found[0][1:]}", text)

    def pad(self, encoded: Encoded, rows: Sequence[int] | Ids) -> dict[str, Ids]:
        """A padded batch of the given rows: ``input_ids``, ``attention_mask``, ``token_type_ids``, each ``(rows, length)``."""
        length = max((len(encoded.ids[row]) for row in rows), default=1)
        shape = (len(rows), max(length, 1))
        ids, mask, types = np.full(shape, self.pad_id, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for position, row in enumerate(rows):
            size = len(encoded.ids[row])
            ids[position, :size] = encoded.ids[row]
            types[position, :size] = encoded.types[row]
            mask[position, :size] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def prepare(pairs: Sequence[Pair], clean: Callable[[str], str], context: str) -> list[Pair]:
    """Cleaned (text, context) pairs; the context is left out where the setting says ``none``."""
    return [(clean(text), clean(where) if where is not None and context == "pair" else None) for text, where in pairs]


def batches(lengths: Ids, token_budget: int, max_rows: int) -> list[Ids]:
    """Row numbers cut into batches of like length: ``longest * rows <= token_budget`` (a single row may exceed it).

    Args:
        lengths: Tokens of each row, shape ``(rows,)``.
        token_budget: Padded tokens a batch may hold.
        max_rows: Rows a batch may hold.
    """
    found: list[Ids] = []
    start = 0
    order = np.argsort(-lengths, kind="stable")
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        stop = start + max(1, min(max_rows, token_budget // longest))
        found.append(order[start:stop])
        start = stop
    return found
