"""Hugging Face encoders by hub name or folder, and small ones from random weights, each with its own tokenizer."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import AutoConfig, AutoModel, BertConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from duobiao.config import EncoderShape
from duobiao.errors import ConfigError
from duobiao.models.encoder_files import check_weights, find_folder, local_folder, read_config
from duobiao.models.tokenizer_files import SPECIAL, load_tokenizer, wordpiece_tokenizer

__all__ = [
    "Pretrained",
    "check_fit",
    "encoder_from_config",
    "folder_digest",
    "learn_vocabulary",
    "load_pretrained",
    "quiet",
    "random_encoder",
    "sources_digest",
    "without_pooler",
    "wordpiece_tokenizer",
]

_LAYER = re.compile(r"(?:[\w-]+\.)?encoder\.")


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
    folder = local_folder(name)
    if folder is None:
        return ""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()


def sources_digest(paths: Sequence[str]) -> str:
    """A name for what files and folders (or the built-in encoder) hold; empty for none.

    Raises:
        ConfigError: Naming every path where there is nothing.
    """
    missing = [path for path in paths if not Path(path).exists() and local_folder(path) is None]
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
    """Loads an encoder from a local folder or the hub, or the built-in one.

    The tokenizer comes from the files beside the weights; it is never guessed from the model's class. Weights are read as
    tensors only: no code from the hub or from a pickle is run.

    Args:
        name: Folder, or name on the hub.
        revision: Git revision on the hub.

    Raises:
        ConfigError: If it cannot be found, is no encoder, has no usable tokenizer, or its weights do not fill it.
    """
    folder = find_folder(name, revision)
    config = read_config(name, folder)
    weights = check_weights(name, folder)
    tokenizer, pad_id = load_tokenizer(name, folder, config)
    try:
        with quiet():
            model, info = AutoModel.from_pretrained(
                str(folder),
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
                trust_remote_code=False,
                local_files_only=True,
                weights_only=True,
            )
    except Exception as error:  # a damaged file is read in any way
        raise _unreadable(name, weights, error) from error
    _check_filled(name, model, info)
    return Pretrained(check_fit(name, without_pooler(model), tokenizer), tokenizer, pad_id)


def _unreadable(name: str, weights: Path, error: Exception) -> ConfigError:
    said = next(iter(str(error).splitlines()), "") or type(error).__name__
    hint = "fetch the file anew"
    if ".bin" in weights.name:
        hint += "; it may hold nothing but tensors, since nothing else in it is ever run (or take the model's safetensors)"
    return ConfigError(
        f"encoder {name!r}: this folder holds no encoder that can be loaded: {weights.name}: {said}",
        hint=hint,
    )


def _check_filled(name: str, model: PreTrainedModel, info: dict[str, Any]) -> None:
    """Refuses weights that leave a part of the encoder random, or that fill layers which it does not have.

    A pooler may be missing, since nothing reads it, and heads may be there.
    """
    own = {key for key, _ in model.named_parameters() if not key.startswith("pooler.")}
    half = sorted(key for key in info["missing_keys"] if key in own)
    wrong = [f"{key[0]} (shape differs)" for key in info["mismatched_keys"] if key[0] in own]
    foreign = sorted(info["unexpected_keys"])
    if len(half) == len(own):
        prefix = f"{model.base_model_prefix}."
        kind = model.config.model_type
        raise ConfigError(
            f"encoder {name!r}: none of its {len(own)} tensors is in the weights, whose names do not fit a {kind!r}",
            hint=f"names must begin with {prefix!r} or with nothing before 'embeddings.'; correct model_type in config.json, "
            "or rename the tensors (a saved DataParallel or classifier puts a prefix before them)",
            problems=[f"found: {key}" for key in foreign[:5]] + [f"wanted: {key}" for key in half[:5]],
        )
    if half or wrong:
        hint = "the files do not belong together, or the download is incomplete; fetch the model anew"
        if getattr(model.config, "auto_map", None):
            hint += ". Its config.json names program code of its own (auto_map), which is never run"
        raise ConfigError(
            f"encoder {name!r}: its weights leave {len(half + wrong)} tensors of the encoder unfilled",
            hint=hint,
            problems=half + wrong,
        )
    beyond = [key for key in foreign if _LAYER.match(key)]
    if beyond:
        raise ConfigError(
            f"encoder {name!r}: its weights have {len(beyond)} tensors for which the encoder of config.json has no place",
            hint="weights and config.json come from different models (num_hidden_layers?); fetch the model anew",
            problems=beyond,
        )


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
    tokenizer = wordpiece_tokenizer(learn_vocabulary(list(texts), shape.vocab_size), lowercase=True)
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


def learn_vocabulary(texts: Sequence[str], size: int) -> dict[str, int]:
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
    room, alphabet = size - len(SPECIAL), list[str]()
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
        special_tokens=[*SPECIAL, *(f"##{character}" for character in alphabet if character in inner)],
        show_progress=False,
    )
    return dict(wordpiece.get_vocab())
