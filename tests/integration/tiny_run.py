"""A tiny run of the training loop, for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from duobiao.config import LossSettings, TrainSettings
from duobiao.labels import LabelSpace
from duobiao.models.bigru import BiGRUClassifier
from duobiao.models.encoder import EncoderClassifier
from duobiao.train import loop
from duobiao.train.loop import TrainData, fit
from duobiao.train.losses import LabelLoss, LogitsLoss
from duobiao.train.objectives import LogitsDistillation, Objective, Supervised

SPACE = LabelSpace.from_dict({"labels": ["a", "b", "c"], "groups": {"g": {"labels": ["x", "y", "z"]}}})
ROWS, VOCABULARY = 77, 30
SETTINGS = TrainSettings(epochs=2, batch_size=32, lr=5e-3, head_lr=1e-2, clip=0.7, checkpoint_seconds=1e6, token_budget=10**6)


class Rows:
    """Ragged rows of random ids, with cells and a teacher's logits."""

    def __init__(self, rows: int = ROWS) -> None:
        random = np.random.default_rng(4)
        self.lengths = random.integers(1, 13, size=rows)
        self.ids = [random.integers(3, VOCABULARY, size=length) for length in self.lengths]
        self.cells = random.choice([1, 0, 0, -1], size=(rows, len(SPACE))).astype(np.int8)
        self.cells[:, 3:] = np.eye(3, dtype=np.int8)[random.integers(0, 3, size=rows)]
        self.teacher = random.normal(size=(rows, len(SPACE))).astype(np.float32)

    def collate(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        longest = int(self.lengths[rows].max())
        padded = np.stack([np.pad(self.ids[row], (0, longest - len(self.ids[row]))) for row in rows])
        mask = (np.arange(longest)[None, :] < self.lengths[rows][:, None]).astype(np.int64)
        inputs = {"input_ids": padded, "attention_mask": mask, "token_type_ids": np.zeros_like(padded)}
        return {**inputs, "cells": self.cells[rows], "teacher": self.teacher[rows]}

    def data(self) -> TrainData:
        return TrainData(self.lengths, self.collate)


class WithProjection(Objective):
    """Also matches a target through a projection that it learns, as TinyBERT does."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__(student)
        self.projection = nn.Linear(len(SPACE), 5, bias=False)
        self.label_loss = LabelLoss(SPACE, LossSettings())

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = self.logits(batch)
        return {"loss": self.label_loss(logits, batch["cells"]) + ((self.projection(logits) - 1) ** 2).mean(1)}


def make_objective(kind: str, dropout: float = 0.0) -> Objective:
    """``bert``, ``bigru``, ``distil`` or ``projection``."""
    set_seed(3)
    label_loss = LabelLoss(SPACE, LossSettings())
    if kind == "bert":
        shape = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        encoder = BertModel(BertConfig(**shape, **drops, intermediate_size=24), add_pooling_layer=False)
        return Supervised(EncoderClassifier(encoder, len(SPACE), "mean", dropout), label_loss)
    student = BiGRUClassifier(VOCABULARY, 8, len(SPACE), hidden=8, fc=8, model="B", dropout=dropout)
    if kind == "projection":
        return WithProjection(student)
    if kind == "distil":
        return LogitsDistillation(student, label_loss, LogitsLoss(SPACE), 0.8, 0.2)
    return Supervised(student, label_loss)


@dataclass
class Result:
    """What a run leaves."""

    at: loop.Position
    student: dict[str, Tensor]
    objective: Objective
    lines: list[dict[str, Any]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def plain_sgd(student: nn.Module, objective: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Unlike Adam it shows a gradient of the wrong size."""
    return torch.optim.SGD(objective.parameters(), lr=0.3)


def train(
    workdir: Path,
    kind: str = "bert",
    *,
    dropout: float = 0.0,
    rows: int = ROWS,
    stop_after: int | None = None,
    scores: list[float] | None = None,
    **changes: Any,
) -> Result:
    """Runs the loop; the score is the teacher's fit (falling with the error), or the given ones in order."""
    source = Rows(rows)
    objective = make_objective(kind, dropout)
    seen: list[float] = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert not model.training
        batch = {name: torch.from_numpy(array) for name, array in source.collate(np.arange(8)).items()}
        with torch.no_grad():
            logits = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]).float()
        error = float(LogitsLoss(SPACE)(logits, batch["teacher"], batch["cells"]).mean())
        seen.append(scores[len(seen)] if scores else 1 / (1 + error))
        return {"score": seen[-1], "error": error}

    settings = SETTINGS.model_copy(update=changes)
    at = fit(objective, source.data(), evaluate, settings, workdir, stop_after=stop_after)
    lines = [json.loads(line) for line in (workdir / loop.METRICS).read_text(encoding="utf-8").splitlines()]
    student = {name: tensor.detach().clone() for name, tensor in objective.student.state_dict().items()}
    return Result(at, student, objective, lines, seen)
