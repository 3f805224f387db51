"""TinyBERT: task distillation in two stages, intermediate layers, then prediction (arXiv 1909.10351, section 3.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedModel

from duobiao.config import TinyBERTConfig, TrainSettings
from duobiao.errors import ConfigError
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.internals import layer_count
from duobiao.models.pairwise import PairwiseClassifier
from duobiao.models.pretrained import load_pretrained
from duobiao.models.shrink import check_smaller, make_encoder, small_form, start_at_layers, with_tokens
from duobiao.train.distillation import Distillation, backend_of
from duobiao.train.intermediate import IntermediateDistillation, map_layers
from duobiao.train.loop import TrainData
from duobiao.train.run import encode_rows, train_data

INTERMEDIATE, PREDICTION = "intermediate", "prediction"


def distil(work: Distillation) -> Path:
    """Trains and writes a TinyBERT.

    The control starts where the student does, with picked layers or a general student too, and sees labels alone; it takes as
    many steps as both stages together.
    """
    config = work.config
    assert isinstance(config, TinyBERTConfig)
    encoder, layers, kept = start(config, work)
    scorer = EncoderClassifier(encoder, work.outputs, work.scorer.pooling, config.dropout, work.features.width)
    model = PairwiseClassifier(scorer, work.labels) if work.features.pairwise else scorer
    model.start_output(work.start_logits)
    stage = config.intermediate
    rows = len(work.task.train) if stage.rows == "labelled" else len(work.task.train) + len(work.transfer) + len(work.synthetic)
    if work.no_teacher:
        settings = control_settings(config, work.settings, len(work.task.train), _all_rows(work), rows)
    else:
        settings = work.settings
        if stage.epochs:
            _learn_inside(work, config, model, layers, kept, rows)
    work.fit(work.objective(model), settings=settings, stage=PREDICTION)
    return work.write(model, model.settings(), {"start": config.start, "layer_map": list(layers)})


def start(config: TinyBERTConfig, work: Distillation) -> tuple[PreTrainedModel, tuple[int, ...], Tensor | None]:
    """The student's encoder with the student's tokens; the teacher's layers that its layers learn from; its dimensions."""
    teacher = work.scorer.encoder
    kept = None
    if config.start == "general":
        encoder = _general_student(config, work)
        layers = map_layers(config.layer_map, layer_count(encoder.config), layer_count(teacher.config))
        _with_dropout(encoder, config.dropout)
    else:
        form = small_form(teacher.config, **config.shape.model_dump(), dropout=config.dropout)
        layers = map_layers(config.layer_map, config.shape.layers, layer_count(teacher.config))
        encoder = make_encoder(form)
        if config.start == "layers":
            check_smaller(teacher.config, form)
            kept = start_at_layers(encoder, teacher, layers)
    if work.kept is not None:
        encoder = with_tokens(encoder, torch.from_numpy(work.kept), work.encoder.pad_id)
    return encoder, layers, kept


def control_settings(config: TinyBERTConfig, settings: TrainSettings, labelled: int, rows: int, inside: int) -> TrainSettings:
    """The prediction settings of a control: as many steps as both stages, as many evaluations as the second.

    Args:
        config: The student.
        settings: The loop's settings of a control without a first stage.
        labelled: Labelled rows, all that a control sees.
        rows: Rows of the student's second stage.
        inside: Rows of its first stage.
    """
    size = settings.batch_size
    alone, together, first = (-(-count // size) for count in (labelled, rows, inside))
    steps = config.train.epochs * together + config.intermediate.epochs * first
    epochs = max(1, round(steps / alone))
    every = config.train.evaluate_every or together
    evaluations = max(1, config.train.epochs * together // every)
    return settings.model_copy(update={"epochs": epochs, "evaluate_every": max(1, epochs * alone // evaluations)})


def _all_rows(work: Distillation) -> int:
    return len(work.task.train) + len(work.transfer) + len(work.synthetic)


def _learn_inside(
    work: Distillation,
    config: TinyBERTConfig,
    model: EncoderClassifier | PairwiseClassifier,
    layers: Sequence[int],
    kept: Tensor | None,
    rows: int,
) -> None:
    scorer = model.scorer if isinstance(model, PairwiseClassifier) else model
    assert isinstance(scorer, EncoderClassifier)
    stage = config.intermediate
    teacher = work.scorer.encoder.to(work.accelerator.device)
    tokens = None if work.kept is None else torch.from_numpy(work.kept)
    objective = IntermediateDistillation(model, scorer.encoder, teacher, layers, stage, kept=kept, tokens=tokens)
    settings = config.train.model_copy(
        update={"epochs": stage.epochs, "lr": stage.lr, "head_lr": None, "patience": None, "evaluate_every": None}
    )
    with without_gradient(model, model.fresh):
        work.fit(objective, settings=settings, data=_inputs(work, rows), stage=INTERMEDIATE, scored=False)


def _inputs(work: Distillation, rows: int) -> TrainData:
    whole = rows == len(work.rows)
    return train_data(work.encoder, work.encoded if whole else encode_rows(work.encoder, work.features, work.rows[:rows]), {})


@contextmanager
def without_gradient(model: nn.Module, prefixes: Sequence[str]) -> Iterator[None]:
    """Parameters that an objective does not reach take no part, which several processes would wait for in vain."""
    held = [parameter for name, parameter in model.named_parameters() if name.startswith(tuple(prefixes))]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


def _general_student(config: TinyBERTConfig, work: Distillation) -> PreTrainedModel:
    """A general student, if it has the teacher's tokens and the size that is asked for."""
    folder = str(config.general_student)
    found = load_pretrained(folder)
    teacher = backend_of(work.teacher).encoder
    problems = []
    if _form(found.tokenizer) != _form(teacher.tokenizer):
        problems.append(f"its tokenizer has {found.tokenizer.get_vocab_size()} tokens and is not the teacher's")
    if found.pad_id != teacher.pad_id:
        problems.append(f"it fills short rows with {found.pad_id}, the teacher with {teacher.pad_id}")
    if "shape" in config.model_fields_set:
        form = found.model.config
        sizes = (layer_count(form), form.hidden_size, form.num_attention_heads, form.intermediate_size)
        if sizes != tuple(config.shape.model_dump().values()):
            problems.append(f"its layers, hidden, heads, intermediate are {sizes}, not those of shape")
    if work.teacher.input.max_length > int(getattr(found.model.config, "max_position_embeddings", 1 << 30)):
        problems.append(f"it reads no {work.teacher.input.max_length} tokens, as the teacher does (input.max_length)")
    if problems:
        raise ConfigError(
            f"general student {folder}: it does not fit this teacher ({work.teacher.bundle.name})",
            hint="make one with duobiao general-distil from the encoder that the teacher started from",
            problems=problems,
        )
    return found.model


def _form(tokenizer: Tokenizer) -> dict[str, Any]:
    """A tokenizer without what is set anew for each use."""
    form: dict[str, Any] = json.loads(tokenizer.to_str())
    return {**form, "truncation": None, "padding": None}


def _with_dropout(encoder: PreTrainedModel, share: float) -> None:
    encoder.config.hidden_dropout_prob = encoder.config.attention_probs_dropout_prob = share
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
