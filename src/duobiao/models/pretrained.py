"""Hugging Face encoders by hub name or folder, and small ones from random weights, each with its own tokenizer."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, PreTrainedModel
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from duobiao.config import EncoderShape
from duobiao.errors import ConfigError

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SENTENCEPIECE = ("sentencepiece.bpe.model", "spiece.model", "tokenizer.model")
_HUB_SECONDS = 10.0


@dataclass(frozen=True)
class Pretrained:
    """An encoder with the tokenizer it was trained with.

    Attributes:
        model: The encoder, without a pooler, in float32.
        tokenizer: Its fast tokenizer.
        pad_id: The id that fills short rows.
    """

    model: PreTrainedModel
    tokenizer: Tokenizer
    pad_id: int


def folder_digest(name: str) -> str:
    """A name for what an encoder's local folder holds; empty for a name on the hub, which its revision tells apart."""
    folder = Path(name)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()


def sources_digest(paths: Sequence[str]) -> str:
    """A name for what files and folders hold; empty for none.

    Raises:
        ConfigError: Naming every path where there is nothing.
    """
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise ConfigError(
            "files or folders that the configuration names are not there", hint="correct the paths", problems=missing
        )
    digests = []
    for path in paths:
        if Path(path).is_file():
            with Path(path).open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        else:
            digests.append(folder_digest(path))
    return "\0".join(digests)


def load_pretrained(name: str, revision: str | None = None) -> Pretrained:
    """Loads an encoder from a local folder or the hub.

    The tokenizer is read from ``tokenizer.json``; a folder that holds only BERT's ``vocab.txt`` (Chinese ALBERT does) gets
    a WordPiece tokenizer made from it. It is never guessed from the model's class.

    Args:
        name: Folder, or name on the hub.
        revision: Git revision on the hub.

    Raises:
        ConfigError: If it cannot be found, has no usable tokenizer, or its weights do not fill the encoder.
    """
    place: dict[str, Any] = {"revision": revision, "local_files_only": Path(name).is_dir() or not _hub_answers(name)}
    try:
        with quiet():
            config = AutoConfig.from_pretrained(name, trust_remote_code=False, **place)
            model, info = AutoModel.from_pretrained(
                name,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
                trust_remote_code=False,
                **place,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        what = "folder" if Path(name).is_dir() else "name (no such folder here, and the hub did not give it)"
        raise ConfigError(
            f"encoder {name!r}: this {what} holds no encoder that can be loaded: {error}".splitlines()[0],
            hint="download the model where there is a network, copy its folder here, and pass --set encoder=FOLDER",
        ) from error
    half = [key for key in info["missing_keys"] if "pooler" not in key and not key.endswith("position_ids")]
    half += [f"{key[0]} (shape differs)" for key in info["mismatched_keys"]]
    if half:
        raise ConfigError(
            f"encoder {name!r}: its weights leave {len(half)} tensors of the encoder unfilled",
            hint="the files do not belong together, or the download is incomplete; fetch the model anew",
            problems=half,
        )
    tokenizer, pad_id = _load_tokenizer(name, place, config)
    return Pretrained(check_fit(name, without_pooler(model), tokenizer), tokenizer, pad_id)


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back the loader's own report and bar; what matters in it is checked and raised here."""
    level, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bar:
            transformers_logging.enable_progress_bar()


def without_pooler(model: PreTrainedModel) -> PreTrainedModel:
    """Drops the pooler, which nothing here reads."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def check_fit(name: str, model: PreTrainedModel, tokenizer: Tokenizer) -> PreTrainedModel:
    """Refuses a tokenizer with ids that the model has no embedding for."""
    highest = max(tokenizer.get_vocab().values())
    size = model.get_input_embeddings().weight.shape[0]
    if highest >= size:
        raise ConfigError(
            f"encoder {name!r}: the tokenizer has ids up to {highest}, the embedding only {size} rows",
            hint="tokenizer and weights come from different models; put the matching vocabulary into the folder",
        )
    return model


def encoder_from_config(config: dict[str, Any]) -> PreTrainedModel:
    """An encoder of the form stored in a bundle, to be filled with the bundle's weights."""
    data = dict(config)
    return without_pooler(AutoModel.from_config(AutoConfig.for_model(data.pop("model_type"), **data)))


def random_encoder(shape: EncoderShape, texts: Iterable[str], max_length: int) -> Pretrained:
    """A small BERT from random weights, with a WordPiece vocabulary learned from the given texts."""
    tokenizer = wordpiece_tokenizer(_learn_vocabulary(list(texts), shape.vocab_size), lowercase=True)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=max(max_length, 512),
        pad_token_id=0,
    )
    return Pretrained(without_pooler(AutoModel.from_config(config)), tokenizer, 0)


def _learn_vocabulary(texts: Sequence[str], size: int) -> dict[str, int]:
    """A WordPiece vocabulary, the same every time.

    The trainer keeps and numbers single characters in random order, so it is told all of them: the most frequent ones,
    and those that go on a word as ``##c``.
    """
    wordpiece, split = BertWordPieceTokenizer(lowercase=True), BertPreTokenizer().pre_tokenize_str
    words = Counter(word for text in texts for word, _ in split(wordpiece.normalize(text)))
    counts: Counter[str] = Counter()
    for word, count in words.items():
        counts.update(dict.fromkeys(word, count))
    inner = {character for word in words for character in word[1:]}
    room, alphabet = size - len(_SPECIAL), list[str]()
    for character in sorted(counts, key=lambda character: (-counts[character], character)):
        room -= 1 + (character in inner)
        if room < 0:
            break
        alphabet.append(character)
    wordpiece.train_from_iterator(
        texts,
        vocab_size=size,
        min_frequency=2,
        limit_alphabet=len(alphabet),
        initial_alphabet=alphabet,
        special_tokens=[*_SPECIAL, *(f"##{character}" for character in alphabet if character in inner)],
        show_progress=False,
    )
    return dict(wordpiece.get_vocab())


def wordpiece_tokenizer(vocabulary: dict[str, int], lowercase: bool) -> Tokenizer:
    """BERT's tokenizer over a vocabulary: each Chinese character a token, pairs as ``[CLS] A [SEP] B [SEP]``."""
    made = BertWordPieceTokenizer(vocab=vocabulary, lowercase=lowercase, handle_chinese_chars=True)
    return Tokenizer.from_str(made.to_str())


def _hub_answers(name: str) -> bool:
    """Whether the hub can be asked; one quick question, because loading without a network tries for half a minute."""
    try:
        HfApi().model_info(name, timeout=_HUB_SECONDS)
    except HfHubHTTPError:
        return True  # it answers, if only to refuse
    except Exception:  # no network, offline mode, no name of a model: only what was fetched before can be used
        return False
    return True


def _load_tokenizer(name: str, place: dict[str, Any], config: Any) -> tuple[Tokenizer, int]:
    def file(filename: str) -> Path | None:
        found = cached_file(
            name,
            filename,
            **place,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            _raise_exceptions_for_gated_repo=False,
        )
        return Path(found) if found else None

    settings_file = file("tokenizer_config.json")
    settings = json.loads(settings_file.read_text(encoding="utf-8")) if settings_file else {}
    ready, vocabulary = file("tokenizer.json"), file("vocab.txt")
    if ready:
        tokenizer = _read_tokenizer(name, ready)
    elif vocabulary:
        words = vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n")  # some words are themselves line breaks
        missing = [token for token in _SPECIAL[:4] if token not in words]
        if missing:
            raise ConfigError(
                f"encoder {name!r}: vocab.txt is not BERT's, it lacks {', '.join(missing)}",
                hint="put the tokenizer.json of the model into the folder",
            )
        tokenizer = wordpiece_tokenizer({w: i for i, w in enumerate(words)}, bool(settings.get("do_lower_case", True)))
    elif any(file(candidate) for candidate in _SENTENCEPIECE):
        slow = AutoTokenizer.from_pretrained(name, **place, trust_remote_code=False)
        tokenizer = Tokenizer.from_str(slow.backend_tokenizer.to_str())
    else:
        raise ConfigError(
            f"encoder {name!r}: no tokenizer.json, vocab.txt or sentencepiece model",
            hint="copy the tokenizer's files of the same model into the folder",
        )
    return tokenizer, _pad_id(name, tokenizer, settings, config)


def _read_tokenizer(name: str, path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing finer
        raise ConfigError(f"encoder {name!r}: tokenizer.json cannot be read: {error}", hint="fetch the file anew") from error


def _pad_id(name: str, tokenizer: Tokenizer, settings: dict[str, Any], config: Any) -> int:
    token = settings.get("pad_token")
    candidates = [token.get("content") if isinstance(token, dict) else token, "[PAD]", "<pad>"]
    for candidate in candidates:
        found = tokenizer.token_to_id(candidate) if candidate else None
        if found is not None:
            return int(found)
    if getattr(config, "pad_token_id", None) is not None:
        return int(config.pad_token_id)
    raise ConfigError(f"encoder {name!r}: no padding token is known", hint="name pad_token in tokenizer_config.json")
