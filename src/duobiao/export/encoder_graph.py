"""Graphs of encoders of BERT's and ALBERT's form, whole or cut at exits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from torch import nn

from duobiao.errors import ConfigError
from duobiao.export.graph import MICROSOFT, Graph
from duobiao.export.token_graphs import values
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.exit_heads import AttentionHead, PoolHead
from duobiao.models.layerwise import SHARED, STACKED, Layerwise

_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")
"""Model types whose positions count from the padding id on, and only over true tokens."""
_ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "gelu": lambda graph, value: graph.op("Gelu", value),
    "gelu_new": lambda graph, value: graph.op("Gelu", value, approximate="tanh"),
    "gelu_pytorch_tanh": lambda graph, value: graph.op("Gelu", value, approximate="tanh"),
    "relu": lambda graph, value: graph.op("Relu", value),
    "tanh": lambda graph, value: graph.op("Tanh", value),
}


def is_known(classifier: EncoderClassifier) -> bool:
    """Whether the encoder's form is one that is built here."""
    config: Any = classifier.encoder.config
    kind, activation = config.model_type, getattr(config, "hidden_act", None)
    positions = getattr(config, "position_embedding_type", None) or "absolute"
    return kind in (*STACKED, *SHARED) and activation in _ACTIVATIONS and positions == "absolute"


class EncoderGraph:
    """Adds the parts of an encoder to a graph.

    Args:
        graph: Where to.
        classifier: The encoder with its pooling and output layer.

    Raises:
        ConfigError: If the encoder's form is not known.
    """

    def __init__(self, graph: Graph, classifier: EncoderClassifier) -> None:
        if not is_known(classifier):
            raise ConfigError(
                f"an encoder of type {classifier.encoder.config.model_type!r} cannot be cut into segments",
                hint=f"known are {', '.join((*STACKED, *SHARED))} with absolute positions",
            )
        self.graph, self.classifier = graph, classifier
        self.config: Any = classifier.encoder.config
        self.layers = Layerwise(classifier.encoder).layers
        names = {id(module): name for name, module in classifier.encoder.named_modules()}
        self.names = [names[id(layer)] for layer in self.layers]

    # ---- parts --------------------------------------------------------------------------------

    def embed(self) -> str:
        """States before the first layer, from ``input_ids`` and ``token_type_ids``."""
        graph, encoder, config = self.graph, self.classifier.encoder, self.config
        own: Any = encoder.embeddings
        words = graph.op("Gather", graph.weight("words", values(own.word_embeddings.weight)), "input_ids", name="words")
        positions = graph.weight("positions", values(own.position_embeddings.weight))
        if config.model_type in _FROM_PADDING:
            there = graph.op("Equal", "input_ids", graph.constant(config.pad_token_id))
            there = graph.op("Cast", graph.op("Not", there), to=TensorProto.INT64)
            count = graph.op("Mul", graph.op("CumSum", there, graph.constant(1)), there)
            at = graph.op("Gather", positions, graph.op("Add", count, graph.constant(config.pad_token_id)))
        else:
            size = graph.op("Shape", "input_ids", start=1, end=2)
            at = graph.op("Slice", positions, graph.constant([0]), size, graph.constant([0]))
        states = graph.op("Add", words, self._types())
        states = graph.op("Add", states, at)
        if getattr(own, "use_task_id", False):
            task = graph.weight("task", values(own.task_type_embeddings.weight[0]))
            states = graph.op("Add", states, task)
        states = self._norm(states, "embeddings.norm", own.LayerNorm)
        widen = getattr(encoder.encoder, "embedding_hidden_mapping_in", None)
        return states if widen is None else self._linear(states, "widen", widen)

    def through(self, states: str, begin: int, end: int) -> str:
        """States after the layers ``begin`` to ``end``."""
        for number in range(begin, end):
            states = self._layer(states, self.layers[number], self.names[number])
        return states

    def last(self, states: str) -> str:
        """Logits of the classifier's own output layer."""
        graph, classifier = self.graph, self.classifier
        row = graph.op("Gather", states, graph.constant(0), axis=1) if classifier.pooling == "cls" else _mean(graph, states)
        return self._linear(_with_features(graph, row, self._extra), "output", classifier.output)

    def head(self, states: str, head: nn.Module, name: str) -> str:
        """Logits of an exit."""
        graph = self.graph
        if isinstance(head, PoolHead):
            scores = graph.op("Add", self._linear(states, f"{name}.queries", head.queries), _lowered(graph, [2]))
            shares = graph.op("Transpose", graph.op("Softmax", scores, axis=1), perm=[0, 2, 1])
            row = graph.op("Reshape", graph.op("MatMul", shares, states), graph.constant([0, -1]))
        else:
            assert isinstance(head, AttentionHead)
            row = self._attention_head(states, head, name)
        hidden = self._linear(_with_features(graph, row, self._extra), f"{name}.hidden", head.hidden)
        return self._linear(graph.op("Tanh", hidden), f"{name}.output", head.output)

    # ---- inside -------------------------------------------------------------------------------

    @property
    def _extra(self) -> bool:
        return self.classifier.output.in_features > int(self.config.hidden_size)

    def _types(self) -> str:
        table = values(self.classifier.encoder.embeddings.token_type_embeddings.weight)
        highest = self.graph.constant(len(table) - 1)
        return self.graph.op("Gather", self.graph.weight("types", table), self.graph.op("Min", "token_type_ids", highest))

    def _layer(self, states: str, layer: Any, name: str) -> str:
        graph, shared = self.graph, self.config.model_type in SHARED
        own = layer.attention if shared else layer.attention.self
        mixed = self._attention(states, own, name)
        out = own.dense if shared else layer.attention.output.dense
        norm = own.LayerNorm if shared else layer.attention.output.LayerNorm
        mixed = graph.op("Add", self._linear(mixed, f"{name}.mix", out), states)
        states = self._norm(mixed, f"{name}.mix.norm", norm)
        inner, outer = (layer.ffn, layer.ffn_output) if shared else (layer.intermediate.dense, layer.output.dense)
        wide = self._linear(states, f"{name}.inner", inner)
        wide = _ACTIVATIONS[self.config.hidden_act](graph, wide)
        found = graph.op("Add", self._linear(wide, f"{name}.outer", outer), states)
        return self._norm(found, f"{name}.norm", layer.full_layer_layer_norm if shared else layer.output.LayerNorm)

    def _attention(self, states: str, own: Any, name: str) -> str:
        """Queries, keys and values from one product, then onnxruntime's fused attention."""
        graph = self.graph
        weight = np.concatenate([values(part.weight) for part in (own.query, own.key, own.value)])
        bias = np.concatenate([values(part.bias) for part in (own.query, own.key, own.value)])
        three = graph.ops("Split", 3, graph.linear(states, f"{name}.attention", weight, bias), axis=-1, num_outputs=3)
        mask, heads = graph.op("Cast", "attention_mask", to=TensorProto.INT32), int(self.config.num_attention_heads)
        return graph.op("MultiHeadAttention", *three, "", mask, domain=MICROSOFT, num_heads=heads)

    def _attention_head(self, states: str, head: AttentionHead, name: str) -> str:
        graph = self.graph
        narrow = self._linear(states, f"{name}.narrow", head.narrow)
        asking = narrow
        if head.pooling == "cls":
            asking = graph.op("Slice", narrow, graph.constant([0]), graph.constant([1]), graph.constant([1]))
        both = self._linear(narrow, f"{name}.keys_values", head.keys_values)
        keys, given = graph.ops("Split", 2, both, axis=-1, num_outputs=2)
        asked, mask = self._linear(asking, f"{name}.asking", head.queries), graph.op("Cast", "attention_mask", to=6)
        mixed = graph.op("MultiHeadAttention", asked, keys, given, "", mask, domain=MICROSOFT, num_heads=head.parts)
        row = graph.op("Gather", mixed, graph.constant(0), axis=1) if head.pooling == "cls" else _mean(graph, mixed)
        return self._linear(row, f"{name}.mix", head.mix)

    def _linear(self, value: str, name: str, layer: nn.Linear) -> str:
        return self.graph.linear(value, name, values(layer.weight), values(layer.bias))

    def _norm(self, value: str, name: str, layer: nn.LayerNorm) -> str:
        return self.graph.norm(value, name, values(layer.weight), values(layer.bias), float(layer.eps))


def _with_features(graph: Graph, row: str, extra: bool) -> str:
    return graph.op("Concat", row, "features", axis=1) if extra else row


def _mean(graph: Graph, states: str) -> str:
    """The mean over true tokens, ``(rows, width)``."""
    mask = graph.floats("attention_mask")
    total = graph.op("Mul", states, graph.op("Unsqueeze", mask, graph.constant([2])))
    total = graph.op("ReduceSum", total, graph.constant([1]), keepdims=0)
    count = graph.op("ReduceSum", mask, graph.constant([1]), keepdims=1)
    return graph.op("Div", total, graph.op("Max", count, graph.constant(1, np.float32)))


def _lowered(graph: Graph, axes: list[int]) -> str:
    """0 on true tokens, -1e9 on padding."""
    mask = graph.op("Sub", graph.floats("attention_mask"), graph.constant(1, np.float32))
    return graph.op("Unsqueeze", graph.op("Mul", mask, graph.constant(1e9, np.float32)), graph.constant(axes))
