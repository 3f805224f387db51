"""Building ONNX graphs node by node; their weights lie in the bundle's safetensors file, where graphs find them by offset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
Weights = dict[str, Array]
MICROSOFT = "com.microsoft"
"""The domain of operators that onnxruntime adds."""
OPSET, IR = 20, 10
INLINE = 32
"""Constants of at most so many values stand in the graph itself: axes, shapes, scalars."""


class Graph:
    """A graph under construction. Methods add nodes and return the names of what these give.

    Args:
        weights: Arrays by name that several graphs may share; new ones are added.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}
        self.used: dict[str, None] = {}

    def weight(self, name: str, array: Array) -> str:
        """An array that is stored once under this name."""
        self.weights.setdefault(name, np.ascontiguousarray(array))
        self.used[name] = None
        return name

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """A small constant."""
        array = np.asarray(value, dtype=dtype)
        name = f"constant.{array.dtype.name}.{'x'.join(map(str, array.shape))}.{'_'.join(map(str, array.ravel().tolist()))}"
        self.constants[name] = array
        return name

    def op(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        """A node with one output."""
        return self.ops(kind, 1, *inputs, name=name, domain=domain, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> list[str]:
        """A node with several outputs."""
        number = len(self.nodes)
        found = [f"{name or kind}.{number}.{place}" for place in range(outputs)]
        node = helper.make_node(kind, list(inputs), found, name=f"{name or kind}.{number}", domain=domain, **attributes)
        self.nodes.append(node)
        return found

    def linear(self, value: str, name: str, weight: Array, bias: Array | None = None) -> str:
        """``value W^T + b``, with PyTorch's ``weight`` ``(out, in)``."""
        found = self.op("MatMul", value, self.weight(f"{name}.weight", weight.T), name=name)
        return found if bias is None else self.op("Add", found, self.weight(f"{name}.bias", bias))

    def norm(self, value: str, name: str, weight: Array, bias: Array, epsilon: float) -> str:
        """Layer normalisation over the last axis."""
        scale, shift = self.weight(f"{name}.weight", weight), self.weight(f"{name}.bias", bias)
        return self.op("LayerNormalization", value, scale, shift, axis=-1, epsilon=epsilon)

    def floats(self, value: str) -> str:
        """As float32."""
        return self.op("Cast", value, to=TensorProto.FLOAT)

    def renamed(self, value: str, name: str) -> str:
        """The same under the name of an output."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"Identity.{len(self.nodes)}"))
        return name

    def model(self, inputs: Mapping[str, Sequence[int | str]], outputs: Mapping[str, Sequence[int | str]]) -> onnx.ModelProto:
        """The graph with its inputs and outputs by shape; names of axes are dynamic.

        Ids are int64: ``input_ids``, ``attention_mask``, ``token_type_ids``; all else is float32. Weights carry their type and
        shape; where they lie is written by ``placed``.
        """

        def values(of: Mapping[str, Sequence[int | str]]) -> list[onnx.ValueInfoProto]:
            ids = ("input_ids", "attention_mask", "token_type_ids")
            types = {name: TensorProto.INT64 if name in ids else TensorProto.FLOAT for name in of}
            return [helper.make_tensor_value_info(name, types[name], list(shape)) for name, shape in of.items()]

        tensors = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        tensors += [outside(name, self.weights[name]) for name in self.used]
        graph = helper.make_graph(self.nodes, "duobiao", values(inputs), values(outputs), tensors)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="duobiao")


def outside(name: str, array: Array) -> onnx.TensorProto:
    """A tensor whose values lie outside the graph."""
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return TensorProto(name=name, data_type=kind, dims=array.shape, data_location=TensorProto.EXTERNAL)
