"""From rows to a bundle: what ``duobiao train`` and ``duobiao distil`` do.

Both tell the same story: check the rows, build a model, fit it, tune thresholds on dev rows, write the bundle. An
interrupted run leaves ``OUT.run`` and goes on from there; a finished run that is asked for again is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from duobiao.classifier import Classifier
from duobiao.config import BiGRUConfig, FeatureSettings, InputSettings, LinearConfig, TeacherConfig, TrainSettings
from duobiao.data.augment import augment
from duobiao.data.encode import RowEncoder
from duobiao.data.rows import Row
from duobiao.errors import BundleError, ConfigError
from duobiao.features.apply import Features
from duobiao.labels import UNASKED, UNKNOWN, LabelSpace, Targets
from duobiao.models.bigru import BiGRUClassifier
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.pairwise import PairwiseClassifier
from duobiao.models.pretrained import folder_digest, load_pretrained, random_encoder
from duobiao.models.torch_backend import TorchBackend
from duobiao.train.losses import LabelLoss, LogitsLoss, SoftLabelLoss, positive_weights
from duobiao.train.objectives import LogitsDistillation, Objective, Supervised
from duobiao.train.run import AnyConfig, Run, Task, encode_rows, train_data
from duobiao.train.soft_labels import soft_labels


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
    if isinstance(config, BiGRUConfig):
        raise ConfigError("a BiGRU is a student", hint="use duobiao distil --teacher BUNDLE (with --no-teacher for a control)")
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
    teacher: str | Path | Classifier,
    config: AnyConfig,
    train_rows: Sequence[Row],
    dev_rows: Sequence[Row],
    out: str | Path,
    *,
    transfer: Sequence[Row] = (),
    no_teacher: bool = False,
    force: bool = False,
) -> Path:
    """Trains a student on labels and the teacher's cached logits.

    Args:
        teacher: An encoder's bundle; its label space and tokenizer are the student's too.
        config: The student.
        train_rows: Labelled rows.
        dev_rows: Labelled rows for choosing the epoch and the thresholds.
        out: The bundle's place.
        transfer: Rows that only the teacher labels; labels that they carry are not looked at.
        no_teacher: Train the control: same student, no logits and (``embedding: auto``) no copied embedding. It takes as many
            steps as the student does with transfer and synthetic rows, all on labelled rows, and is evaluated as often.
        force: Begin anew, even if the same run is finished or an interrupted one is there.

    Returns:
        The bundle's folder.

    Raises:
        DataError: If the rows do not fit the teacher's label space.
        ConfigError: If the configuration is no student's.
        BundleError: If ``teacher`` is no encoder's bundle, or ``out`` is taken by something else.
    """
    if not isinstance(config, BiGRUConfig):
        raise ConfigError(f"{config.kind!r} is no student", hint="use bigru-a or bigru-b, or duobiao train for this one")
    loaded = teacher if isinstance(teacher, Classifier) else Classifier.load(teacher)
    if not isinstance(loaded.backend, TorchBackend) or not isinstance(_scorer(loaded.backend.model), EncoderClassifier):
        raise BundleError(
            f"{loaded.bundle.name}: a {loaded.bundle.kind} bundle has no embedding and tokenizer to hand on",
            hint="give the bundle of a Transformer encoder as --teacher",
        )
    if config.input not in (InputSettings(), loaded.input):
        raise ConfigError(
            f"the student's input settings differ from those of its teacher ({loaded.bundle.name}), which it must share",
            hint="leave input.* out of the student's configuration, or train the teacher with them",
        )
    features = loaded.features
    if config.features.model_copy(update={"words": None}) not in (FeatureSettings(), features.settings):
        raise ConfigError(
            f"the student's features differ from those of its teacher ({loaded.bundle.name}), which it takes over",
            hint="leave features.* out of the student's configuration, or train the teacher with them",
        )
    config = config.model_copy(update={"input": loaded.input, "features": features.settings})
    task = Task.check(config, train_rows, dev_rows, loaded.space)
    out = Path(out)
    signal = "labels alone, " if no_teacher else ""  # the tokenizer is the teacher's in either case
    run = Run(config, task, out, force, transfer, signal + loaded.bundle.digest)
    if run.is_done():
        return out
    with run.folder():
        return _distil_bigru(config, task, run, loaded, transfer, no_teacher)


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
        model.start_output(_prior_logits(task.cells, task.space))
    encoder = RowEncoder(pretrained.tokenizer, config.input, pretrained.pad_id, features.segments(task.space))
    data = train_data(encoder, encode_rows(encoder, features, task.train), {"cells": task.cells})
    run.fit(Supervised(model, _label_loss(config, task)), data, encoder, config.train, accelerator)
    form = _portable(pretrained.model.config.to_diff_dict())
    settings = {"pad_id": pretrained.pad_id, "pooling": config.pooling, "encoder": form}
    settings |= {"extra": features.width} if features.width else {}
    settings |= {"pairwise": True} if features.pairwise else {}
    how = {"start": "random weights" if config.encoder == "random" else "pre-trained"}
    return run.write(model, encoder, settings, how)


def _distil_bigru(
    config: BiGRUConfig, task: Task, run: Run, loaded: Classifier, transfer: Sequence[Row], no_teacher: bool
) -> Path:
    teacher = loaded.backend
    assert isinstance(teacher, TorchBackend)
    accelerator = run.start(config.train)
    encoder, features = teacher.encoder, loaded.features
    run.features = features
    model = _student(config, teacher.model, features, len(task.space), no_teacher)
    extra = [*transfer, *augment(task.train, config.augment, config.train.seed)]
    rows = list(task.train) if no_teacher else [*task.train, *extra]
    arrays: dict[str, npt.NDArray[Any]] = {"cells": task.cells}
    settings = _control_settings(config.train, len(task.train), len(extra)) if no_teacher else config.train
    label_loss = _label_loss(config, task)
    objective: Objective = Supervised(model, label_loss)
    model.start_output(_prior_logits(task.cells, task.space))
    if not no_teacher:
        arrays["cells"] = np.concatenate([task.cells, _open_cells(loaded, extra)])
        with accelerator.main_process_first():
            arrays["teacher"] = soft_labels(loaded, rows, run.out.parent / ".soft_labels")
        model.start_output(_mean_logits(arrays["teacher"], arrays["cells"]))
        weights = (config.logits_weight, config.label_weight)
        objective = LogitsDistillation(model, label_loss, _teacher_loss(config, task), *weights)
    data = train_data(encoder, encode_rows(encoder, features, rows), arrays)
    run.fit(objective, data, encoder, settings, accelerator)
    how: dict[str, Any] = {"teacher": "none (control)" if no_teacher else loaded.bundle.name}
    how |= {} if no_teacher else {"transfer_rows": len(transfer), "synthetic_rows": len(extra) - len(transfer)}
    return run.write(model, encoder, {"pad_id": encoder.pad_id, **model.settings()}, how)


def _teacher_loss(config: BiGRUConfig, task: Task) -> LogitsLoss | SoftLabelLoss:
    if config.signal == "kl":
        return SoftLabelLoss(task.space, config.temperature)
    return LogitsLoss(task.space, config.weighting)


def _control_settings(settings: TrainSettings, labelled: int, extra: int) -> TrainSettings:
    """The settings that let labelled rows alone fill the steps, and the evaluations, of a run with ``extra`` rows more."""
    if not extra:
        return settings
    alone, together = (math.ceil(rows / settings.batch_size) for rows in (labelled, labelled + extra))
    epochs = max(1, round(settings.epochs * together / alone))
    return settings.model_copy(update={"epochs": epochs, "evaluate_every": settings.evaluate_every or together})


def _label_loss(config: TeacherConfig | BiGRUConfig, task: Task) -> LabelLoss:
    settings = config.loss
    weights = positive_weights(task.cells, task.space, settings.pos_weight_max) if settings.pos_weight else None
    return LabelLoss(task.space, settings, weights)


def _open_cells(teacher: Classifier, rows: Sequence[Row]) -> Targets:
    """Cells of rows without labels: all unknown where the teacher answers."""
    asked = teacher.asked([row.context or None for row in rows])
    return np.where(asked, UNKNOWN, UNASKED).astype(np.int8)


def _scorer(model: nn.Module) -> nn.Module:
    """What reads the tokens: the model itself or, where labels are scored one by one, the part that does so."""
    return model.scorer if isinstance(model, PairwiseClassifier) else model


def _student(
    config: BiGRUConfig, teacher: nn.Module, features: Features, labels: int, no_teacher: bool
) -> BiGRUClassifier | PairwiseClassifier:
    source = _scorer(teacher)
    assert isinstance(source, EncoderClassifier)
    weight = source.word_embedding().cpu()
    copied = config.embedding == "teacher" or (config.embedding == "auto" and not no_teacher)
    width = weight.shape[1] if copied or config.embedding == "auto" else config.embedding_width
    model = BiGRUClassifier(
        weight.shape[0],
        width,
        1 if features.pairwise else labels,
        hidden=config.hidden,
        fc=config.fc,
        model=config.model,
        dropout=config.dropout,
        extra=features.width,
    )
    start = weight if copied else torch.randn(weight.shape[0], width) * weight.std()
    model.start_embedding(start)
    model.embedding.weight.requires_grad_(config.train_embedding or not copied)
    return PairwiseClassifier(model, labels) if features.pairwise else model


def _prior_logits(cells: Targets, space: LabelSpace) -> torch.Tensor:
    """Logits of the labels' frequencies over known cells, ``(labels,)``: log-odds, inside a group log-shares."""
    true, false = (cells == 1).sum(0) + 0.5, (cells == 0).sum(0) + 0.5
    logits = np.log(true / false)
    for group, columns in zip(space.groups, space.slices, strict=True):
        none = ((cells[:, columns] == 0).all(axis=1)).sum() + 0.5
        logits[columns] = np.log(true[columns] / (none if group.at_most_one else true[columns].mean()))
    return torch.tensor(logits, dtype=torch.float32)


def _mean_logits(teacher: npt.NDArray[np.float32], cells: Targets) -> torch.Tensor:
    """The teacher's mean logits over asked cells, ``(labels,)``."""
    asked = cells != UNASKED
    return torch.tensor((teacher * asked).sum(0) / np.maximum(asked.sum(0), 1), dtype=torch.float32)


def _check_length(config: TeacherConfig, encoder: Any) -> None:
    most = int(getattr(encoder, "max_position_embeddings", 0) or 0)
    if encoder.model_type in {"roberta", "xlm-roberta", "camembert"}:
        most -= int(encoder.pad_token_id or 0) + 1  # their positions start after the padding id
    if most and config.input.max_length > most:
        raise ConfigError(
            f"input.max_length is {config.input.max_length}, but the encoder reads {most} tokens at most",
            hint=f"--set input.max_length={most}",
        )


def _portable(encoder: dict[str, Any]) -> dict[str, Any]:
    """The encoder's configuration without traces of where it was loaded from."""
    foreign = {"_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"}
    return {name: value for name, value in encoder.items() if name not in foreign}
