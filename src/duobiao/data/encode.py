"""Rows to token ids: the one road from (context, text) to what an encoder reads, in training and in serving."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from duobiao.config import InputSettings
from duobiao.data.clean import build_chain

Ids = npt.NDArray[np.int64]
Pair = tuple[str, str | None]
TOKEN_BUDGET = 4096
"""Padded tokens of a forward pass."""


class Segments(Protocol):
    """Builds the first segment."""

    def __call__(self, pairs: Sequence[Pair], cleaned: Sequence[Pair]) -> tuple[list[Pair], Ids | None]:
        """Inputs (text, first segment) from (text, context) pairs, as given and cleaned.

        Where a row has several inputs, they come row after row, with slots of shape ``(rows, labels)``: the number of the
        input that scores each label, -1 where none does.
        """
        ...


@dataclass(frozen=True)
class Encoded:
    """Token ids of rows, each as long as it is.

    Attributes:
        ids: One array of token ids an input; an input is a row, unless there are slots.
        types: One array of segment ids an input: 0 for the first segment (the context, if there is one), 1 for the second.
        slots: Where a row has an input for each label that it is asked: the input of each label, ``(rows, labels)``, else -1.
        features: Numbers beside the text, ``(rows, width)``.
    """

    ids: list[Ids]
    types: list[Ids]
    slots: Ids | None = None
    features: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids) if self.slots is None else len(self.slots)

    @property
    def lengths(self) -> Ids:
        """What a row costs, in tokens: its length or, with several inputs, their number times the longest."""
        own = np.fromiter((len(ids) for ids in self.ids), dtype=np.int64, count=len(self.ids))
        if self.slots is None:
            return own
        longest = np.where(self.slots >= 0, np.append(own, 0)[self.slots], 0).max(axis=1, initial=0)
        found: Ids = longest * (self.slots >= 0).sum(axis=1)
        return found


class RowEncoder:
    """Cleans, pairs and tokenizes.

    Args:
        tokenizer: A fast tokenizer with its post-processor, which places [CLS] and [SEP].
        settings: Cleaning chain, use of the context, longest input.
        pad_id: The id that fills short rows.
        segments: Builds the first segment; by default it is the context.
    """

    def __init__(self, tokenizer: Tokenizer, settings: InputSettings, pad_id: int, segments: Segments | None = None) -> None:
        self.settings = settings
        self.segments = segments
        self.pad_id = pad_id
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(settings.max_length, strategy="longest_first")
        self._clean = build_chain(settings.clean)
        special = [token.content for token in self.tokenizer.get_added_tokens_decoder().values() if token.special]
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")

    def encode(self, pairs: Sequence[Pair]) -> Encoded:
        """Encodes (text, context) as ``[context][SEP][text]``, a true pair; the text alone without a context.

        With ``segments`` something else stands before the text.
        """
        inputs, slots = self.inputs(pairs)
        found = self.tokenizer.encode_batch_fast([text if first is None else (first, text) for text, first in inputs])
        return Encoded(
            ids=[np.asarray(one.ids, dtype=np.int64) for one in found],
            types=[np.asarray(one.type_ids, dtype=np.int64) for one in found],
            slots=slots,
        )

    def inputs(self, pairs: Sequence[Pair]) -> tuple[list[Pair], Ids | None]:
        """What the tokenizer is given: (text, first segment) of each input, and the slots where rows have several inputs."""
        inputs, slots = prepare(pairs, self._clean, self.settings.context), None
        if self.segments is not None:
            inputs, slots = self.segments(pairs, inputs)
        typed = self.as_typed
        return [(typed(text), None if first is None else typed(first)) for text, first in inputs], slots

    def as_typed(self, text: str) -> str:
        """A "[SEP]" that somebody typed is text, so it is taken apart before the tokenizer could take it for its own."""
        return self._special.sub(lambda found: f"{found[0][:1]} {found[0][1:]}", text)

    def pad(self, encoded: Encoded, rows: Sequence[int] | Ids) -> dict[str, npt.NDArray[Any]]:
        """A padded batch of the given rows.

        ``input_ids``, ``attention_mask``, ``token_type_ids``, each ``(inputs, length)``; ``features`` and ``slots`` where there
        are such, one entry a row, the slots counted inside the batch.
        """
        extra: dict[str, npt.NDArray[Any]] = {}
        chosen = np.asarray(rows, dtype=np.int64)
        if encoded.features is not None:
            extra["features"] = encoded.features[chosen]
        if encoded.slots is not None:
            wanted = encoded.slots[chosen] >= 0
            rows = encoded.slots[chosen][wanted]
            extra["slots"] = np.where(wanted, np.cumsum(wanted).reshape(wanted.shape) - 1, -1)
        return {**self._pad(encoded, rows), **extra}

    def _pad(self, encoded: Encoded, rows: Sequence[int] | Ids) -> dict[str, Ids]:
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
