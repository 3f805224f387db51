"""Training all of a model on for further labels while the old bundle teaches it the old ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from duobiao.bundle import Bundle, read_bundle
from duobiao.classifier import Classifier
from duobiao.config import TeacherConfig, TokenStudentConfig
from duobiao.config.tinybert import TinyBERTConfig
from duobiao.data.rows import Row, check_texts, targets
from duobiao.labels import UNKNOWN, Group, LabelSpace, Targets
from duobiao.models.row_encoder import make_encoder
from duobiao.models.torch_backend import make_module
from duobiao.train.distillation import CACHE
from duobiao.train.losses import LabelLoss, LogitsLoss, label_loss
from duobiao.train.objectives import Batch, Objective
from duobiao.train.run import Run, Task, encode_rows, gathered_logits, train_data
from duobiao.train.soft_labels import soft_labels

Trainable = TeacherConfig | TokenStudentConfig | TinyBERTConfig


class KeepOld(Objective):
    """Learning without forgetting (Li and Hoiem, 2016, arXiv 1606.09282, its ``lambda_o L_old + L_new``).

    ``keep_weight * loss(student, old model) + label loss + new label loss``: the model as it was is the teacher of the labels
    that it had, on every row, also where their truth is unknown; labels are learned wherever they are known, new ones from
    nothing else. The distance to the old logits is ``LogitsLoss`` instead of the paper's cross-entropy at a temperature of 2,
    for it takes independent labels and groups alike.

    The label loss is a mean over all labels, so one new label among many would hardly count, and known in few rows besides. The
    third term is the same loss over the new labels alone, a mean over these.

    Args:
        student: The module that is trained.
        label_loss: The loss against labels; reads ``cells`` and, as the third term, ``fresh``: cells of new decisions alone.
        logits_loss: The loss against the old model, over the label space that both share; reads ``teacher``, the old logits,
            and ``shared``, the cells of these labels.
        places: The columns of the shared labels in the student's logits.
        keep_weight: Weight of the latter.
        fresh: How many new decisions there are.
    """

    places: Tensor

    def __init__(
        self,
        student: nn.Module,
        label_loss: LabelLoss,
        logits_loss: LogitsLoss,
        places: Sequence[int],
        keep_weight: float,
        fresh: int = 1,
    ) -> None:
        super().__init__(student)
        self.label_loss = label_loss
        self.logits_loss = logits_loss
        self.keep_weight = keep_weight
        self.share = label_loss.terms / (1 if label_loss.settings.independent == "zlpr" else fresh)
        self.register_buffer("places", torch.tensor(places, dtype=torch.int64), persistent=False)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        logits = self.logits(batch).float()
        kept = self.logits_loss(logits[:, self.places], batch["teacher"], batch["shared"])
        learned = self.label_loss(logits, batch["cells"])
        fresh = self.share * self.label_loss(logits, batch["fresh"])
        return {"loss": self.keep_weight * kept + learned + fresh, "kept": kept, "labels": learned, "fresh": fresh}


@dataclass(frozen=True)
class Further:
    """A training on.

    Attributes:
        old: The model as it was.
        start: The same with further output rows.
        config: Its configuration.
        train: Rows to learn from, read for the grown label space.
        dev: Rows that the result is scored on.
        keep_weight: Weight of the old model's word; 0: labels alone.
        source: What else names the run.
    """

    old: Classifier
    start: Bundle
    config: Trainable
    train: Sequence[Row]
    dev: Sequence[Row]
    keep_weight: float
    source: str

    def fit(self, out: Path, force: bool = False) -> Bundle:
        """Trains and returns the bundle with its new weights.

        ``out.run`` lets an interrupted run go on; a finished one is taken as it is.
        """
        space = self.start.space
        check_texts(self.train, "training")
        check_texts(self.dev, "dev")
        task = Task(space, self.train, self.dev, targets(self.train, space), targets(self.dev, space))
        run = Run(self.config, task, out, force, source=f"{self.old.bundle.digest} {self.source} {self.keep_weight}")
        if not run.is_done():
            with run.folder():
                self._fit(run, task)
        return read_bundle(run.out)

    def _fit(self, run: Run, task: Task) -> None:
        accelerator = run.start(self.config.train)
        run.features = self.old.features
        encoder = make_encoder(self.start)
        shared = shared_space(self.old.space, task.space)
        taught = soft_labels(self.old, self.train, run.out.parent / CACHE)
        arrays: dict[str, Any] = {
            "cells": task.cells,
            "fresh": fresh_cells(task.cells, self.old.space, task.space),
            "shared": task.cells[:, [task.space.index[name] for name in shared.names]],
            "teacher": taught[:, [self.old.space.index[name] for name in shared.names]],
        }
        data = train_data(encoder, encode_rows(encoder, run.features, self.train), arrays)
        model = self._module()
        places = [task.space.index[name] for name in shared.names]
        against_labels = label_loss(self.config.loss, task.cells, task.space)
        objective = KeepOld(model, against_labels, LogitsLoss(shared), places, self.keep_weight, self._fresh)
        # The best epoch for all labels together would be an early one, before the new label is learned.
        run.fit(objective, data, encoder, self.config.train, accelerator, scored=False)
        dev = encode_rows(encoder, run.features, self.dev)
        run.dev_logits = gathered_logits(model, encoder, dev, len(task.space), accelerator)
        run.write(model, encoder, dict(self.start.model), {})

    @property
    def _fresh(self) -> int:
        """New decisions: independent labels, or the group that has grown."""
        space, old = self.start.space, self.old.space.index
        return max(sum(name not in old for name in space.independent), 1)

    def _module(self) -> nn.Module:
        model: Any = make_module(self.start)
        model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in self.start.weights.items()})
        if isinstance(self.config, (TeacherConfig, TokenStudentConfig)):
            model.dropout.p = self.config.dropout
        if isinstance(self.config, TokenStudentConfig):
            model.embedding.weight.requires_grad_(self.config.train_embedding)
        module: nn.Module = model.train()
        return module


def fresh_cells(cells: Targets, old: LabelSpace, new: LabelSpace) -> Targets:
    """The cells with all but new independent labels, and groups with a new member, unknown; shape ``(rows, labels)``."""
    found = cells.copy()
    for place, name in enumerate(new.independent):
        if name in old.index:
            found[:, place] = UNKNOWN
    for group, columns in zip(new.groups, new.slices, strict=True):
        if all(name in old.index for name in group.labels):
            found[:, columns] = UNKNOWN
    return found


def shared_space(old: LabelSpace, new: LabelSpace) -> LabelSpace:
    """The old label space without labels and groups that the new one lacks."""
    groups = []
    for group in old.groups:
        labels = tuple(name for name in group.labels if name in new.index)
        if len(labels) >= (1 if group.at_most_one else 2):
            groups.append(Group(group.name, labels, group.at_most_one, group.contexts))
    return LabelSpace(tuple(name for name in old.independent if name in new.index), tuple(groups))
