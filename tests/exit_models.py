"""A tiny encoder with exits and rows for it, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel

from duobiao.data.encode import Encoded
from duobiao.labels import LabelSpace
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.fastbert import FastBERT

SPACE = LabelSpace.from_dict({"labels": ["a", "b"], "groups": {"g": {"labels": ["x", "y", "z"]}}})
LAYERS, ROWS = 5, 23
SHAPE: dict[str, Any] = {"vocab_size": 30, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}


class Pads:
    """Pads as ``RowEncoder`` does."""

    def pad(self, encoded: Encoded, rows: np.ndarray) -> dict[str, np.ndarray]:
        longest = max(len(encoded.ids[row]) for row in rows)
        ids = np.stack([np.pad(encoded.ids[row], (0, longest - len(encoded.ids[row]))) for row in rows])
        mask = np.stack([np.arange(longest) < len(encoded.ids[row]) for row in rows]).astype(np.int64)
        found = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return found if encoded.features is None else {**found, "features": encoded.features[rows]}


PADS: Any = Pads()


def make_model(head: str = "pool", kind: str = "bert", pooling: Any = "mean", extra: int = 0, **changes: Any) -> FastBERT:
    torch.manual_seed(3)
    if kind == "albert":
        encoder: Any = AlbertModel(AlbertConfig(**SHAPE, embedding_size=8, num_hidden_layers=LAYERS), add_pooling_layer=False)
    else:
        encoder = BertModel(BertConfig(**SHAPE, num_hidden_layers=LAYERS), add_pooling_layer=False)
    backbone = EncoderClassifier(encoder, len(SPACE), pooling, 0.0, extra)
    form: Any = {"exits": (1, 2, 4), "head": head, "width": 6, "parts": 2, **changes}
    return FastBERT(backbone, form.pop("exits"), SPACE.decisions, **form).eval()


def make_rows(extra: int = 0) -> Encoded:
    random = np.random.default_rng(4)
    ids = [random.integers(3, 30, size=length) for length in random.integers(2, 13, size=ROWS)]
    features = random.normal(size=(ROWS, extra)).astype(np.float32) if extra else None
    return Encoded(ids, [np.zeros_like(one) for one in ids], features=features)
