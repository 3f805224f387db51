"""The tokenizer of a published encoder, from its own files and never from the class of its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer
from transformers import PreTrainedTokenizerFast

from duobiao.errors import ConfigError
from duobiao.models.encoder_files import VOCABULARIES, find_file, read_json
from duobiao.models.sentencepiece_file import read_pieces, xlm_roberta_tokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
FROM_PADDING = {"camembert", "data2vec-text", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl"}
"""Kinds whose positions begin after the padding id."""
_LONGEST = 8192
_ROLES = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}
_CASE = {"do_lower_case": "lowercase", "strip_accents": "strip_accents", "tokenize_chinese_chars": "handle_chinese_chars"}


def wordpiece_tokenizer(
    vocabulary: dict[str, int], lowercase: bool, strip_accents: bool | None = None, chinese: bool = True
) -> Tokenizer:
    """BERT's tokenizer over a vocabulary: each Chinese character a token, pairs as ``[CLS] A [SEP] B [SEP]``.

    Args:
        vocabulary: Word to id.
        lowercase: Whether case is dropped.
        strip_accents: Whether accents are; as ``lowercase`` says, if it is None.
        chinese: Whether Chinese characters are taken apart.
    """
    made = BertWordPieceTokenizer(
        vocab=vocabulary, lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=chinese
    )
    return Tokenizer.from_str(made.to_str())


def load_tokenizer(name: str, folder: Path, config: Any) -> tuple[Tokenizer, int]:
    """The tokenizer and its padding id.

    ``tokenizer.json`` is taken first, then BERT's ``vocab.txt``, then XLM-R's ``sentencepiece.bpe.model``.

    Args:
        name: The encoder, for messages.
        folder: Where its files are.
        config: Its configuration.

    Raises:
        ConfigError: If there is no vocabulary, or the files contradict each other or the encoder.
    """
    settings = read_json(name, folder, "tokenizer_config.json")
    path = find_file(name, folder, *VOCABULARIES)
    if path is None:
        raise ConfigError(
            f"encoder {name!r}: no tokenizer.json, vocab.txt or sentencepiece model",
            hint="copy the tokenizer's files of the same model into the folder",
        )
    if path.name == "tokenizer.json":
        tokenizer = _with_case(_read_tokenizer(name, path), settings)
    elif path.name == "vocab.txt":
        vocabulary = _read_words(name, path)
        _check_special(name, vocabulary)
        lowercase, chinese = bool(settings.get("do_lower_case", True)), bool(settings.get("tokenize_chinese_chars", True))
        tokenizer = wordpiece_tokenizer(vocabulary, lowercase, settings.get("strip_accents"), chinese)
    else:
        tokenizer = _from_pieces(name, path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    wanted = str(settings.get("tokenizer_class") or getattr(config, "tokenizer_class", None) or "")
    _check_kind(name, path, tokenizer, wanted)
    _check_agreement(name, folder, path, tokenizer, config)
    return tokenizer, _pad_id(name, tokenizer, settings, config)


def _read_words(name: str, path: Path) -> dict[str, int]:
    """A vocabulary with a word a line; some of BERT's words are themselves line breaks of other kinds."""
    try:
        words = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"encoder {name!r}: {path.name} is not in UTF-8: {error}", hint="fetch the file anew") from error
    return {word: at for at, word in enumerate(words)}


def _check_special(name: str, vocabulary: dict[str, int]) -> None:
    missing = [token for token in SPECIAL[:4] if token not in vocabulary]
    if missing:
        raise ConfigError(
            f"encoder {name!r}: vocab.txt is not BERT's, it lacks {', '.join(missing)}",
            hint="put the tokenizer.json of the model into the folder, or a vocab.txt with one word a line",
        )


def save_tokenizer(tokenizer: Tokenizer, pad_id: int, longest: int, folder: Path, *, segments: bool | None = None) -> None:
    """Writes a tokenizer as transformers reads it.

    Args:
        tokenizer: The tokenizer.
        pad_id: The id that fills short rows.
        longest: Tokens of an input at most.
        folder: Where to.
        segments: Whether the tokenizer gives segment ids; as transformers has it by default, if it is None.
    """
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    special = {name: next((one for one in some if plain.token_to_id(one) is not None), None) for name, some in _ROLES.items()}
    special["pad_token"] = plain.id_to_token(pad_id)
    known = {name: token for name, token in special.items() if token is not None}
    names = ["input_ids", *(["token_type_ids"] if segments else []), "attention_mask"]
    read = {} if segments is None else {"model_input_names": names}
    made = PreTrainedTokenizerFast(tokenizer_object=plain, model_max_length=min(longest, _LONGEST), **known, **read)
    made.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(plain.to_str(), encoding="utf-8")  # the same without indentation: half the size


def _read_tokenizer(name: str, path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing finer
        raise ConfigError(f"encoder {name!r}: tokenizer.json cannot be read: {error}", hint="fetch the file anew") from error
    if tokenizer.num_special_tokens_to_add(False) == 0:
        raise ConfigError(
            f"encoder {name!r}: tokenizer.json puts no [CLS] and [SEP] around a text, which the encoder was trained with",
            hint="fetch the tokenizer.json of this model; it needs a post_processor",
        )
    return tokenizer


def _with_case(tokenizer: Tokenizer, settings: dict[str, Any]) -> Tokenizer:
    """Lets ``tokenizer_config.json`` decide about case, accents and Chinese characters, as transformers does for BERT."""
    form = json.loads(tokenizer.to_str())
    normalizer = form["normalizer"] or {}
    if form["model"]["type"] != "WordPiece" or normalizer.get("type") != "BertNormalizer":
        return tokenizer
    said = {field: settings[key] for key, field in _CASE.items() if settings.get(key) is not None}
    if all(normalizer.get(field) == value for field, value in said.items()):
        return tokenizer
    normalizer.update(said)
    return Tokenizer.from_str(json.dumps(form))


def _from_pieces(name: str, path: Path) -> Tokenizer:
    if path.name != "sentencepiece.bpe.model":
        raise ConfigError(
            f"encoder {name!r}: {path.name} does not say how text is prepared and framed",
            hint="put the tokenizer.json of the model beside it (a Chinese ALBERT needs BERT's vocab.txt instead)",
        )
    try:
        return xlm_roberta_tokenizer(read_pieces(path))
    except Exception as error:  # a damaged file is read in any way
        raise ConfigError(
            f"encoder {name!r}: {path.name} is not XLM-R's: {error}",
            hint="fetch the file anew, or put the tokenizer.json of the model beside it",
        ) from error


def _check_kind(name: str, path: Path, tokenizer: Tokenizer, wanted: str) -> None:
    """Refuses a vocabulary of another kind than the class that the model's files name.

    ``AlbertTokenizer`` counts for nothing: it is what is guessed for a Chinese ALBERT, whose vocabulary is BERT's.
    """
    wordpiece = type(tokenizer.model).__name__ == "WordPiece"
    if (wanted.startswith("XLMRoberta") and wordpiece) or (wanted.startswith("Bert") and not wordpiece):
        right = "tokenizer.json or sentencepiece.bpe.model" if wordpiece else "vocab.txt"
        raise ConfigError(
            f"encoder {name!r}: its files name {wanted}, but {path.name} is a {type(tokenizer.model).__name__} vocabulary",
            hint=f"remove {path.name} and copy {right} of the same model into the folder",
        )


def _check_agreement(name: str, folder: Path, taken: Path, tokenizer: Tokenizer, config: Any) -> None:
    """Refuses several vocabularies of which the one that is taken need not be the model's."""
    wordpiece = type(tokenizer.model).__name__ == "WordPiece"
    sizes = {taken.name: tokenizer.get_vocab_size(with_added_tokens=True)}
    words = find_file(name, folder, "vocab.txt") if taken.name == "tokenizer.json" else None
    if words is not None and wordpiece:
        other, own = _read_words(name, words), tokenizer.get_vocab()
        wrong = [f"{word!r}: {own[word]} and {at}" for word, at in other.items() if own.get(word, at) != at]
        if wrong:
            raise ConfigError(
                f"encoder {name!r}: tokenizer.json and vocab.txt give {len(wrong)} words different ids",
                hint="they come from different models; remove the one that is not this model's",
                problems=wrong[:10],
            )
    elif words is not None:
        sizes["vocab.txt"] = len(_read_words(name, words))
    pieces = find_file(name, folder, *VOCABULARIES[2:]) if wordpiece else None
    if pieces is not None:
        sizes[pieces.name] = _count_pieces(pieces)
    if len(sizes) > 1 and sizes[taken.name] != config.vocab_size:
        raise ConfigError(
            f"encoder {name!r}: the folder holds vocabularies of two kinds, and {taken.name}, which would be taken, does not "
            f"have the {config.vocab_size} words of config.json",
            hint="remove the vocabulary that is not this model's",
            problems=[f"{file}: {size or 'unreadable'}" for file, size in sizes.items()],
        )


def _count_pieces(path: Path) -> int:
    try:
        return len(read_pieces(path).scored)
    except ValueError:
        return 0


def _pad_id(name: str, tokenizer: Tokenizer, settings: dict[str, Any], config: Any) -> int:
    token = settings.get("pad_token")
    own = getattr(config, "pad_token_id", None)
    candidates = [token.get("content") if isinstance(token, dict) else token, "[PAD]", "<pad>"]
    found = next((at for one in candidates if one and (at := tokenizer.token_to_id(one)) is not None), own)
    if found is None:
        raise ConfigError(f"encoder {name!r}: no padding token is known", hint="name pad_token in tokenizer_config.json")
    if config.model_type in FROM_PADDING and own is not None and own != found:
        raise ConfigError(
            f"encoder {name!r}: the tokenizer pads with id {found}, but the encoder counts positions from padding id {own}",
            hint="tokenizer and weights come from different models; put the matching vocabulary into the folder",
        )
    return int(found)
