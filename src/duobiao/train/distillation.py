"""What every student is made from: labelled rows, rows that only the teacher labels, and the teacher's cached word on both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from duobiao.classifier import Classifier
from duobiao.config import FeatureSettings, InputSettings, StudentConfig, TrainSettings
from duobiao.data.augment import augment
from duobiao.data.encode import Encoded, Ids, RowEncoder
from duobiao.data.rows import Row
from duobiao.data.vocabulary import prune_for
from duobiao.errors import BundleError, ConfigError, DataError
from duobiao.label_difference import difference
from duobiao.labels import UNASKED, UNKNOWN, LabelSpace, Targets
from duobiao.models.encoder import EncoderClassifier, RowVectors
from duobiao.models.inference import compute_logits
from duobiao.models.pairwise import PairwiseClassifier
from duobiao.models.torch_backend import TorchBackend
from duobiao.train.loop import TrainData
from duobiao.train.losses import LogitsLoss, SoftLabelLoss, label_loss, prior_logits
from duobiao.train.mlm_substitution import masked_lm
from duobiao.train.objectives import LogitsDistillation, Objective, Supervised
from duobiao.train.run import Run, Task, encode_rows, pairs, train_data
from duobiao.train.soft_labels import row_vectors

if TYPE_CHECKING:
    from duobiao.train.teachers import Teachers

CACHE = ".soft_labels"
Floats = npt.NDArray[np.float32]


class Distillation:
    """One student's training under way: rows, cells and the teacher's logits, side by side.

    Args:
        config: The student.
        task: Checked labelled rows.
        run: The bookkeeping.
        teachers: Who teaches; ``teacher`` is the one whose input and tokenizer the student shares.
        transfer: Rows that only the teacher labels.
        no_teacher: Train the control: it sees labelled rows only, for as many steps.
    """

    def __init__(
        self,
        config: StudentConfig,
        task: Task,
        run: Run,
        teachers: Teachers,
        transfer: Sequence[Row],
        no_teacher: bool,
    ) -> None:
        self.config, self.task, self.run, self.teachers = config, task, run, teachers
        teacher = self.teacher = teachers.main
        self.transfer, self.no_teacher = transfer, no_teacher
        self.accelerator = run.start(config.train)
        self.features = run.features = teacher.features
        self.scorer = scorer_of(teacher)
        self.synthetic = augment(task.train, config.augment, config.train.seed, masked_lm(config.augment))
        self.encoder, self.kept = self._vocabulary(backend_of(teacher).encoder)

    def _vocabulary(self, encoder: RowEncoder) -> tuple[RowEncoder, Ids | None]:
        """The student's encoder and ``kept``: the teacher's ids of its tokens, None where it has the teacher's vocabulary.

        A control has the vocabulary of its student, so transfer and synthetic rows count for it too.
        """
        rows = [*self.task.train, *self.transfer, *self.synthetic]
        return prune_for(encoder, pairs(rows), self.config.vocabulary, self.features.segment_texts(self.task.space))

    @property
    def labels(self) -> int:
        """Number of labels."""
        return len(self.task.space)

    @property
    def outputs(self) -> int:
        """Numbers that the student's output layer gives for an input: one a label, or one where labels are scored singly."""
        return 1 if self.features.pairwise else self.labels

    @cached_property
    def rows(self) -> list[Row]:
        """Rows to learn from, labelled ones first; a control has no others."""
        return list(self.task.train) if self.no_teacher else [*self.task.train, *self.transfer, *self.synthetic]

    @cached_property
    def cells(self) -> Targets:
        """Truth of ``rows``, ``(rows, labels)``; without labels, cells that the teacher answers are unknown."""
        return np.concatenate([self.task.cells, self._open_cells(self.rows[len(self.task.train) :])])

    @cached_property
    def soft(self) -> npt.NDArray[np.float32]:
        """The teachers' logits on ``rows``, ``(rows, labels)``, computed once and kept beside the bundle."""
        with self.accelerator.main_process_first():
            return self.teachers.soft(self.rows, self.run.out.parent / CACHE)

    @cached_property
    def hidden(self) -> npt.NDArray[np.float32]:
        """The teacher's pooled encodings of ``rows``, ``(rows, width)``, computed once and kept like its logits."""
        module = RowVectors(self.scorer)
        encoder = backend_of(self.teacher).encoder

        def compute(rows: Sequence[Row]) -> npt.NDArray[np.float32]:
            return compute_logits(module, encoder, encoder.encode(pairs(rows)), module.width)

        with self.accelerator.main_process_first():
            return row_vectors(self.teacher, self.rows, self.run.out.parent / CACHE, module.width, compute)

    @cached_property
    def encoded(self) -> Encoded:
        """Token ids of ``rows``, as the student reads them."""
        return encode_rows(self.encoder, self.features, self.rows)

    @cached_property
    def data(self) -> TrainData:
        """``rows`` as the loop wants them: inputs, ``cells``, and ``teacher`` unless this is a control."""
        arrays: dict[str, npt.NDArray[Any]] = {"cells": self.cells}
        arrays |= {} if self.no_teacher else {"teacher": self.soft}
        return train_data(self.encoder, self.encoded, arrays)

    @property
    def settings(self) -> TrainSettings:
        """The loop's settings; those of a control give it as many steps and evaluations as the student has."""
        extra = len(self.transfer) + len(self.synthetic)
        return control_settings(self.config.train, len(self.task.train), extra) if self.no_teacher else self.config.train

    @property
    def start_logits(self) -> torch.Tensor:
        """Logits to begin with, ``(labels,)``: the teacher's mean ones or, for a control, those of the labels' shares."""
        if self.no_teacher:
            return prior_logits(self.task.cells, self.task.space)
        asked = self.cells != UNASKED
        return torch.tensor((self.soft * asked).sum(0) / np.maximum(asked.sum(0), 1), dtype=torch.float32)

    @property
    def teacher_loss(self) -> LogitsLoss | SoftLabelLoss:
        """The loss against the teacher that the configuration asks for."""
        if self.config.signal == "kl":
            return SoftLabelLoss(self.task.space, self.config.temperature)
        return LogitsLoss(self.task.space, self.config.weighting)

    def objective(self, model: nn.Module) -> Objective:
        """Prediction: logits and labels; for a control, labels alone."""
        against_labels = label_loss(self.config.loss, self.task.cells, self.task.space)
        if self.no_teacher:
            return Supervised(model, against_labels)
        weights = (self.config.logits_weight, self.config.label_weight)
        return LogitsDistillation(model, against_labels, self.teacher_loss, *weights)

    def fit(
        self,
        objective: Objective,
        *,
        settings: TrainSettings | None = None,
        data: TrainData | None = None,
        stage: str = "",
        scored: bool = True,
        score_start: bool = False,
    ) -> None:
        """Trains on ``data``; arguments as in ``Run.fit``."""
        found, chosen = data or self.data, settings or self.settings
        self.run.fit(
            objective, found, self.encoder, chosen, self.accelerator, stage=stage, scored=scored, score_start=score_start
        )

    def write(self, model: nn.Module, settings: dict[str, Any], how: dict[str, Any] | None = None) -> Path:
        """Writes the student's bundle."""
        return self.run.write(model, self.encoder, {"pad_id": self.encoder.pad_id, **settings}, {**self._made, **(how or {})})

    def write_plain(
        self, dev_logits: Floats, model: dict[str, Any], files: dict[str, str], weights: dict[str, npt.NDArray[Any]]
    ) -> Path:
        """Writes the bundle of a student that is no torch model; arguments as in ``Run.write_plain``."""
        return self.run.write_plain(dev_logits, model, files, weights, self._made, self.accelerator)

    @property
    def _made(self) -> dict[str, Any]:
        """How the student was made."""
        made: dict[str, Any] = {"teacher": "none (control)" if self.no_teacher else self.teachers.name}
        if not self.no_teacher:
            made |= {"transfer_rows": len(self.transfer), "synthetic_rows": len(self.synthetic)}
            made |= {"teachers": self.teachers.scores} if self.teachers.scores else {}
        return made

    def _open_cells(self, rows: Sequence[Row]) -> Targets:
        asked = self.teacher.asked([row.context or None for row in rows])
        return np.where(asked, UNKNOWN, UNASKED).astype(np.int8)


def backend_of(teacher: Classifier) -> TorchBackend:
    """The teacher's torch backend.

    Raises:
        BundleError: If it is no Transformer encoder.
    """
    backend = teacher.backend
    if not isinstance(backend, TorchBackend) or not isinstance(_scorer(backend.model), EncoderClassifier):
        raise BundleError(
            f"{teacher.bundle.name}: a {teacher.bundle.kind} bundle has no embedding and tokenizer to hand on",
            hint="give the bundle of a Transformer encoder as --teacher",
        )
    return backend


def scorer_of(teacher: Classifier) -> EncoderClassifier:
    """What reads the tokens: the model itself or, where labels are scored one by one, the part that does so."""
    scorer = _scorer(backend_of(teacher).model)
    assert isinstance(scorer, EncoderClassifier)
    return scorer


def _scorer(model: nn.Module) -> nn.Module:
    return model.scorer if isinstance(model, PairwiseClassifier) else model


def check_space(space: LabelSpace, teacher: Classifier) -> None:
    """Refuses a label space that is not the teacher's.

    Raises:
        DataError: With each label and group that differs.
    """
    problems = difference(space, teacher.space, "the given label space", "the teacher's")
    if problems:
        raise DataError(
            f"the label space differs from that of the teacher ({teacher.bundle.name}), which its student must share",
            hint="give none, so that the teacher's is taken, or train a teacher with this one",
            problems=problems,
        )


def with_teachers_input(config: StudentConfig, teacher: Classifier) -> StudentConfig:
    """The student's configuration with the input and the features that it takes over from its teacher.

    Raises:
        ConfigError: If it asks for others.
    """
    if config.input not in (InputSettings(), teacher.input):
        raise ConfigError(
            f"the student's input settings differ from those of its teacher ({teacher.bundle.name}), which it must share",
            hint="leave input.* out of the student's configuration, or train the teacher with them",
        )
    features = teacher.features.settings
    if config.features.model_copy(update={"words": None}) not in (FeatureSettings(), features):
        raise ConfigError(
            f"the student's features differ from those of its teacher ({teacher.bundle.name}), which it takes over",
            hint="leave features.* out of the student's configuration, or train the teacher with them",
        )
    return config.model_copy(update={"input": teacher.input, "features": features})


def control_settings(settings: TrainSettings, labelled: int, extra: int) -> TrainSettings:
    """The settings that let labelled rows alone fill the steps, and the evaluations, of a run with ``extra`` rows more."""
    if not extra:
        return settings
    alone, together = (math.ceil(rows / settings.batch_size) for rows in (labelled, labelled + extra))
    epochs = max(1, round(settings.epochs * together / alone))
    return settings.model_copy(update={"epochs": epochs, "evaluate_every": settings.evaluate_every or together})
