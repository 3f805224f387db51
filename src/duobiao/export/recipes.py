"""Ways to compute in int8, and what each makes of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper

from duobiao.export.graph import MICROSOFT, Array, Weights, outside
from duobiao.export.observe import Observed, distorted, smoothing

Models = dict[str, onnx.ModelProto]
BLOCK = 32
_TABLE = 256
"""Embeddings of fewer rows stay as they are."""


@dataclass(frozen=True)
class Recipe:
    """How products with constant matrices are computed. Large embeddings become int8, a scale a row, in every recipe.

    Attributes:
        name: In tables.
        scheme: ``dynamic``: inputs become uint8 as they come, one scale for all of a batch, and the product is one of
            integers. ``blocks``: weights have a scale for each ``BLOCK`` inputs, and so has each token.
        signed: Whether weights are int8 (U8S8) or uint8 (U8U8).
        per_channel: Whether each output has a scale of its own.
        reduced: Whether weights have 7 bits. Without VNNI, sums of two products of 8 bits can saturate; of 7 they cannot.
        smooth: Whether inputs that run large are made smaller and their weights larger (SmoothQuant, arXiv 2211.10438, eq. 4
            with alpha 0.5).
        rest: The share of products, those that distort most, that is not computed so.
        rest_as: How these are computed instead: ``float``, or in ``blocks``.
    """

    name: str
    scheme: Literal["dynamic", "blocks"] = "dynamic"
    signed: bool = True
    per_channel: bool = True
    reduced: bool = False
    smooth: bool = False
    rest: float = 0.0
    rest_as: Literal["float", "blocks"] = "float"

    def to_dict(self) -> dict[str, Any]:
        """The form stored in a bundle."""
        return asdict(self)


RECIPES = (
    Recipe("dynamic U8S8", per_channel=False),
    Recipe("dynamic U8S8 per channel"),
    Recipe("dynamic U8U8 per channel", signed=False),
    Recipe("dynamic U8S8 per channel, 7 bits", reduced=True),
    Recipe("smoothed U8S8", smooth=True),
    Recipe("smoothed U8S8, 7 bits", smooth=True, reduced=True),
    Recipe("smoothed U8S8, 1/8 float", smooth=True, rest=1 / 8),
    Recipe("smoothed U8S8, 1/4 float", smooth=True, rest=1 / 4),
    Recipe("smoothed U8S8, 1/4 blocks", smooth=True, rest=1 / 4, rest_as="blocks"),
    Recipe("smoothed U8S8, 7 bits, 1/4 float", smooth=True, reduced=True, rest=1 / 4),
    Recipe("weight-only blocks", scheme="blocks"),
)


def quantized(
    recipe: Recipe, models: Mapping[str, onnx.ModelProto], weights: Weights, seen: Observed
) -> tuple[Models, Weights]:
    """Graphs and weights under a recipe; what is given stays as it is.

    Args:
        recipe: The recipe.
        models: Graphs in float32 by file name.
        weights: Their weights.
        seen: What went into the products, by the name of their weight.
    """
    ranked = sorted(seen, key=lambda name: -distorted(seen[name], weights[name], recipe.smooth))
    rest = set(ranked[: round(recipe.rest * len(ranked))])
    work = _Work(recipe, dict(weights), rest, seen)
    made = {file: work.rewritten(model) for file, model in models.items()}
    used = {tensor.name for model in made.values() for tensor in model.graph.initializer}
    named = {name for model in models.values() for name in _names(model)}
    kept = {name: array for name, array in work.weights.items() if name in used or name not in named}
    return made, kept


class _Work:
    """One recipe at work; a weight that several products share is changed once."""

    def __init__(self, recipe: Recipe, weights: Weights, rest: set[str], seen: Observed) -> None:
        self.recipe, self.weights, self.rest, self.seen = recipe, weights, rest, seen

    def rewritten(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """The graph with other nodes for products and large embeddings."""
        made = onnx.ModelProto()
        made.CopyFrom(model)
        graph, nodes = made.graph, list[onnx.NodeProto]()
        for node in graph.node:
            nodes += self._product(node) if is_product(node, self.weights) else self._table(node)
        del graph.node[:]
        graph.node.extend(nodes)
        read = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        known = {tensor.name for tensor in kept}
        kept += [outside(name, self.weights[name]) for name in sorted(read - known) if name in self.weights]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        return made

    def _product(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        name, recipe = node.input[1], self.recipe
        if name in self.rest and recipe.rest_as == "float":
            return [node]
        if name in self.rest or recipe.scheme == "blocks":
            return [self._blocks(node, name)]
        value, matrix, before = node.input[0], self.weights[name], list[onnx.NodeProto]()
        if recipe.smooth:
            scale = smoothing(self.seen[name], matrix)
            value = f"{node.name}.smoothed"
            before = [helper.make_node("Mul", [node.input[0], self._add(f"{name}.smooth", 1 / scale)], [value], name=value)]
            matrix = matrix * scale[:, None]
        whole, scales, zeros = integers(matrix, recipe.signed, recipe.per_channel, recipe.reduced)
        inputs = [self._add(f"{name}.{part}", array) for part, array in (("int", whole), ("scale", scales), ("zero", zeros))]
        made = helper.make_node("DynamicQuantizeMatMul", [value, *inputs], list(node.output), name=node.name, domain=MICROSOFT)
        return [*before, made]

    def _blocks(self, node: onnx.NodeProto, name: str) -> onnx.NodeProto:
        matrix = self.weights[name]
        packed, scales = blocks(matrix)
        inputs = [node.input[0], self._add(f"{name}.packed", packed), self._add(f"{name}.scales", scales)]
        form = {"K": matrix.shape[0], "N": matrix.shape[1], "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
        return helper.make_node("MatMulNBits", inputs, list(node.output), name=node.name, domain=MICROSOFT, **form)

    def _table(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """An embedding of int8 rows, each with its scale."""
        table = self.weights.get(node.input[0]) if node.op_type == "Gather" and node.input else None
        if table is None or table.ndim != 2 or len(table) < _TABLE or table.dtype != np.float32:
            return [node]
        scales = np.maximum(np.abs(table).max(1, keepdims=True) / 127, 1e-12).astype(np.float32)
        rows = self._add(f"{node.input[0]}.int", np.rint(table / scales).astype(np.int8))
        scale = self._add(f"{node.input[0]}.scale", scales)
        names = [f"{node.name}.{part}" for part in ("rows", "floats", "scales")]
        return [
            helper.make_node("Gather", [rows, node.input[1]], [names[0]], name=names[0]),
            helper.make_node("Cast", [names[0]], [names[1]], name=names[1], to=TensorProto.FLOAT),
            helper.make_node("Gather", [scale, node.input[1]], [names[2]], name=names[2]),
            helper.make_node("Mul", [names[1], names[2]], list(node.output), name=node.name),
        ]

    def _add(self, name: str, array: Array) -> str:
        self.weights[name] = np.ascontiguousarray(array)
        return name


def is_product(node: onnx.NodeProto, weights: Mapping[str, Array]) -> bool:
    """Whether a node multiplies with a constant matrix."""
    return node.op_type == "MatMul" and node.input[1] in weights and weights[node.input[1]].ndim == 2


def integers(matrix: Array, signed: bool, per_channel: bool, reduced: bool) -> tuple[Array, Array, Array]:
    """A matrix ``(in, out)`` as integers, with scales and zero points, symmetric about zero."""
    most = 63 if reduced else 127
    scales = np.asarray(np.abs(matrix).max(axis=0 if per_channel else None) / most, dtype=np.float32)
    scales = np.where(scales > 0, scales, np.float32(1)).astype(np.float32)
    whole = np.clip(np.rint(matrix / scales), -most, most)
    zeros = np.full(scales.shape, 0 if signed else 128)
    kind = np.int8 if signed else np.uint8
    return (whole + (0 if signed else 128)).astype(kind), scales, zeros.astype(kind)


def blocks(matrix: Array) -> tuple[Array, Array]:
    """A matrix ``(in, out)`` as ``MatMulNBits`` takes it: bytes about 128, ``(out, blocks, BLOCK)``, and a scale a block."""
    count = -(-matrix.shape[0] // BLOCK)
    padded = np.zeros((matrix.shape[1], count * BLOCK), dtype=np.float32)
    padded[:, : matrix.shape[0]] = matrix.T
    parts = padded.reshape(matrix.shape[1], count, BLOCK)
    scales = np.abs(parts).max(axis=2) / 127
    scales = np.where(scales > 0, scales, 1).astype(np.float32)
    return (np.rint(parts / scales[:, :, None]) + 128).astype(np.uint8), scales


def _names(model: onnx.ModelProto) -> Sequence[str]:
    return [tensor.name for tensor in model.graph.initializer]
