"""A torch bundle to one of ONNX graphs and arrays; nothing is checked here, nothing is written."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from safetensors.numpy import save

from duobiao.bundle import WEIGHTS, Bundle
from duobiao.errors import ConfigError
from duobiao.export.encoder_graph import EncoderGraph, is_known
from duobiao.export.graph import Array, Graph, Weights
from duobiao.export.token_graphs import token_graph, values
from duobiao.export.traced import traced
from duobiao.models.encoder import EncoderClassifier, count_parameters
from duobiao.models.engine import GRAPHS, WHOLE
from duobiao.models.fastbert import FastBERT
from duobiao.models.kinds import TORCH_KINDS
from duobiao.models.onnx_backend import segment
from duobiao.models.pairwise import PairwiseClassifier
from duobiao.models.regroup import stored_rule
from duobiao.models.tokens import TokenClassifier
from duobiao.models.torch_backend import filled_module

Models = dict[str, onnx.ModelProto]
IDS: dict[str, Sequence[int | str]] = {
    "input_ids": ("rows", "length"),
    "attention_mask": ("rows", "length"),
    "token_type_ids": ("rows", "length"),
}


def convert(bundle: Bundle) -> tuple[Models, Weights, dict[str, Any]]:
    """Graphs by file name, their weights, and what the engine needs besides, from a torch bundle.

    Raises:
        ConfigError: If the bundle has no torch module, or is exported already.
    """
    if bundle.graphs or bundle.kind not in TORCH_KINDS:
        raise ConfigError(
            f"{bundle.name}: " + ("exported already" if bundle.graphs else f"a {bundle.kind} bundle has no graph"),
            hint="give a bundle that duobiao train or distil wrote",
        )
    module = filled_module(bundle).cpu().eval()
    weights: Weights = {}
    engine: dict[str, Any] = {"precision": "float32", "parameters": count_parameters(module)}
    scorer: Any = module
    if isinstance(module, PairwiseClassifier):
        weights["offset"], scorer = values(module.offset), module.scorer
    labels = int(scorer.output.out_features) if hasattr(scorer, "output") else len(bundle.space)
    if isinstance(scorer, FastBERT):
        weights["errors"] = values(scorer.errors)
        engine["layers"] = len(scorer.layerwise)
        rule = stored_rule(bundle, weights["errors"])
        if not rule.is_full:
            return segments(scorer, sorted(rule.exits), weights, labels), weights, engine
        scorer = scorer.backbone
    return {WHOLE: whole(scorer, weights, labels)}, weights, engine


def assemble(bundle: Bundle, models: Models, weights: Weights, engine: Mapping[str, Any], *, placed: bool = True) -> Bundle:
    """The exported bundle: graphs that find their weights in the bundle's safetensors file, at their offsets.

    Args:
        bundle: Where everything else comes from.
        models: Graphs by file name.
        weights: Their weights.
        engine: What the engine needs besides.
        placed: Whether offsets are looked up, which takes a copy of all weights. The engine, which hands the weights to the
            graphs itself, needs none.
    """
    places = _places(weights) if placed else {name: (0, array.nbytes) for name, array in weights.items()}
    names: dict[str, list[str]] = {}
    for file, model in models.items():
        names[file] = []
        for tensor in model.graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                names[file].append(tensor.name)
                del tensor.external_data[:]
                begin, end = places[tensor.name]
                for key, value in (("location", WEIGHTS), ("offset", begin), ("length", end - begin)):
                    tensor.external_data.add(key=key, value=str(value))
    files = {**bundle.files, GRAPHS: json.dumps(names, indent=1) + "\n"}
    graphs = {file: model.SerializeToString(deterministic=True) for file, model in models.items()}
    return replace(bundle, model={**bundle.model, "engine": dict(engine)}, files=files, graphs=graphs, weights=dict(weights))


def whole(scorer: Any, weights: Weights, labels: int) -> onnx.ModelProto:
    """One graph from ids to logits; its weights are added to ``weights``."""
    if isinstance(scorer, EncoderClassifier) and not is_known(scorer):
        return traced(scorer, weights)
    graph = Graph(weights)
    inputs = dict(IDS)
    if isinstance(scorer, EncoderClassifier):
        parts = EncoderGraph(graph, scorer)
        logits = parts.last(parts.through(parts.embed(), 0, len(parts.layers)))
        extra = scorer.output.in_features - int(scorer.encoder.config.hidden_size)
    else:
        assert isinstance(scorer, TokenClassifier)
        logits, extra = token_graph(graph, scorer), scorer.extra
        del inputs["token_type_ids"]
    if extra:
        inputs["features"] = ("rows", extra)
    graph.renamed(logits, "logits")
    return graph.model(inputs, {"logits": ("rows", labels)})


def segments(model: FastBERT, used: Sequence[int], weights: Weights, labels: int) -> Models:
    """A graph from each used exit to the next: states in, the exit's logits and states out."""
    width = int(model.backbone.encoder.config.hidden_size)
    extra = model.backbone.output.in_features - width
    found: Models = {}
    begin = 0
    for place, number in enumerate([*used, None]):
        graph = Graph(weights)
        parts = EncoderGraph(graph, model.backbone)
        inputs = dict(IDS) if not place else {"states": ("rows", "length", width), "attention_mask": ("rows", "length")}
        end = len(parts.layers) if number is None else model.exits[number]
        states = parts.through("states" if place else parts.embed(), begin, end)
        outputs: dict[str, Sequence[int | str]] = {"logits": ("rows", labels)}
        if extra:
            inputs["features"] = ("rows", extra)
        if number is None:
            graph.renamed(parts.last(states), "logits")
        else:
            graph.renamed(parts.head(states, model.heads[number], f"exit.{number}"), "logits")
            outputs[graph.renamed(states, "after")] = ("rows", "length", width)
        found[segment(place)] = graph.model(inputs, outputs)
        begin = end
    return found


def _places(weights: Mapping[str, Array]) -> dict[str, tuple[int, int]]:
    """Where each array begins and ends in the file that these arrays will be saved to."""
    empty = save({name: np.ascontiguousarray(array) for name, array in weights.items()})
    size = struct.unpack("<Q", empty[:8])[0]
    header = json.loads(empty[8 : 8 + size])
    return {
        name: (8 + size + one["data_offsets"][0], 8 + size + one["data_offsets"][1])
        for name, one in header.items()
        if name != "__metadata__"
    }
