"""A vocabulary of an encoder's own: Chinese characters, and an embedding for them from a teacher with other tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, normalizers
from torch import Tensor

from duobiao.errors import ConfigError
from duobiao.models.pretrained import learn_vocabulary, wordpiece_tokenizer

_HAN = re.compile(r"[㐀-䶿一-鿿]")
_ALIKE = {"[PAD]": "<pad>", "[UNK]": "<unk>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
_SPACE = "▁"


def character_tokenizer(texts: Iterable[str], size: int, teacher: Tokenizer) -> Tokenizer:
    """A WordPiece tokenizer in which each Chinese character is a token; the same every time.

    Texts are brought to NFKC first, so that full-width letters and digits are the ordinary ones.

    Args:
        texts: What pieces and characters are learned from.
        size: Tokens that are learned.
        teacher: Chinese characters that are tokens of this one are added, seen or not: their embedding is known.
    """
    form = normalizers.NFKC()
    learned = learn_vocabulary([form.normalize_str(text) for text in texts], size)
    known = {token.removeprefix(_SPACE).removeprefix("##") for token in teacher.get_vocab()}
    more = sorted(token for token in known if _HAN.fullmatch(token) and token not in learned)
    return with_nfkc(wordpiece_tokenizer({**learned, **{token: len(learned) + at for at, token in enumerate(more)}}, True))


def with_nfkc(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with NFKC before its own normalisation."""
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), tokenizer.normalizer])
    return tokenizer


def read_tokenizer(path: str) -> Tokenizer:
    """A tokenizer from its file.

    Raises:
        ConfigError: If there is none.
    """
    try:
        return Tokenizer.from_str(Path(path).read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises nothing finer
        raise ConfigError(f"{path}: no tokenizer can be read: {error}", hint="give a tokenizer.json") from error


@torch.no_grad()
def embedding_for(tokenizer: Tokenizer, teacher: Tokenizer, embedding: Tensor) -> Tensor:
    """Start of an embedding: what the teacher has for a token's characters.

    That is its token of the same text if it has one, else the mean of the tokens that it spells the text with; the mean of all
    where it knows none of the characters.

    Args:
        tokenizer: The new one.
        teacher: The other one.
        embedding: The teacher's, ``(its tokens, width)``.

    Returns:
        ``(tokens, width)``.
    """
    vocabulary, found = tokenizer.get_vocab(), embedding.mean(0).repeat(tokenizer.get_vocab_size(), 1)
    unknown = next(
        (
            number
            for name in _ALIKE.items()
            for one in name
            if (number := teacher.token_to_id(one)) is not None and one in ("[UNK]", "<unk>")
        ),
        None,
    )
    for token, number in vocabulary.items():
        text = token.removeprefix("##")
        same = [teacher.token_to_id(one) for one in (token, _ALIKE.get(token, token), text, _SPACE + text)]
        ids = [one for one in same if one is not None][:1]
        if not ids and token not in _ALIKE:
            spelled = teacher.encode(text, add_special_tokens=False)
            ids = [one for one, name in zip(spelled.ids, spelled.tokens, strict=True) if one != unknown and name != _SPACE]
        if ids:
            found[number] = embedding[ids].mean(0)
    return found
