"""What is no usable encoder is refused, and the message says what to do; no foreign code is run."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_checks import POINTER, change, refused, weights_of
from encoder_forms import BY_NAME, make_form
from safetensors.torch import save_file

from duobiao.models.pretrained import load_pretrained

ROBERTA, ALBERT, BGE = "hfl/chinese-roberta-wwm-ext", "voidful/albert_chinese_tiny", "BAAI/bge-small-zh-v1.5"
ERNIE, TINY, E5 = "nghuyong/ernie-3.0-base-zh", "huawei-noah/TinyBERT_4L_zh", "intfloat/multilingual-e5-base"
LOST = [
    (ROBERTA, "bert.embeddings.LayerNorm.weight"),
    (ROBERTA, "bert.encoder.layer.1.output.dense.bias"),
    (ALBERT, "albert.encoder.embedding_hidden_mapping_in.weight"),
    (ALBERT, "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight"),
    (TINY, "bert.encoder.layer.0.attention.output.LayerNorm.gamma"),
    (ERNIE, "ernie.embeddings.task_type_embeddings.weight"),
    (ERNIE, "ernie.embeddings.position_embeddings.weight"),
]

Copy = Callable[[str], Path]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A checkpoint of a form that a test may spoil."""
    return lambda name: make_form(BY_NAME[name], tmp_path / "model", "快递坏了喜欢")


@pytest.mark.parametrize(("name", "lost"), LOST)
def test_one_tensor_that_is_missing_is_named(name: str, lost: str, copy: Copy) -> None:
    folder = copy(name)
    tensors = weights_of(folder)
    del tensors[lost]
    torch.save(tensors, folder / "pytorch_model.bin")
    error = refused(folder, "leave 1 tensors of the encoder unfilled", "fetch the model anew")
    assert error.problems == (lost.split(".", 1)[1].replace(".gamma", ".weight"),)


@pytest.mark.parametrize("prefix", ["module.", "model.bert."])
def test_names_with_a_foreign_prefix_fill_nothing(prefix: str, copy: Copy) -> None:
    folder = copy(ROBERTA)
    torch.save({prefix + key: tensor for key, tensor in weights_of(folder).items()}, folder / "pytorch_model.bin")
    error = refused(folder, "none of its", "names must begin with 'bert.'")
    assert any(f"found: {prefix}" in problem for problem in error.problems)
    assert any("wanted: embeddings." in problem for problem in error.problems)


def test_weights_of_another_kind_of_model_fill_nothing(copy: Copy) -> None:
    folder = copy(ROBERTA)
    change(folder, model_type="ernie")
    refused(folder, "do not fit a 'ernie'", "correct model_type in config.json", "found: bert.")


def test_more_layers_than_the_configuration_has_are_refused(copy: Copy) -> None:
    folder = copy("hfl/rbt3")
    change(folder, num_hidden_layers=2)
    error = refused(folder, "16 tensors for which the encoder of config.json has no place", "num_hidden_layers")
    assert all(".layer.2." in problem for problem in error.problems)


def test_heads_are_left_out_without_a_word(copy: Copy, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    folder = copy(TINY)
    heads = {key for key in weights_of(folder) if not key.startswith("bert.")}
    assert {"fit_dense.weight", "cls.seq_relationship.weight"} <= heads
    load_pretrained(str(folder))
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_pooler_may_be_missing(copy: Copy) -> None:
    folder = copy(TINY)
    tensors = {key: tensor for key, tensor in weights_of(folder).items() if "pooler" not in key}
    assert len(tensors) < len(weights_of(folder))
    torch.save(tensors, folder / "pytorch_model.bin")
    assert load_pretrained(str(folder)).model.pooler is None


def split(folder: Path, ending: str) -> list[Path]:
    """The weights of a folder in two files with an index."""
    tensors = weights_of(folder)
    stem, index = ("model", "model.safetensors") if ending == "safetensors" else ("pytorch_model", "pytorch_model.bin")
    parts = [folder / f"{stem}-0000{number}-of-00002.{ending}" for number in (1, 2)]
    halves = [dict(list(tensors.items())[::2]), dict(list(tensors.items())[1::2])]
    for part, half in zip(parts, halves, strict=True):
        cloned = {key: tensor.clone() for key, tensor in half.items()}
        save_file(cloned, part, metadata={"format": "pt"}) if ending == "safetensors" else torch.save(cloned, part)
    (folder / "pytorch_model.bin").unlink()
    places = {key: part.name for part, half in zip(parts, halves, strict=True) for key in half}
    change(folder, f"{index}.index.json", metadata={}, weight_map=places)
    return parts


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_weights_in_several_files(ending: str, copy: Copy) -> None:
    folder = copy(ERNIE)
    wanted = load_pretrained(str(folder)).model.state_dict()
    first, second = split(folder, ending)
    found = load_pretrained(str(folder)).model.state_dict()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    second.write_text(POINTER, encoding="utf-8")
    refused(folder, f"{second.name} is a git-lfs pointer")
    second.unlink()
    assert refused(folder, "names weights that are not there").problems == (second.name,)
    assert first.exists()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (ROBERTA, "pytorch_model.bin"),
        (BGE, "model.safetensors"),
        (BGE, "tokenizer.json"),
        (BGE, "config.json"),
        (ALBERT, "vocab.txt"),
        (E5, "sentencepiece.bpe.model"),
    ],
)
def test_a_pointer_of_git_lfs_in_place_of_a_file(name: str, file: str, copy: Copy) -> None:
    folder = copy(name)
    if name == E5:
        (folder / "tokenizer.json").unlink()
    (folder / file).write_text(POINTER, encoding="utf-8")
    refused(folder, f"{file} is a git-lfs pointer, not the file itself", "git lfs pull")
    (folder / file).write_bytes(b"")
    refused(folder, f"{file} is empty", "fetch the file anew")


@pytest.mark.parametrize(
    ("file", "form"),
    [
        ("tf_model.h5", "TensorFlow"),
        ("bert_model.ckpt.index", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
        ("model_state.pdparams", "PaddlePaddle"),
        ("model.onnx", "ONNX"),
        ("adapter_model.safetensors", "adapter"),
    ],
)
def test_weights_for_another_library_are_called_by_name(file: str, form: str, copy: Copy) -> None:
    folder = copy(ALBERT)
    (folder / "pytorch_model.bin").rename(folder / file)
    refused(folder, f"only weights for {form}", "fetch model.safetensors or pytorch_model.bin")


# ---- nothing is run ----------------------------------------------------------------------------------


class _Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.path, "w"))


@pytest.mark.parametrize("kind", ["zip", "old", "plain"])
def test_code_in_a_pickle_is_never_run(kind: str, copy: Copy, tmp_path: Path) -> None:
    folder, mark = copy(ROBERTA), tmp_path / "mark"
    content = {**weights_of(folder), "bomb": _Bomb(mark)}
    if kind == "plain":
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb(mark), protocol=2))
    else:
        torch.save(content, folder / "pytorch_model.bin", _use_new_zipfile_serialization=kind == "zip")
    refused(folder, "pytorch_model.bin", "nothing else in it is ever run")
    assert not mark.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False) if kind != "plain" else pickle.loads(
        (folder / "pytorch_model.bin").read_bytes()
    )
    assert mark.exists()  # the bomb is a live one


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>404</html>", b"\x80\x02}q\x00(X", b"PK\x03\x04 cut short"])
def test_a_damaged_checkpoint(content: bytes, copy: Copy) -> None:
    folder = copy(ROBERTA)
    (folder / "pytorch_model.bin").write_bytes(content)
    refused(folder, "holds no encoder that can be loaded: pytorch_model.bin", "fetch the file anew")


def test_code_from_the_hub_is_never_run(copy: Copy, tmp_path: Path) -> None:
    folder, mark = copy(ROBERTA), tmp_path / "mark"
    (folder / "modeling_own.py").write_text(f"open({str(mark)!r}, 'w')\n", encoding="utf-8")
    own = {"AutoConfig": "modeling_own.Config", "AutoModel": "modeling_own.Model"}
    change(folder, model_type="own_bert", auto_map=own)
    refused(folder, "own_bert exists only as program code", "code from the hub is never run")
    change(folder, model_type=...)
    refused(folder, "exists only as program code", "code from the hub is never run")
    change(folder, model_type="bert")
    load_pretrained(str(folder))  # transformers' own BERT, and the weights fill it
    tensors = weights_of(folder)
    del tensors["bert.embeddings.position_embeddings.weight"]
    torch.save(tensors, folder / "pytorch_model.bin")
    refused(folder, "embeddings.position_embeddings.weight", "program code of its own (auto_map), which is never run")
    assert not mark.exists()
    assert not any("modeling_own" in module for module in sys.modules)


# ---- configurations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({"model_type": "t5", "d_model": 32, "num_heads": 2}, "'t5' is an encoder with a decoder"),
        ({"model_type": "bart", "d_model": 32}, "'bart' is an encoder with a decoder"),
        ({"model_type": "gpt2", "n_embd": 32, "n_head": 2}, "'gpt2' is no encoder"),
        ({"model_type": "qwen2"}, "'qwen2' is no encoder"),
        ({"is_decoder": True}, "'bert' is no encoder"),
    ],
)
def test_what_is_no_encoder(fields: dict[str, Any], form: str, copy: Copy) -> None:
    folder = copy(ROBERTA)
    change(folder, **fields)
    refused(folder, form, "an encoder is needed", "hfl/chinese-roberta-wwm-ext")


def test_positions_that_transformers_no_longer_knows(copy: Copy) -> None:
    folder = copy(ROBERTA)
    change(folder, position_embedding_type="relative_key_query")
    refused(folder, "has no 'bert' with 'relative_key_query' positions", "take another model")


def test_a_model_type_that_nobody_knows(copy: Copy) -> None:
    folder = copy(ROBERTA)
    change(folder, model_type="bret")
    refused(folder, "does not know the model type 'bret'", 'write "model_type" into config.json')
    change(folder, model_type=..., type_vocab_size=...)
    refused(folder, "config.json: no model_type", 'write "model_type" into config.json')


@pytest.mark.parametrize(("name", "kind"), [(ROBERTA, "bert"), (TINY, "bert"), (ALBERT, "albert")])
def test_a_folders_name_says_nothing_about_what_it_holds(name: str, kind: str, tmp_path: Path) -> None:
    folder = make_form(BY_NAME[name], tmp_path / "albert-bert-ernie-t5", "快递")
    change(folder, model_type=...)
    assert load_pretrained(str(folder)).model.config.model_type == kind


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "bert", "hidden_size": "wide"}'])
def test_a_damaged_configuration(content: str, copy: Copy) -> None:
    folder = copy(ROBERTA)
    (folder / "config.json").write_text(content, encoding="utf-8")
    refused(folder, "config.json", "fetch the file anew")


def test_a_configuration_under_its_old_name(copy: Copy) -> None:
    folder = copy(ROBERTA)
    (folder / "config.json").rename(folder / "bert_config.json")
    refused(folder, "there is no config.json", "rename bert_config.json to config.json")
