"""What a tokenizer makes of the rows: characters it does not know, and rows that are cut."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

from duobiao import progress
from duobiao.bundle import MANIFEST, read_bundle
from duobiao.config import InputSettings
from duobiao.data.encode import Pair, RowEncoder
from duobiao.doctor.dataset import Dataset
from duobiao.doctor.findings import Finding, row_finding, shown
from duobiao.errors import ConfigError

LENGTHS = (64, 128, 256, 512)
_MUCH = 0.01
_CHUNK = 10_000
_ROUGHLY = re.compile(r"[A-Za-z\u00c0-\u024f]{1,8}|\d{1,4}|[^\sA-Za-z\u00c0-\u024f\d]")


@dataclass(frozen=True)
class Tokens:
    """What the rows are made of.

    Attributes:
        lengths: Tokens of each row, special tokens included, shape ``(rows,)``.
        unknown: What the tokenizer did not know, for each row that has any.
        exact: Whether a tokenizer counted; else one token a Chinese character, word or short number was assumed.
        max_length: The model's longest input.
    """

    lengths: npt.NDArray[np.int64]
    unknown: dict[int, list[str]]
    exact: bool
    max_length: int


class TokenReader:
    """A model's tokenizer with its cleaning.

    Args:
        tokenizer: The tokenizer.
        settings: Cleaning, use of the context, longest input.
    """

    def __init__(self, tokenizer: Tokenizer, settings: InputSettings) -> None:
        self.max_length = settings.max_length
        self.encoder = RowEncoder(tokenizer, settings.model_copy(update={"max_length": 8192}), 0)
        self.unknown = _unknown_id(self.encoder.tokenizer)

    def read(self, pairs: Sequence[Pair]) -> tuple[list[int], dict[int, list[str]]]:
        """The lengths of (text, context) pairs, and of those with unknown pieces what these are."""
        encoded = self.encoder.encode(pairs)
        touched = [at for at, ids in enumerate(encoded.ids) if self.unknown is not None and (ids == self.unknown).any()]
        parts = [(at, part) for at in touched for part in pairs[at] if part]
        again = self.encoder.tokenizer.encode_batch([part for _, part in parts], add_special_tokens=False)
        found: dict[int, list[str]] = {}
        for (at, part), one in zip(parts, again, strict=True):
            pieces = [part[slice(*span)] for number, span in zip(one.ids, one.offsets, strict=True) if number == self.unknown]
            found.setdefault(at, []).extend(piece for piece in pieces if piece.strip())
        return encoded.lengths.tolist(), {at: pieces for at, pieces in found.items() if pieces}


def load_reader(model: Path) -> TokenReader | None:
    """The tokenizer of a bundle, a Hugging Face folder, or a ``tokenizer.json``; None for a bundle that has none.

    Raises:
        ConfigError: If there is no tokenizer.
        BundleError: If the bundle is damaged.
    """
    if (model / MANIFEST).is_file():
        bundle = read_bundle(model)
        text = bundle.files.get("tokenizer.json")
        return TokenReader(Tokenizer.from_str(text), InputSettings(**bundle.input)) if text else None
    file = model / "tokenizer.json" if model.is_dir() else model
    words = model / "vocab.txt"
    try:
        if file.is_file():
            tokenizer = Tokenizer.from_file(str(file))
        elif words.is_file():
            vocabulary = words.read_text(encoding="utf-8").removesuffix("\n").split("\n")
            tokenizer = _wordpiece({word: number for number, word in enumerate(vocabulary)}, model)
        else:
            raise ConfigError(
                f"--model {model}: no bundle, tokenizer.json or vocab.txt there",
                hint="give the folder that train wrote, or the folder of an encoder",
            )
    except ConfigError:
        raise
    except Exception as error:  # tokenizers raises bare exceptions
        raise ConfigError(f"--model {model}: no tokenizer that can be read: {error}", hint="fetch the file anew") from error
    return TokenReader(tokenizer, InputSettings())


def _wordpiece(vocabulary: dict[str, int], folder: Path) -> Tokenizer:
    settings = folder / "tokenizer_config.json"
    config: dict[str, Any] = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    made = BertWordPieceTokenizer(vocab=vocabulary, lowercase=bool(config.get("do_lower_case", True)))
    return Tokenizer.from_str(made.to_str())


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    return tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else None


def count_tokens(data: Dataset, reader: TokenReader | None) -> Tokens:
    """Counts the tokens of all rows; without a tokenizer it estimates."""
    lengths = np.zeros(len(data.rows), dtype=np.int64)
    unknown: dict[int, list[str]] = {}
    read: Callable[[Sequence[Pair]], tuple[list[int], dict[int, list[str]]]] = reader.read if reader else _estimate
    with progress.task("tokens", len(data.rows)) as task:
        for start in range(0, len(data.rows), _CHUNK):
            rows = data.rows[start : start + _CHUNK]
            found, pieces = read([(_sound(row.text), _sound(row.context) if row.context else None) for row in rows])
            lengths[start : start + len(rows)] = found
            unknown.update({start + at: names for at, names in pieces.items()})
            task.advance(len(rows))
    return Tokens(lengths, unknown, reader is not None, reader.max_length if reader else InputSettings().max_length)


def _sound(text: str) -> str:
    """A text without lone surrogates, which a tokenizer refuses."""
    return text if text.isascii() else text.encode("utf-8", "ignore").decode("utf-8")


def _estimate(pairs: Sequence[Pair]) -> tuple[list[int], dict[int, list[str]]]:
    def size(text: str | None) -> int:
        return sum(1 for _ in _ROUGHLY.finditer(text)) + 1 if text else 0

    return [1 + max(size(text), 1) + size(context) for text, context in pairs], {}


def check_tokens(data: Dataset, tokens: Tokens) -> list[Finding]:
    """Rows with unknown characters, and rows that are longer than the model reads."""
    cut = np.flatnonzero(tokens.lengths > tokens.max_length).tolist()
    counts = Counter(piece for pieces in tokens.unknown.values() for piece in pieces)
    names = [(shown(piece, 20), count) for piece, count in counts.most_common(30)]
    enough = next((length for length in LENGTHS if (tokens.lengths > length).mean() < _MUCH), LENGTHS[-1])
    much = len(cut) >= _MUCH * len(data.rows)
    touched = len(tokens.unknown) >= _MUCH * len(data.rows)
    return [
        *row_finding(
            data,
            "unknown",
            "warning" if touched else "note",
            list(tokens.unknown),
            lambda at: " ".join(shown(piece, 20) for piece in dict.fromkeys(tokens.unknown[at])),
            focus=lambda at: max(data.rows[at].text.find(tokens.unknown[at][0]), 0),
            names=names,
            kinds=len(counts),
            tokens=sum(counts.values()),
        ),
        *row_finding(
            data,
            "truncated",
            "warning" if much else "note",
            cut,
            lambda at: f"{tokens.lengths[at]}",
            max_length=tokens.max_length,
            enough=max(enough, tokens.max_length) if not much else enough,
            exact=tokens.exact,
        ),
    ]


def length_table(data: Dataset, tokens: Tokens) -> dict[str, dict[str, Any]]:
    """For each split the median and the longest row, and how many rows are longer than each of ``LENGTHS``."""
    owners = np.array(data.owners)
    found = {}
    for split in data.splits:
        lengths = tokens.lengths[owners == split.name] if len(owners) else tokens.lengths
        if len(lengths):
            longer = {str(length): int((lengths > length).sum()) for length in LENGTHS}
            found[split.name] = {
                "rows": len(lengths),
                "median": float(np.median(lengths)),
                "max": int(lengths.max()),
                "longer": longer,
            }
    return found
