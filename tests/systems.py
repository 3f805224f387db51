"""Systems whose answers are written down, for tests of what stands around a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duobiao.bundle import Bundle, write_bundle
from duobiao.classifier import Classifier
from duobiao.data.rows import Row
from duobiao.labels import LabelSpace

NODE = "身份确认"
SPACE = LabelSpace.from_dict(
    {
        "labels": ["物流", "质量", "发票"],
        "groups": {"情感": {"labels": ["正面", "负面"]}, NODE: {"labels": ["本人", "他人"], "contexts": [NODE]}},
    }
)


class Reader:
    """A backend that finds a label true (probability 0.982) where the text names it.

    Args:
        space: The label space.
        watch: Called with the number of each call, from 0; may raise.
    """

    parameters = 1234

    def __init__(self, space: LabelSpace = SPACE, watch: Callable[[int], None] = lambda number: None) -> None:
        self.space, self.watch, self.calls = space, watch, 0

    def logits(self, pairs: Sequence[tuple[str, str | None]], label: str = "") -> np.ndarray:
        self.watch(self.calls)
        self.calls += 1
        found = [[4.0 if name in text else -4.0 for name in self.space.names] for text, _ in pairs]
        return np.array(found, dtype=np.float32).reshape(len(pairs), len(self.space))


def make_bundle(name: str = "写定", kind: str = "linear", space: LabelSpace = SPACE, **changes: Any) -> Bundle:
    thresholds = {"values": dict.fromkeys(space.independent, 0.5), "settings": {}}
    settings = {"context": "pair", "max_length": 64, "clean": ["whitespace"]}
    weights = {"w": np.arange(3, dtype=np.float32)}
    bundle = Bundle(kind, name, space, settings, {}, thresholds, {}, {}, {"note.txt": "x"}, weights)
    return dataclasses.replace(bundle, **changes)


def make_system(backend: Reader | None = None, **changes: Any) -> Classifier:
    bundle = make_bundle(**changes)
    return Classifier(bundle, backend or Reader(bundle.space))


def store(place: Path, name: str = "写定", kind: str = "linear", **changes: Any) -> Path:
    """Writes a bundle whose backend ``Classifier.load`` does not know; see ``duobiao.classifier.make_backend``."""
    write_bundle(place, make_bundle(name, kind, **changes))
    return place


def row(text: str, *labels: str, id: str = "1", context: str | None = None, unknown: Sequence[str] = ()) -> Row:
    return Row(id=id, text=text, context=context, labels=labels, unknown=tuple(unknown), source=f"data:{id}")
