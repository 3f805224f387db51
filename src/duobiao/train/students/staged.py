"""Unlabelled transfer in stages (arXiv 1910.01769): the teacher's row vectors, then its logits, then labels.

In each stage the layers begin to learn from the top downwards: first the top one alone, then the one below it too, and so on.
Each such part is a run of its own, with its checkpoints. Parts that are scored on dev rows score the weights that they begin
with as well, so none ends with worse ones than those before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from duobiao.config import StagedSettings, TokenStudentConfig, TrainSettings
from duobiao.errors import ConfigError
from duobiao.train.distillation import Distillation
from duobiao.train.loop import TrainData
from duobiao.train.losses import label_loss
from duobiao.train.objectives import HiddenMatch, LogitsDistillation, Objective, Supervised
from duobiao.train.run import train_data

STAGES = ("hidden", "logits", "labels")
_SPREAD = 1e-6


@dataclass(frozen=True)
class Part:
    """One part of the training.

    Attributes:
        stage: What is learned from: ``hidden``, ``logits`` or ``labels``.
        epochs: Passes over its rows.
        learning: The layers that learn, counted from the top.
        name: Of its folder.
    """

    stage: str
    epochs: int
    learning: range

    @property
    def name(self) -> str:
        return f"{self.stage}-{len(self.learning)}"

    @property
    def scored(self) -> bool:
        return self.stage != "hidden"


def plan(settings: StagedSettings, layers: int) -> list[Part]:
    """The parts in order.

    Row vectors do not pass through the top layer, the output, so that stage begins below it. Every layer but the last waits
    ``unfreeze`` passes for the next one; a stage that is too short for that begins with more layers.
    """
    found = []
    for stage, epochs in zip(STAGES, (settings.hidden_epochs, settings.logits_epochs, settings.label_epochs), strict=True):
        top = 1 if stage == "hidden" else 0
        waits = layers - top - 1 if settings.unfreeze else 0
        waits = min(waits, max(epochs - 1, 0) // max(settings.unfreeze, 1))
        for wait in range(waits):
            found.append(Part(stage, settings.unfreeze, range(top, layers - waits + wait)))
        if epochs:
            found.append(Part(stage, epochs - waits * settings.unfreeze, range(top, layers)))
    return found


def fit_staged(work: Distillation, model: nn.Module) -> None:
    """Trains a student in stages; it then holds its best weights."""
    config = work.config
    assert isinstance(config, TokenStudentConfig)
    layers = layers_of(model)
    before = None
    for part in plan(config.staged, len(layers)):
        if part.stage != before:
            objective, data = stage(work, model, part.stage)
            before = part.stage
        for number, own in enumerate(layers):
            for parameter in own:
                parameter.requires_grad_(number in part.learning)
        settings = config.train.model_copy(update={"epochs": part.epochs})
        work.fit(objective, settings=settings, data=data, stage=part.name, scored=part.scored, score_start=part.scored)


def layers_of(model: nn.Module) -> list[list[nn.Parameter]]:
    """Parameters by layer, from the top downwards; what no layer names (offsets of labels) belongs to the top one.

    A layer that is frozen for good, as an embedding may be, is none.
    """
    scorer: Any = getattr(model, "scorer", model)
    named = {name.removeprefix("scorer."): parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    lower = tuple(prefix for layer in scorer.layers[1:] for prefix in layer)
    found = [[parameter for name, parameter in named.items() if not name.startswith(lower)]]
    found += [[parameter for name, parameter in named.items() if name.startswith(prefixes)] for prefixes in scorer.layers[1:]]
    return [layer for layer in found if layer]


def stage(work: Distillation, model: nn.Module, name: str) -> tuple[Objective, TrainData]:
    """What a stage minimises, and over which rows.

    Raises:
        ConfigError: If row vectors are to be learned where a row has several.
    """
    config = work.config
    assert isinstance(config, TokenStudentConfig)
    against_labels = label_loss(config.loss, work.task.cells, work.task.space)
    if name == "hidden":
        if work.features.pairwise:
            raise ConfigError(
                "a pairwise student reads a row once a label, so it has no row vector to learn",
                hint="--set staged.hidden_epochs=0, or --set stages=joint",
            )
        vectors = standardised(work.hidden)
        return HiddenMatch(model, vectors.shape[1], config.staged.match), train_data(
            work.encoder, work.encoded, {"hidden": vectors}
        )
    if name == "logits":
        return LogitsDistillation(model, against_labels, work.teacher_loss, 1.0, 0.0), work.data
    labelled = TrainData(work.data.lengths[: len(work.task.train)], work.data.collate)  # they come first
    share = config.staged.label_logits
    if not share:
        return Supervised(model, against_labels), labelled
    return LogitsDistillation(model, against_labels, work.teacher_loss, share, 1 - share), labelled


def standardised(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each coordinate with mean 0 and deviation 1 over the rows, ``(rows, width)``; one that never changes is 0."""
    spread = vectors.std(axis=0)
    found: np.ndarray[Any, Any] = (vectors - vectors.mean(axis=0)) / np.where(spread > _SPREAD, spread, np.inf)
    return found.astype(np.float32)


def control_of(work: Distillation, model: nn.Module) -> TrainSettings:
    """The settings that give a control as many steps, and about as many evaluations, as the staged student has."""
    config = work.config
    assert isinstance(config, TokenStudentConfig)
    labelled = len(work.task.train)
    rows = {"labels": labelled}
    everything = labelled + len(work.transfer) + len(work.synthetic)
    parts = plan(config.staged, len(layers_of(model)))
    steps = sum(part.epochs * math.ceil(rows.get(part.stage, everything) / config.train.batch_size) for part in parts)
    alone = math.ceil(labelled / config.train.batch_size)
    evaluations = sum(part.epochs + 1 for part in parts if part.scored)
    every = config.train.evaluate_every or max(1, round(steps / evaluations))
    return config.train.model_copy(update={"epochs": max(1, round(steps / alone)), "evaluate_every": every})
