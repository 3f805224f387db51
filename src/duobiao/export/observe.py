"""What goes into the products of a graph, seen on real rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from duobiao.data.encode import Encoded, RowEncoder, batches
from duobiao.export.graph import Array, Weights
from duobiao.models.engine import Session

ROWS, KEPT = 96, 128
"""Rows that are looked at, and inputs of a product that are kept."""


@dataclass(frozen=True)
class Inputs:
    """What went into one product.

    Attributes:
        largest: Largest absolute value of each input channel, ``(in,)``.
        sample: Some of the inputs, ``(inputs, in)``.
    """

    largest: Array
    sample: Array


Observed = Mapping[str, Inputs]


def observe(
    models: Mapping[str, onnx.ModelProto], weights: Weights, encoder: RowEncoder, encoded: Encoded, products: Any
) -> dict[str, Inputs]:
    """Runs the graphs one after the other on some rows.

    Args:
        models: Graphs by file name, in the order of their work.
        weights: Their weights.
        encoder: Pads.
        encoded: The rows.
        products: Tells whether a node is a product with a constant matrix; see ``recipes.is_product``.

    Returns:
        By the name of the product's weight; a product whose weight is shared is seen in all places together.
    """
    found: dict[str, Inputs] = {}
    opened = [_watched(model, weights, products) for model in models.values()]
    chosen = np.random.default_rng(0).permutation(len(encoded))[:ROWS]
    for part in batches(encoded.lengths[chosen], 512, 32):
        inputs = encoder.pad(encoded, chosen[part])
        slots = inputs.pop("slots", None)
        if slots is not None and "features" in inputs:
            inputs["features"] = inputs["features"][np.nonzero(slots >= 0)[0]]
        if not len(inputs["input_ids"]):
            continue
        for session, watched, names in opened:
            values = dict(zip(names, session.run(inputs), strict=True))
            for name, output in watched:
                found[name] = _joined(found.get(name), values[output].reshape(-1, values[output].shape[-1]))
            if "after" in values:
                inputs["states"] = values["after"]
    return found


def _watched(model: onnx.ModelProto, weights: Weights, products: Any) -> tuple[Session, list[tuple[str, str]], list[str]]:
    """A session that tells the inputs of its products too."""
    graph = onnx.ModelProto()
    graph.CopyFrom(model)
    watched = [(node.input[1], node.input[0]) for node in graph.graph.node if products(node, weights)]
    for value in dict.fromkeys(value for _, value in watched):
        graph.graph.output.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, None))
    names = [one.name for one in graph.graph.initializer if one.data_location == TensorProto.EXTERNAL]
    session = Session(graph.SerializeToString(), {name: weights[name] for name in names})
    return session, watched, [one.name for one in graph.graph.output]


def _joined(before: Inputs | None, values: Array) -> Inputs:
    largest = np.abs(values).max(0)
    step = max(1, len(values) // 32)
    sample = values[::step][:32]
    if before is None:
        return Inputs(largest, sample)
    return Inputs(np.maximum(before.largest, largest), np.concatenate([before.sample, sample])[-KEPT:])


def smoothing(seen: Inputs, matrix: Array) -> Array:
    """What each input channel is divided by and its weights multiplied with: ``sqrt(max |x| / max |w|)``, ``(in,)``."""
    weights = np.maximum(np.abs(matrix).max(1), 1e-5)
    found: Array = np.sqrt(np.maximum(seen.largest, 1e-5) / weights).astype(np.float32)
    evened: Array = np.maximum(found / np.exp(np.log(found).mean()), np.float32(1e-3)).astype(np.float32)
    return evened


def distorted(seen: Inputs, matrix: Array, smooth: bool) -> float:
    """How far a product moves, relative to its size, with inputs of 8 bits under one scale and weights of 8 bits a channel."""
    inputs, own = seen.sample, matrix
    if smooth:
        scale = smoothing(seen, matrix)
        inputs, own = inputs / scale, matrix * scale[:, None]
    exact = inputs @ own
    low, high = min(float(inputs.min()), 0.0), max(float(inputs.max()), 0.0)
    step = max(high - low, 1e-9) / 255
    scales = np.maximum(np.abs(own).max(0) / 127, 1e-12)
    rough = (np.rint(inputs / step) * step) @ (np.rint(own / scales) * scales)
    return float(np.linalg.norm(rough - exact) / max(float(np.linalg.norm(exact)), 1e-9))
