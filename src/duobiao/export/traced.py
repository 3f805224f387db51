"""Encoders whose form is not built here, by PyTorch's own exporter."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import onnx
import torch
from onnx import numpy_helper

from duobiao.errors import ConfigError
from duobiao.export.graph import INLINE, Weights, outside
from duobiao.models.encoder import EncoderClassifier


def traced(classifier: EncoderClassifier, weights: Weights) -> onnx.ModelProto:
    """The graph of any encoder; its weights are added to ``weights``.

    The example has several rows, several tokens and padding, for the exporter takes an axis of size 1 for a constant.

    Raises:
        ConfigError: If PyTorch cannot export it.
    """
    rows, length = torch.export.Dim.DYNAMIC, torch.export.Dim.DYNAMIC
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 1, 1], [5, 6, 1, 1, 1]]) % int(classifier.encoder.config.vocab_size)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])
    example: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    shapes: dict[str, Any] = {name: {0: rows, 1: length} for name in example}
    extra = classifier.output.in_features - int(classifier.encoder.config.hidden_size)
    if extra:
        example["features"], shapes["features"] = torch.zeros(3, extra), {0: rows}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            program = torch.onnx.export(
                classifier,
                (),
                kwargs=example,
                dynamic_shapes=shapes,
                input_names=list(example),
                output_names=["logits"],
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter fails in many ways
        kind = classifier.encoder.config.model_type
        said = str(error).strip().splitlines()
        raise ConfigError(
            f"PyTorch cannot export an encoder of type {kind!r}: {said[0] if said else type(error).__name__}",
            hint="distil a student from it and export that",
        ) from error
    assert program is not None
    return _outside(program.model_proto, weights)


def _outside(model: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    """Moves all but small constants out of the graph."""
    tensors = list(model.graph.initializer)
    del model.graph.initializer[:]
    for tensor in tensors:
        array = numpy_helper.to_array(tensor)
        if array.size > INLINE and array.dtype.name in ("float32", "int64", "int32"):
            weights[tensor.name] = array
            tensor = outside(tensor.name, array)
        model.graph.initializer.append(tensor)
    return model
