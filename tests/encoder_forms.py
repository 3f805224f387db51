"""Tiny checkpoints in the form of well-known Chinese encoders: the fields of their config.json, their files, their names.

Sizes are small; all else is as published. "Checked" says that the file was compared with a public copy of it; the rest is
written from memory of the repositories, so that a field may differ where nothing depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from transformers import BertTokenizer, XLMRobertaTokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import sentencepiece_model_pb2_new as sentencepiece

Tensors = dict[str, torch.Tensor]

BERT_WORDS = ["[PAD]", "[unused1]", "[unused2]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LATIN = [
    "a",
    "b",
    "e",
    "s",
    "##a",
    "##b",
    "##e",
    "##p",
    "ab",
    "A",
    "AB",
    "é",
    "5",
    "g",
    "##g",
    "1",
    "2",
    "20",
    "##24",
    "##1",
    "##2",
]
MARKS = list("，。！？：；（）［］“”、·％,.!?:()[]-%½Ａ５")
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
OLD_POOLER = {
    "directionality": "bidi",
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
}
BERT = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "pad_token_id": 0,
    "type_vocab_size": 2,
    **SMALL,
}
ALBERT = {  # checked for voidful/albert_chinese_base, but for architectures
    "attention_probs_dropout_prob": 0,
    "bos_token_id": 2,
    "classifier_dropout_prob": 0.1,
    "down_scale_factor": 1,
    "embedding_size": 16,
    "eos_token_id": 3,
    "gap_size": 0,
    "hidden_act": "relu",
    "hidden_dropout_prob": 0,
    "initializer_range": 0.02,
    "inner_group_num": 1,
    "layer_norm_eps": 1e-12,
    "layers_to_keep": [],
    "max_position_embeddings": 512,
    "model_type": "albert",
    "net_structure_type": 0,
    "num_hidden_groups": 1,
    "num_memory_blocks": 0,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    **SMALL,
}
ERNIE = {  # sizes of positions, segments and tasks checked in PaddleNLP's configuration of ernie-3.0
    **BERT,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 2048,
    "model_type": "ernie",
    "task_type_vocab_size": 3,
    "type_vocab_size": 4,
    "use_task_id": True,
}
E5_SMALL = {**BERT, "position_embedding_type": "absolute", "tokenizer_class": "XLMRobertaTokenizer", "use_cache": True}
E5_BASE = {
    **E5_SMALL,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "model_type": "xlm-roberta",
    "output_past": True,
    "pad_token_id": 1,
    "type_vocab_size": 1,
}
TINYBERT = {  # the odd fields are checked in logs of Huawei's older TinyBERT; model_type is not among them
    **{key: value for key, value in BERT.items() if key not in {"model_type", "pad_token_id", "layer_norm_eps"}},
    "cell": {},
    "emb_size": 312,
    "pre_trained": "",
    "structure": [],
    "training": "",
}
SPECIAL_MAP = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}


def _as_it_is(tensors: Tensors) -> Tensors:
    return tensors


def _tinybert(tensors: Tensors) -> Tensors:
    """Names of pytorch-pretrained-bert, and the projection that its distillation leaves behind."""
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for key, tensor in tensors.items()
    }
    return {**old, "fit_dense.weight": torch.ones(48, 32), "fit_dense.bias": torch.ones(48)}


def _positions(prefix: str) -> Callable[[Tensors], Tensors]:
    """Older transformers stored the numbers of the positions."""
    return lambda tensors: {**tensors, f"{prefix}embeddings.position_ids": torch.arange(512).unsqueeze(0)}


@dataclass(frozen=True)
class Form:
    """A published form.

    Attributes:
        name: Its name on the hub.
        architecture: The class that wrote the weights.
        config: ``config.json``, but for the sizes of the vocabulary.
        weights: ``safetensors``, ``zip`` or ``old`` (the pickle of torch before 1.6).
        vocabulary: Files: ``vocab.txt``, ``tokenizer.json``, ``sentencepiece.bpe.model``.
        tokenizer_config: ``tokenizer_config.json``; none is written for None.
        rename: Gives tensors the names that they were published with.
        extra: Embedding rows beyond the vocabulary.
        others: Further files.
    """

    name: str
    architecture: str
    config: dict[str, Any]
    weights: str = "zip"
    vocabulary: tuple[str, ...] = ("vocab.txt",)
    tokenizer_config: dict[str, Any] | None = None
    rename: Callable[[Tensors], Tensors] = _as_it_is
    extra: int = 0
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def pieces(self) -> bool:
        """Whether the vocabulary is sentencepiece's."""
        return "vocab.txt" not in self.vocabulary


HFL = {"others": {"special_tokens_map.json": SPECIAL_MAP, "added_tokens.json": {}, "tf_model.h5": "weights for TensorFlow"}}
BGE_OTHERS = {
    "special_tokens_map.json": SPECIAL_MAP,
    "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}],
    "1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
}
BGE_TOKENIZER = {  # checked for BAAI/bge-small-zh-v1.5; its tokenizer.json may say otherwise about case, which must not count
    "clean_up_tokenization_spaces": True,
    "do_basic_tokenize": True,
    "do_lower_case": False,
    "model_max_length": 512,
    "never_split": None,
    "strip_accents": None,
    "tokenize_chinese_chars": True,
    "tokenizer_class": "BertTokenizer",
    **SPECIAL_MAP,
}
E5_TOKENIZER = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 512, "pad_token": "<pad>", "cls_token": "<s>"}
E5_FILES = ("tokenizer.json", "sentencepiece.bpe.model")

FORMS = [
    Form(  # the pooler's fields and the lack of model_type elsewhere: checked in a copy of Google's form
        "hfl/chinese-roberta-wwm-ext",
        "BertForMaskedLM",
        {**BERT, **OLD_POOLER, "bos_token_id": 0, "eos_token_id": 2, "output_past": True},
        vocabulary=("vocab.txt", "tokenizer.json"),
        tokenizer_config={"init_inputs": []},
        rename=_positions("bert."),
        **HFL,
    ),
    Form(
        "hfl/chinese-macbert-base",
        "BertForMaskedLM",
        {**BERT, **OLD_POOLER, "gradient_checkpointing": False},
        vocabulary=("vocab.txt", "tokenizer.json"),
        tokenizer_config={"init_inputs": []},
        **HFL,
    ),
    Form(
        "hfl/rbt3",
        "BertForMaskedLM",
        {**BERT, **OLD_POOLER, "num_hidden_layers": 3, "output_past": True},
        weights="old",
        tokenizer_config={"init_inputs": []},
        **HFL,
    ),
    Form("voidful/albert_chinese_tiny", "AlbertForMaskedLM", ALBERT, weights="old"),
    Form(
        "uer/albert-base-chinese-cluecorpussmall",
        "AlbertForMaskedLM",
        {**ALBERT, "tokenizer_class": "BertTokenizer"},
        tokenizer_config={"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": None, **SPECIAL_MAP},
        others={"special_tokens_map.json": SPECIAL_MAP},
    ),
    Form("huawei-noah/TinyBERT_4L_zh", "BertForPreTraining", TINYBERT, weights="old", rename=_tinybert),
    Form(
        "nghuyong/ernie-3.0-base-zh",
        "ErnieForMaskedLM",
        ERNIE,
        tokenizer_config={"do_lower_case": True, "tokenizer_class": "ErnieTokenizer", **SPECIAL_MAP},
        others={"special_tokens_map.json": SPECIAL_MAP},
    ),
    Form("nghuyong/ernie-3.0-nano-zh", "ErnieModel", ERNIE, rename=_positions("")),
    Form(
        "BAAI/bge-small-zh-v1.5",
        "BertModel",
        {**BERT, "classifier_dropout": None, "position_embedding_type": "absolute", "torch_dtype": "float32"},
        weights="safetensors",
        vocabulary=("vocab.txt", "tokenizer.json"),
        tokenizer_config=BGE_TOKENIZER,
        others=BGE_OTHERS,
    ),
    Form(
        "intfloat/multilingual-e5-small",
        "BertModel",
        {**E5_SMALL, "torch_dtype": "float32"},
        weights="safetensors",
        vocabulary=E5_FILES,
        tokenizer_config=E5_TOKENIZER,
        extra=35,
    ),
    Form(
        "intfloat/multilingual-e5-base",
        "XLMRobertaModel",
        {**E5_BASE, "torch_dtype": "float32"},
        weights="safetensors",
        vocabulary=E5_FILES,
        tokenizer_config=E5_TOKENIZER,
    ),
]
BY_NAME = {form.name: form for form in FORMS}


def make_form(form: Form, folder: Path, characters: Sequence[str]) -> Path:
    """Writes a tiny checkpoint of a published form.

    Args:
        form: The form.
        folder: Where to.
        characters: What the vocabulary must hold besides.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = sorted({*characters, *MARKS} - {*LATIN})
    words = [*BERT_WORDS, *plain, *LATIN]
    scored = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -2.0)]
    scored += [(word, -3.0 - at / 128) for at, word in enumerate([*plain, *(word for word in LATIN if "#" not in word)])]
    size = len(scored) + 2 if form.pieces else len(words)
    config = {"architectures": [form.architecture], **form.config, "vocab_size": size + form.extra}
    _write(folder / "config.json", config)
    _write_weights(folder, form, reference(folder, form))
    for name, content in form.others.items():
        _write(folder / name, content)
    if form.tokenizer_config is not None:
        _write(folder / "tokenizer_config.json", form.tokenizer_config)
    if "vocab.txt" in form.vocabulary:
        (folder / "vocab.txt").write_text("".join(word + "\n" for word in words), encoding="utf-8")
    if "sentencepiece.bpe.model" in form.vocabulary:
        write_pieces(folder / "sentencepiece.bpe.model", scored)
    if "tokenizer.json" in form.vocabulary:
        numbered = {word: at for at, word in enumerate(words)}
        ready = as_xlm_roberta(scored) if form.pieces else BertTokenizer(vocab=numbered)
        ready.backend_tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def reference(folder: Path, form: Form) -> Any:
    """The model whose weights a folder holds, made anew."""
    torch.manual_seed(5)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = getattr(transformers, form.architecture)(CONFIG_MAPPING[config.get("model_type", "bert")].from_dict(config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # no bias is 0, no norm is 1: nothing can pass for untrained
    return model.eval()


def as_xlm_roberta(scored: list[tuple[str, float]]) -> XLMRobertaTokenizer:
    """What transformers makes of sentencepiece's pieces for XLM-R."""
    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return XLMRobertaTokenizer(vocab=[*special, *scored[3:], ("<mask>", 0.0)])


def write_pieces(path: Path, scored: list[tuple[str, float]], kind: int = 1) -> None:
    """A sentencepiece model, written with the definition of its format."""
    proto = sentencepiece.ModelProto()
    for at, (piece, score) in enumerate(scored):
        proto.pieces.add(piece=piece, score=score, type=2 if at == 0 else 3 if at < 3 else 1)
    proto.trainer_spec.model_type = kind
    proto.trainer_spec.vocab_size = len(scored)
    proto.normalizer_spec.name = "nmt_nfkc"
    proto.normalizer_spec.add_dummy_prefix = True
    path.write_bytes(proto.SerializeToString())


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), encoding="utf-8")


def _write_weights(folder: Path, form: Form, model: Any) -> None:
    tensors = form.rename({key: tensor.clone() for key, tensor in model.state_dict().items()})
    if form.weights == "safetensors":
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=form.weights == "zip")
