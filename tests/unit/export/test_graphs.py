"""Graphs against the torch modules that they were made from: any number of rows, any lengths, padding or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from exit_models import PADS, SPACE, make_model, make_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import make_bundle
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    ElectraConfig,
    ElectraModel,
    ErnieConfig,
    ErnieModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from duobiao.config import ThresholdSettings
from duobiao.data.encode import Encoded
from duobiao.export.convert import assemble, segments, whole
from duobiao.models.bigru import BiGRUClassifier
from duobiao.models.bilstm import BiLSTMClassifier
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.engine import Crew, open_sessions
from duobiao.models.exits import TorchStages, every_logits
from duobiao.models.onnx_backend import OnnxStages
from duobiao.models.regroup import EarlyRun
from duobiao.models.textcnn import TextCNNClassifier
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.leaving import Leaving, margins

LABELS, WORDS = 5, 40
SHAPE: dict[str, Any] = {"vocab_size": WORDS, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
SHAPE |= {"num_hidden_layers": 2, "max_position_embeddings": 40}


def encoder(model: Any, config: Any, pooling: Any = "mean", extra: int = 0, **changes: Any) -> EncoderClassifier:
    made = model(config(**{**SHAPE, **changes}))
    for name, parameter in made.named_parameters():  # biases of zero would hide that one is missing
        if "bias" in name or "LayerNorm" in name:
            torch.nn.init.normal_(parameter, 0.5, 0.3)
    return EncoderClassifier(made, LABELS, pooling, 0.0, extra)


MAKERS: dict[str, Any] = {
    "bigru-a": lambda: BiGRUClassifier(WORDS, 6, LABELS, hidden=5, fc=7, model="A", scale=2.5),
    "bigru-b-features": lambda: BiGRUClassifier(WORDS, 6, LABELS, hidden=5, fc=7, model="B", extra=3),
    "bilstm": lambda: BiLSTMClassifier(WORDS, 6, LABELS, hidden=5, fc=7),
    "textcnn": lambda: TextCNNClassifier(WORDS, 6, LABELS, widths=(2, 3, 5), filters=4),
    "textcnn-one": lambda: TextCNNClassifier(WORDS, 6, LABELS, widths=(1,), filters=4, fc=6, extra=2),
    "bert": lambda: encoder(BertModel, BertConfig),
    "bert-cls-features": lambda: encoder(BertModel, BertConfig, "cls", 3, hidden_act="gelu_new"),
    "xlm-roberta": lambda: encoder(XLMRobertaModel, XLMRobertaConfig, pad_token_id=1, type_vocab_size=1),
    "ernie": lambda: encoder(ErnieModel, ErnieConfig, use_task_id=True, type_vocab_size=4, hidden_act="relu"),
    "albert": lambda: encoder(AlbertModel, AlbertConfig, embedding_size=8, num_hidden_groups=1),
    "albert-groups": lambda: encoder(
        AlbertModel, AlbertConfig, embedding_size=8, num_hidden_layers=4, num_hidden_groups=2, inner_group_num=2
    ),
    "electra": lambda: encoder(ElectraModel, ElectraConfig, embedding_size=8),  # through PyTorch's own exporter
}
_made: dict[str, Any] = {}


def both(name: str) -> tuple[Any, Any]:
    """The module and the session of its graph, made once."""
    if name not in _made:
        torch.manual_seed(5)
        module = MAKERS[name]().eval()
        weights: dict[str, Any] = {}
        bundle = assemble(make_bundle(), {"model.onnx": whole(module, weights, LABELS)}, weights, {})
        _made[name] = module, open_sessions(bundle)["model.onnx"]
    return _made[name]


def batch(lengths: list[int], extra: int, pad: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    there = np.arange(max(lengths)) < np.array(lengths)[:, None]
    ids = np.where(there, random.integers(3, WORDS, there.shape), pad)
    types = np.where(there, random.integers(0, 2, there.shape), 0)
    found = {"input_ids": ids, "attention_mask": there.astype(np.int64), "token_type_ids": types}
    return found | ({"features": random.normal(size=(len(lengths), extra)).astype(np.float32)} if extra else {})


def width_of(module: Any) -> int:
    inner = int(module.encoder.config.hidden_size) if isinstance(module, EncoderClassifier) else 0
    return module.output.in_features - inner if inner else module.extra


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=12, deadline=None)
@given(lengths=st.lists(st.integers(1, 17), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_a_graph_answers_as_its_module_for_any_rows_and_lengths(name: str, lengths: list[int], seed: int) -> None:
    module, session = both(name)
    inputs = batch(lengths, width_of(module), seed=seed)
    with torch.inference_mode():
        wanted = module(**{key: torch.from_numpy(array) for key, array in inputs.items()}).numpy()
    np.testing.assert_allclose(session.run(inputs)[0], wanted, atol=3e-5)
    np.testing.assert_allclose(session.run(inputs, wide=True)[0], wanted, atol=3e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_a_row_alone_of_one_token_and_padding_of_any_id(name: str) -> None:
    module, session = both(name)
    inputs = batch([1], width_of(module))
    longer = {key: np.pad(array, ((0, 0), (0, 9))) if array.dtype == np.int64 else array for key, array in inputs.items()}
    longer["input_ids"][:, 1:] = 1
    np.testing.assert_allclose(session.run(longer)[0], session.run(inputs)[0], atol=3e-5)


@pytest.mark.parametrize("kind", ["bert", "albert"])
@pytest.mark.parametrize("head", ["pool", "attention"])
@pytest.mark.parametrize(("pooling", "extra"), [("mean", 3), ("cls", 0)])
@pytest.mark.parametrize("used", [(0, 1, 2), (1,)])
def test_segments_leave_and_answer_as_torch_does(kind: str, head: str, pooling: str, extra: int, used: Any) -> None:
    model, encoded = make_model(head, kind, pooling, extra), make_rows(extra)
    decoder = Decoder(SPACE, np.array([0.5, 0.4], np.float32), ThresholdSettings())
    rule = Leaving(decoder, "margin", 0.1, np.zeros((3, 2, SPACE.decisions), np.float32), used)
    every = every_logits(model, PADS, encoded)
    for number in range(3):
        rule.errors[number] = np.quantile(margins(every[number], decoder).min(1), 0.52)
    weights: dict[str, Any] = {}
    models = segments(model, used, weights, len(SPACE))
    sessions = open_sessions(assemble(make_bundle(), models, weights, {}))
    stages = OnnxStages(sessions, model.exits, len(model.layerwise), used, Crew())
    asked = np.ones((len(encoded), len(SPACE)), bool)
    for budget in (4096, 40):
        wanted, depths = EarlyRun(TorchStages(model), rule, len(SPACE), budget)(PADS, encoded, asked)
        found, left = EarlyRun(stages, rule, len(SPACE), budget)(PADS, encoded, asked)
        np.testing.assert_array_equal(left, depths)
        assert len(set(depths.tolist())) > 1
        np.testing.assert_allclose(found, wanted, atol=3e-5)
    nothing, none = EarlyRun(stages, rule, len(SPACE))(PADS, Encoded([], []), asked[:0])
    assert nothing.shape == (0, len(SPACE))
    assert none.shape == (0,)
