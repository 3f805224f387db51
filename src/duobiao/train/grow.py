"""The output layer of a bundle, and the same bundle with more labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.bundle import Bundle
from duobiao.classifier import Classifier
from duobiao.data.clean import build_chain
from duobiao.data.encode import prepare
from duobiao.data.rows import Row, numeric_columns
from duobiao.errors import BundleError
from duobiao.labels import LabelSpace
from duobiao.models.linear import LinearBackend, join

Inputs = Any
"""An array of shape ``(rows, width)``, or a sparse matrix."""
LINEAR = ("linear", "linear-student")
LAYERED = ("encoder", "tinybert", "bigru", "bilstm", "textcnn")


def check_grows(system: Classifier) -> None:
    """Refuses bundles whose output cannot be given a further label.

    Raises:
        BundleError: With what to do instead.
    """
    bundle, hint = system.bundle, ""
    if bundle.is_exported:
        hint = "add the label to the bundle that it was exported from, then export that again"
    elif bundle.kind == "fastbert":
        hint = "add the label to its teacher, then distil FastBERT from that: each of its exits would need the label"
    elif bundle.kind not in (*LINEAR, *LAYERED):
        hint = f"kinds that can: {', '.join((*LINEAR, *LAYERED))}"
    elif system.features.pairwise:
        hint = "train it anew with the larger label space: it scores labels by their category words, which a new one lacks"
    if hint:
        raise BundleError(f"{bundle.name}: a label cannot be added to this bundle ({bundle.kind})", hint=hint)


def read_inputs(system: Classifier, rows: Sequence[Row], label: str = "") -> Inputs:
    """What the output layer reads of each row, ``(rows, width)``; sparse for linear models."""
    pairs = [(row.text, row.context or None) for row in rows]
    features = system.features
    numbers = features.vectors(pairs, numeric_columns(rows, features.columns)) if features.width else None
    backend: Any = system.backend
    if isinstance(backend, LinearBackend):
        cleaned = prepare(pairs, build_chain(backend.settings.clean), backend.context)
        return join(backend.vectorizer.transform(cleaned), numbers)
    from duobiao.train.before_output import BeforeOutput

    return BeforeOutput.read(backend, pairs, numbers, label)


def output_of(bundle: Bundle) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weights ``(labels, width)`` and biases ``(labels,)``, in single precision."""
    matrix, bias = _places(bundle)
    weights = bundle.weights[matrix].astype(np.float32)
    return (weights.T if bundle.kind in LINEAR else weights), bundle.weights[bias].astype(np.float32)


def grown(
    bundle: Bundle, space: LabelSpace, weights: npt.NDArray[np.float32], biases: npt.NDArray[np.float32], **changes: Any
) -> Bundle:
    """The bundle with another label space: rows of labels that it has are copied bit for bit, the others are given.

    Args:
        bundle: The old one.
        space: The new space.
        weights: Output rows of the labels that the old space lacks, in the order of the new space, ``(new, width)``.
        biases: Their biases, ``(new,)``.
        changes: Further fields of the bundle.
    """
    matrix, bias = _places(bundle)
    axis = 1 if bundle.kind in LINEAR else 0
    both = np.concatenate([bundle.weights[matrix], _like(weights.T if axis else weights, bundle.weights[matrix])], axis=axis)
    biased = np.concatenate([bundle.weights[bias], _like(biases, bundle.weights[bias])])
    fresh = iter(range(len(bundle.space), both.shape[axis]))
    places = [bundle.space.index[name] if name in bundle.space.index else next(fresh) for name in space.names]
    stored: Mapping[str, Any] = {**bundle.weights, matrix: both.take(places, axis=axis), bias: biased[places]}
    return replace(bundle, space=space, weights=stored, digest="", **changes)


def shifted(bundle: Bundle, steps: Mapping[str, float]) -> Bundle:
    """The bundle with a step added to the biases of some labels."""
    name = _places(bundle)[1]
    biases = np.array(bundle.weights[name])
    for label, step in steps.items():
        biases[bundle.space.index[label]] += step
    return replace(bundle, weights={**bundle.weights, name: biases}, digest="")


def _like(values: npt.NDArray[np.float32], stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(stored.dtype)


def _places(bundle: Bundle) -> tuple[str, str]:
    return ("coefficients", "intercepts") if bundle.kind in LINEAR else ("output.weight", "output.bias")
