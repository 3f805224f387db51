"""The files of a published encoder, in a folder or fetched from the hub: what they must be before anything is loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from transformers import PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from duobiao import builtin
from duobiao.errors import ConfigError

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""Weights that can be loaded, in the order in which they are taken."""

VOCABULARIES = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model")
"""Vocabularies, in the order in which they are taken."""

FETCH = (
    "download the model where there is a network, copy the folder here, and give it in the place of the name "
    f"(duobiao train --set encoder=FOLDER, duobiao adapt --encoder FOLDER, duobiao general-distil --teacher FOLDER); "
    f"or take the built-in one, {builtin.ENCODER}"
)

_SETTINGS = ("config.json", "tokenizer_config.json")
_SHARD = re.compile(r"(model-\d+-of-\d+\.safetensors|pytorch_model-\d+-of-\d+\.bin)")
_FOREIGN = {
    "TensorFlow": ("tf_model*", "*.ckpt*", "saved_model*"),
    "Flax": ("flax_model*",),
    "PaddlePaddle": ("*.pdparams", "*.pdmodel"),
    "ONNX": ("*.onnx", "onnx"),
    "GGUF": ("*.gguf",),
    "adapter": ("adapter_model*",),
}
_ABSOLUTE = {"albert", "bert", "camembert", "electra", "ernie", "roberta", "xlm-roberta"}
_POINTER = b"version https://git-lfs"
_HUB_SECONDS = 10.0


def local_folder(name: str) -> Path | None:
    """The folder of an encoder that needs no hub: one of this name, or the built-in one."""
    if Path(name).is_dir():
        return Path(name)
    return builtin.encoder_folder() if name == builtin.ENCODER else None


def find_folder(name: str, revision: str | None = None) -> Path:
    """The folder of an encoder: the local one of this name, the built-in one, or what the hub gives or gave before.

    Of a name on the hub no more is fetched than is read, and one form of the weights only.

    Args:
        name: Folder, or name on the hub.
        revision: Git revision on the hub.

    Raises:
        ConfigError: If there is neither.
    """
    if here := local_folder(name):
        return here
    why = ""
    try:
        found = HfApi().model_info(name, revision=revision, timeout=_HUB_SECONDS)
        wanted = _wanted([file.rfilename for file in found.siblings or ()])
        return Path(snapshot_download(name, revision=found.sha, allow_patterns=wanted))
    except HfHubHTTPError as error:
        why = f"; it answered: {' '.join(str(error).split())[:300]}"
    except Exception:  # no network, offline mode, no name of a model: only what was fetched before can be used
        pass
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except Exception as error:  # as many reasons as above
        raise ConfigError(
            f"encoder {name!r}: this name (no such folder here, and the hub did not give it) holds no encoder that can be "
            f"loaded{why}",
            hint=FETCH,
        ) from error


def _wanted(files: list[str]) -> list[str]:
    """Which files of a repository are read."""
    weights = next((file for file in WEIGHTS if file in files), "")
    ending = ".safetensors" if ".safetensors" in weights else ".bin"
    shards = [file for file in files if _SHARD.fullmatch(file) and file.endswith(ending)] if "index" in weights else []
    return [file for file in files if file in {*_SETTINGS, *VOCABULARIES, weights, *shards}]


def find_file(name: str, folder: Path, *candidates: str) -> Path | None:
    """The first of these files that is there.

    Raises:
        ConfigError: If it is empty, or only git-lfs's note about a file.
    """
    path = next((folder / candidate for candidate in candidates if (folder / candidate).is_file()), None)
    if path is None:
        return None
    with path.open("rb") as file:
        head = file.read(len(_POINTER))
    if head == _POINTER:
        raise ConfigError(
            f"encoder {name!r}: {path.name} is a git-lfs pointer, not the file itself",
            hint="run `git lfs install` and `git lfs pull` in the folder that was cloned, or download the model anew",
        )
    if not head:
        raise ConfigError(f"encoder {name!r}: {path.name} is empty", hint="fetch the file anew")
    return path


def read_json(name: str, folder: Path, filename: str) -> dict[str, Any]:
    """A JSON object from the folder; an empty one if there is no such file.

    Raises:
        ConfigError: If it is no JSON object.
    """
    path = find_file(name, folder, filename)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ConfigError(f"encoder {name!r}: {filename} cannot be read: {error}", hint="fetch the file anew") from error
    if not isinstance(found, dict):
        raise ConfigError(f"encoder {name!r}: {filename} is no JSON object", hint="fetch the file anew")
    return found


def read_config(name: str, folder: Path) -> PreTrainedConfig:
    """The encoder's configuration.

    Raises:
        ConfigError: If there is none, or it describes no encoder that transformers knows by itself.
    """
    data = read_json(name, folder, "config.json")
    if not data:
        raise ConfigError(f"encoder {name!r}: this folder holds no encoder: there is no config.json", hint=_renamed(folder))
    kind = str(data.pop("model_type", None) or _old_kind(data))
    if kind not in CONFIG_MAPPING and data.get("auto_map"):
        raise ConfigError(
            f"encoder {name!r}: {kind or 'its model type'} exists only as program code in the model's repository",
            hint="code from the hub is never run; take an encoder that transformers knows, such as hfl/chinese-roberta-wwm-ext",
        )
    if kind not in CONFIG_MAPPING:
        what = f"transformers {transformers.__version__} does not know the model type {kind!r}" if kind else "no model_type"
        raise ConfigError(
            f"encoder {name!r}: config.json: {what}",
            hint='write "model_type" into config.json ("bert" for BERT and RoBERTa-wwm, "albert", "ernie"), or take another '
            "model",
        )
    try:
        config: PreTrainedConfig = CONFIG_MAPPING[kind].from_dict(data)
    except Exception as error:  # transformers checks each field in its own way
        said = " ".join(str(error).split())
        raise ConfigError(f"encoder {name!r}: config.json is not valid: {said}", hint="fetch the file anew") from error
    _check_encoder(name, config)
    return config


def _old_kind(data: dict[str, Any]) -> str:
    """The model type of a config.json from before there was one: Google's and Huawei's for BERT, Google's for ALBERT.

    It is read from the fields; a folder's name means nothing.
    """
    if not {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "type_vocab_size"} <= set(data):
        return ""
    if data.get("auto_map"):
        return ""
    return "albert" if "embedding_size" in data and "num_hidden_groups" in data else "bert"


def _renamed(folder: Path) -> str:
    old = next((file for file in ("bert_config.json", "albert_config.json") if (folder / file).is_file()), None)
    if old:
        return f"rename {old} to config.json"
    return f"give the folder that holds config.json, weights and vocabulary; or {FETCH}"


def _check_encoder(name: str, config: PreTrainedConfig) -> None:
    kind, form = config.model_type, ""
    if config.is_encoder_decoder:
        form = "an encoder with a decoder"
    elif getattr(config, "is_decoder", False) or kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        form = "no encoder that was trained to fill in masked words"
    if form:
        raise ConfigError(
            f"encoder {name!r}: {kind!r} is {form}, but an encoder is needed",
            hint="take one such as hfl/chinese-roberta-wwm-ext, hfl/chinese-macbert-base, nghuyong/ernie-3.0-base-zh",
        )
    positions = getattr(config, "position_embedding_type", None) or "absolute"
    if kind in _ABSOLUTE and positions != "absolute":
        raise ConfigError(
            f"encoder {name!r}: transformers {transformers.__version__} has no {kind!r} with {positions!r} positions",
            hint="its weights would be read wrongly; take another model",
        )


def check_weights(name: str, folder: Path) -> Path:
    """The file that the weights are read from, or the index of several.

    Raises:
        ConfigError: If there is none, or one is missing, empty or a pointer.
    """
    path = find_file(name, folder, *WEIGHTS)
    if path is None:
        others = [form for form, patterns in _FOREIGN.items() if any(any(folder.glob(pattern)) for pattern in patterns)]
        if others:
            raise ConfigError(
                f"encoder {name!r}: this folder holds no encoder for PyTorch, only weights for {', '.join(others)}",
                hint="fetch model.safetensors or pytorch_model.bin of the same model, or convert what is there with "
                "transformers' conversion script",
            )
        raise ConfigError(f"encoder {name!r}: this folder holds no encoder: no {WEIGHTS[0]} or {WEIGHTS[2]}", hint=FETCH)
    if path.suffix == ".json":
        shards = read_json(name, folder, path.name).get("weight_map")
        names = sorted(set(map(str, shards.values()))) if isinstance(shards, dict) else []
        missing = [shard for shard in names if find_file(name, folder, shard) is None]
        if missing or not names:
            raise ConfigError(
                f"encoder {name!r}: {path.name} names weights that are not there",
                hint="the download is incomplete; fetch the model anew",
                problems=missing,
            )
    return path
