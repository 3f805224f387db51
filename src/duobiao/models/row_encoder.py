"""The tokenizer of a bundle, whatever computes behind it."""

from __future__ import annotations

from tokenizers import Tokenizer

from duobiao.bundle import Bundle
from duobiao.config import InputSettings
from duobiao.data.encode import RowEncoder
from duobiao.features.apply import Features

TOKENIZER = "tokenizer.json"


def make_encoder(bundle: Bundle) -> RowEncoder:
    """The tokenizer of a bundle, with its cleaning and its first segment."""
    tokenizer = Tokenizer.from_str(bundle.files[TOKENIZER])
    segments = Features.from_bundle(bundle).segments(bundle.space)
    return RowEncoder(tokenizer, InputSettings(**bundle.input), int(bundle.model["pad_id"]), segments)
