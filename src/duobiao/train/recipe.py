"""From rows to a bundle: what ``duobiao train`` and ``duobiao distil`` do.

Both tell the same story: check the rows, build a model, fit it, tune thresholds on dev rows, write the bundle. An
interrupted run leaves ``OUT.run`` and goes on from there; a finished run that is asked for again is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from duobiao import progress
from duobiao.classifier import Classifier
from duobiao.config import (
    AdaptConfig,
    AnyConfig,
    LinearConfig,
    StudentConfig,
    TeacherConfig,
    TrainSettings,
    shipped_students,
)
from duobiao.data.encode import RowEncoder
from duobiao.data.rows import Row, check_labels
from duobiao.errors import ConfigError
from duobiao.features.apply import Features
from duobiao.labels import LabelSpace
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.pairwise import PairwiseClassifier
from duobiao.models.pretrained import folder_digest, load_pretrained, random_encoder, sources_digest
from duobiao.train.distillation import CACHE, Distillation, check_space, with_teachers_input
from duobiao.train.losses import label_loss, prior_logits
from duobiao.train.objectives import Supervised
from duobiao.train.run import Run, Task, encode_rows, train_data
from duobiao.train.students import STUDENTS
from duobiao.train.teachers import Teachers


def train(
    config: AnyConfig,
    train_rows: Sequence[Row],
    dev_rows: Sequence[Row],
    space: LabelSpace,
    out: str | Path,
    *,
    force: bool = False,
) -> Path:
    """Trains a teacher or the linear baseline.

    Args:
        config: The system.
        train_rows: Labelled rows to learn from.
        dev_rows: Labelled rows for choosing the epoch and the thresholds; never the rows that are scored in the end.
        space: The label space.
        out: The bundle's place.
        force: Begin anew, even if the same run is finished or an interrupted one is there.

    Returns:
        The bundle's folder.

    Raises:
        DataError: If the rows do not fit the space.
        ConfigError: If the configuration is a student's, or cannot be carried out.
        BundleError: If ``out`` is taken by something else.
    """
    if isinstance(config, StudentConfig):
        hint = "use duobiao distil --teacher BUNDLE (with --no-teacher for a control)"
        raise ConfigError(f"{config.kind!r} is a student", hint=hint)
    if isinstance(config, AdaptConfig):
        hint = "use duobiao adapt or duobiao general-distil, then give the folder with --set encoder=FOLDER"
        raise ConfigError(f"{config.kind!r} learns from plain text, not from labelled rows", hint=hint)
    task = Task.check(config, train_rows, dev_rows, space)
    start = folder_digest(config.encoder) if isinstance(config, TeacherConfig) else ""
    run = Run(config, task, Path(out), force, source=start)
    if run.is_done():
        return run.out
    if isinstance(config, LinearConfig):
        return run.write_linear(config)
    with run.folder():
        return _train_encoder(config, task, run)


def distil(
    teacher: str | Path | Classifier | Sequence[str | Path | Classifier] | Teachers,
    config: AnyConfig | StudentConfig,
    train_rows: Sequence[Row],
    dev_rows: Sequence[Row],
    out: str | Path,
    *,
    transfer: Sequence[Row] = (),
    no_teacher: bool = False,
    force: bool = False,
    space: LabelSpace | None = None,
) -> Path:
    """Trains a student on labels and the teacher's cached logits.

    Args:
        teacher: An encoder's bundle; its label space and tokenizer are the student's too. Or several bundles of any kind with
            the same label space, the first encoder among them being the one whose tokenizer is shared; see ``Teachers``.
        config: The student.
        train_rows: Labelled rows.
        dev_rows: Labelled rows for choosing the epoch and the thresholds.
        out: The bundle's place.
        transfer: Rows that only the teacher labels; labels that they carry are not looked at.
        no_teacher: Train the control: same student, no logits and (``embedding: auto``) no copied embedding. It takes as many
            steps as the student does with transfer and synthetic rows, all on labelled rows, and is evaluated as often.
        force: Begin anew, even if the same run is finished or an interrupted one is there.
        space: The label space of the rows; refused if it is not the teacher's, which is taken without it.

    Returns:
        The bundle's folder.

    Raises:
        DataError: If the rows or ``space`` do not fit the teacher's label space, with the difference.
        ConfigError: If the configuration is no student's.
        BundleError: If ``teacher`` is no encoder's bundle, or ``out`` is taken by something else.
    """
    if not isinstance(config, StudentConfig):
        hint = f"give one of {', '.join(shipped_students())}, or use duobiao train for this one"
        raise ConfigError(f"{config.kind!r} is no student", hint=hint)
    teachers = teacher if isinstance(teacher, Teachers) else Teachers.load(teacher)
    loaded = teachers.main
    check_space(space or loaded.space, loaded)
    check_labels([*train_rows, *dev_rows], loaded.space, f"the teacher ({loaded.bundle.name})")
    student = with_teachers_input(config, loaded)
    task = Task.check(student, train_rows, dev_rows, loaded.space)
    if not no_teacher:
        teachers = teachers.weigh(task.dev, task.dev_cells, Path(out).parent / CACHE)
    # the tokenizer is the teacher's in either case
    source = f"labels alone, {loaded.bundle.digest}" if no_teacher else teachers.digest
    run = Run(student, task, Path(out), force, transfer, source + sources_digest(student.sources))
    if run.is_done():
        return run.out
    with run.folder():
        return STUDENTS[type(student)](Distillation(student, task, run, teachers, transfer, no_teacher))


def _train_encoder(config: TeacherConfig, task: Task, run: Run) -> Path:
    accelerator = run.start(config.train)
    features = run.features = Features.fit(config.features, config.input, task.train, task.space)
    if config.encoder == "random":
        texts = [text for row in task.train for text in (row.text, row.context or "")]
        texts += features.segment_texts(task.space)
        pretrained = random_encoder(config.shape, texts, config.input.max_length)
    else:
        pretrained = load_pretrained(config.encoder, config.revision)
    _check_length(config, pretrained.model.config)
    labels = 1 if features.pairwise else len(task.space)
    scorer = EncoderClassifier(pretrained.model, labels, config.pooling, config.dropout, features.width)
    model = PairwiseClassifier(scorer, len(task.space)) if features.pairwise else scorer
    if isinstance(model, PairwiseClassifier):
        model.start_output(prior_logits(task.cells, task.space))
    encoder = RowEncoder(pretrained.tokenizer, config.input, pretrained.pad_id, features.segments(task.space))
    data = train_data(encoder, encode_rows(encoder, features, task.train), {"cells": task.cells})
    train = with_steps(config.train, len(data.lengths), config.min_steps)
    run.fit(Supervised(model, label_loss(config.loss, task.cells, task.space)), data, encoder, train, accelerator)
    settings = {"pad_id": pretrained.pad_id, **model.settings()}
    how = {"start": "random weights" if config.encoder == "random" else "pre-trained"}
    return run.write(model, encoder, settings, how)


def with_steps(settings: TrainSettings, rows: int, steps: int) -> TrainSettings:
    """Settings of at least so many optimiser steps over so many rows: more passes, and as much more patience."""
    needed = math.ceil(steps / math.ceil(rows / settings.batch_size))
    if needed <= settings.epochs:
        return settings
    progress.say(f"few rows: {needed} passes instead of {settings.epochs}, for {steps} steps (--set min_steps=0 leaves it)")
    patience = None if settings.patience is None else math.ceil(settings.patience * needed / settings.epochs)
    return settings.model_copy(update={"epochs": needed, "patience": patience})


def _check_length(config: TeacherConfig, encoder: Any) -> None:
    most = int(getattr(encoder, "max_position_embeddings", 0) or 0)
    if encoder.model_type in {"roberta", "xlm-roberta", "camembert"}:
        most -= int(encoder.pad_token_id or 0) + 1  # their positions start after the padding id
    if most and config.input.max_length > most:
        raise ConfigError(
            f"input.max_length is {config.input.max_length}, but the encoder reads {most} tokens at most",
            hint=f"--set input.max_length={most}",
        )
