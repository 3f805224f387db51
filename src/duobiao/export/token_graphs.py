"""Graphs of the students that read embedded tokens: BiGRU A and B, BiLSTM, TextCNN."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import nn

from duobiao.export.graph import Array, Graph
from duobiao.models.bigru import BiGRUClassifier
from duobiao.models.bilstm import BiLSTMClassifier
from duobiao.models.textcnn import TextCNNClassifier
from duobiao.models.tokens import TokenClassifier

_ORDERS = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
"""The gates in ONNX's order, by their places in PyTorch's: r z n there is z r h, and i f g o is i o f c."""


def token_graph(graph: Graph, model: TokenClassifier) -> str:
    """The whole classifier, from ``input_ids`` and ``attention_mask`` (and ``features``) to logits."""
    if isinstance(model, TextCNNClassifier):
        row = _textcnn(graph, model)
    elif isinstance(model, BiGRUClassifier):
        row = _bigru(graph, model)
    else:
        assert isinstance(model, BiLSTMClassifier)
        row = _joined(graph, _recurrent(graph, model, model.lstm, "LSTM")[1])
    if model.extra:
        row = graph.op("Concat", row, "features", axis=1)
    if model.first is not None:
        row = graph.op("Relu", graph.linear(row, "first", values(model.first.weight), values(model.first.bias)))
    return graph.linear(row, "output", values(model.output.weight), values(model.output.bias))


def values(tensor: torch.Tensor) -> Array:
    """A parameter as an array."""
    found: Array = tensor.detach().float().cpu().numpy()
    return found


def _embedded(graph: Graph, model: TokenClassifier, ids: str) -> str:
    table = values(model.embedding.weight * model.scale)
    return graph.op("Gather", graph.weight("embedding.weight", table), ids, name="embedding")


def _lengths(graph: Graph, kind: int) -> str:
    """True tokens of each row, at least 1."""
    counted = graph.op("ReduceSum", "attention_mask", graph.constant([1]), keepdims=0)
    return graph.op("Cast", graph.op("Max", counted, graph.constant(1)), to=kind)


def _recurrent(graph: Graph, model: TokenClassifier, layer: nn.RNNBase, kind: str) -> list[str]:
    """All outputs ``(length, 2, rows, hidden)`` and the last ones ``(2, rows, hidden)``.

    ``sequence_lens`` lets each row end at its true last token, where the backward direction begins.
    """

    def gates(name: str) -> Array:
        both = [values(getattr(layer, f"{name}_l0{way}")) for way in ("", "_reverse")]
        order = _ORDERS[kind]
        return np.stack([np.concatenate([np.split(one, len(order))[place] for place in order]) for one in both])

    embedded = _embedded(graph, model, graph.op("Transpose", "input_ids", perm=[1, 0]))
    weights = [
        graph.weight("recurrent.inputs", gates("weight_ih")),
        graph.weight("recurrent.states", gates("weight_hh")),
        graph.weight("recurrent.biases", np.concatenate([gates("bias_ih"), gates("bias_hh")], axis=1)),
    ]
    more: Any = {"linear_before_reset": 1} if kind == "GRU" else {}
    lengths = _lengths(graph, TensorProto.INT32)
    return graph.ops(kind, 2, embedded, *weights, lengths, direction="bidirectional", hidden_size=layer.hidden_size, **more)


def _joined(graph: Graph, last: str) -> str:
    """Both directions side by side: ``(rows, 2 * hidden)`` from ``(2, rows, hidden)``."""
    return graph.op("Reshape", graph.op("Transpose", last, perm=[1, 0, 2]), graph.constant([0, -1]))


def _bigru(graph: Graph, model: BiGRUClassifier) -> str:
    outputs, last = _recurrent(graph, model, model.gru, "GRU")
    if model.model == "B":
        return _joined(graph, last)
    # (length, 1, rows, 1): 1 on true tokens; a GRU's outputs lie in (-1, 1), so less 2 no padding is the maximum
    mask = graph.floats(graph.op("Transpose", "attention_mask", perm=[1, 0]))
    mask = graph.op("Unsqueeze", mask, graph.constant([1, 3]))
    total = graph.op("ReduceSum", graph.op("Mul", outputs, mask), graph.constant([0]), keepdims=0)
    count = graph.op("Unsqueeze", _lengths(graph, TensorProto.FLOAT), graph.constant([0, 2]))
    lowered = graph.op("Mul", graph.op("Sub", mask, graph.constant(1, np.float32)), graph.constant(2, np.float32))
    top = graph.op("ReduceMax", graph.op("Add", outputs, lowered), graph.constant([0]), keepdims=0)
    return graph.op("Concat", _joined(graph, graph.op("Div", total, count)), _joined(graph, top), axis=1)


def _textcnn(graph: Graph, model: TextCNNClassifier) -> str:
    """Products of all filters with all tokens at once; their parts are added up, shifted against each other."""
    number, widest = model.filters.number, max(model.widths)
    mask = graph.floats(graph.op("Unsqueeze", "attention_mask", graph.constant([2])))
    tokens = graph.op("Mul", _embedded(graph, model, "input_ids"), mask)
    if widest > 1:
        tokens = graph.op("Pad", tokens, graph.constant([0, 0, 0, 0, widest - 1, 0]))
    parts = graph.linear(tokens, "filters", values(model.filters.weight))
    lengths = graph.op("ReduceSum", "attention_mask", graph.constant([1]), keepdims=1)
    size = graph.op("Squeeze", graph.op("Shape", "input_ids", start=1, end=2))
    places = graph.op("Unsqueeze", graph.op("Range", graph.constant(0), size, graph.constant(1)), graph.constant([0]))
    begin, found = 0, []
    for width in model.widths:
        answers = ""
        for at in range(width):
            stop = at - widest + 1 or sys.maxsize
            bounds = [[at, begin], [stop, begin + number], [1, 2]]
            part = graph.op("Slice", parts, *(graph.constant(one) for one in bounds))
            answers, begin = graph.op("Add", answers, part) if answers else part, begin + number
        last = graph.op("Max", graph.op("Sub", lengths, graph.constant(width)), graph.constant(0))
        beyond = graph.op("Unsqueeze", graph.op("Greater", places, last), graph.constant([2]))
        answers = graph.op("Where", beyond, graph.constant(-np.inf, np.float32), answers)
        found.append(graph.op("ReduceMax", answers, graph.constant([1]), keepdims=0))
    bias = graph.weight("filters.bias", values(model.filters.bias))
    return graph.op("Relu", graph.op("Add", graph.op("Concat", *found, axis=1), bias))
