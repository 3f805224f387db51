"""Reads a sentencepiece model without its library, and makes XLM-R's tokenizer from it.

The file is a protocol buffer; the few fields that are needed are those of ``sentencepiece_model.proto``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

_UNIGRAM = 1
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_MASK = "<mask>"


@dataclass(frozen=True)
class Pieces:
    """What a sentencepiece model holds.

    Attributes:
        scored: Pieces with their log probabilities, by id.
        unigram: Whether it is a unigram model; the others are of no use here.
        charsmap: The compiled rules that normalise characters; empty for none.
    """

    scored: list[tuple[str, float]]
    unigram: bool
    charsmap: bytes


def read_pieces(path: Path) -> Pieces:
    """Reads a sentencepiece model.

    Raises:
        ValueError: If it is none.
    """
    scored: list[tuple[str, float]] = []
    kind, charsmap = _UNIGRAM, b""
    try:
        for field, value in _fields(path.read_bytes()):
            if field == 1 and isinstance(value, bytes):  # a piece
                one = dict(_fields(value))
                score = one.get(2, b"\0\0\0\0")
                scored.append((bytes(one[1]).decode("utf-8"), struct.unpack("<f", score)[0]))  # type: ignore[arg-type]
            elif field == 2 and isinstance(value, bytes):  # trainer_spec: model_type
                kind = int(dict(_fields(value)).get(3, _UNIGRAM))
            elif field == 3 and isinstance(value, bytes):  # normalizer_spec: precompiled_charsmap
                charsmap = bytes(dict(_fields(value)).get(2, b""))
    except (IndexError, KeyError, TypeError, UnicodeDecodeError, struct.error) as error:
        raise ValueError("it is no sentencepiece model") from error
    if not scored:
        raise ValueError("it is no sentencepiece model")
    return Pieces(scored, kind == _UNIGRAM, charsmap)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of one message of a protocol buffer."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if wire not in (1, 2, 5):
            raise ValueError("it is no sentencepiece model")
        size = {1: 8, 5: 4}.get(wire, 0)
        if wire == 2:
            size, at = _varint(data, at)
        if at + size > len(data):
            raise ValueError("it is cut short")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("it is no sentencepiece model")


def xlm_roberta_tokenizer(pieces: Pieces) -> Tokenizer:
    """XLM-R's tokenizer: ``<s> A </s> </s> B </s>``, segment 0 throughout.

    Its ids are fairseq's: four special tokens, the pieces from the fourth on, ``<mask>``.

    Raises:
        ValueError: If the pieces are not XLM-R's.
    """
    if not pieces.unigram or [piece for piece, _ in pieces.scored[:3]] != ["<unk>", "<s>", "</s>"]:
        raise ValueError("it is no unigram model that begins with <unk>, <s>, </s>")
    scored = [(token, 0.0) for token in _SPECIAL] + pieces.scored[3:] + [(_MASK, 0.0)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=3))
    if pieces.charsmap:
        tokenizer.normalizer = normalizers.Precompiled(pieces.charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens([*_SPECIAL, _MASK])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B:0 </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer
