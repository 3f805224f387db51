"""FastBERT (arXiv 2004.02178): classifiers on the layers of the frozen teacher, taught by its last layer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from duobiao.config import FastBERTConfig
from duobiao.errors import ConfigError
from duobiao.evaluate.exits import Exits, Setting, lose_at_most, settings_of
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.exits import every_logits
from duobiao.models.fastbert import FastBERT
from duobiao.models.flops import Cost
from duobiao.models.layerwise import Layerwise
from duobiao.models.shrink import with_tokens
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.probabilities import probabilities
from duobiao.postprocess.thresholds import tune
from duobiao.train.distillation import Distillation
from duobiao.train.losses import LabelLoss, LogitsLoss, SoftLabelLoss, label_loss, prior_logits
from duobiao.train.objectives import INPUTS, Batch, Objective
from duobiao.train.run import encode_rows, train_data


class SelfDistillation(Objective):
    """The mean over the exits of their loss against the last one.

    After arXiv 2004.02178, "Self-distillation for branch", where it is the sum.
    With ``z_l`` the logits of exit ``l`` and ``z_L`` those of the last exit on the same batch,
    ``loss = 1 / exits * sum_l (logits_weight * D(z_L, z_l) + label_weight * label loss(z_l))``. ``D`` is the divergence
    ``KL(p_L || p_l)`` of each label and inside each group; the paper writes it the other way round, with the same optimum.
    Every row teaches, labelled or not; cells that are not asked do not.

    The backbone is frozen, runs without gradient once a batch, and is no part of what is optimised and checkpointed.

    Args:
        model: The backbone with its exits.
        against_labels: The loss against labels.
        against_last: The loss against the last exit; None for a control, which sees labels alone.
        weights: Of the latter and of the former.
    """

    def __init__(
        self,
        model: FastBERT,
        against_labels: LabelLoss,
        against_last: LogitsLoss | SoftLabelLoss | None,
        weights: tuple[float, float],
    ) -> None:
        super().__init__(model.heads)
        self.label_loss, self.last_loss, self.weights = against_labels, against_last, weights
        self._model = (model,)  # in a tuple it is no submodule

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        every = self._model[0].every(**{name: batch[name] for name in INPUTS if name in batch}).float()
        exits, rows = len(every) - 1, every.shape[1]
        early, last = every[:-1].flatten(0, 1), every[-1].repeat(exits, 1)
        cells = batch["cells"].repeat(exits, 1)

        def mean(losses: torch.Tensor) -> torch.Tensor:
            return losses.view(exits, rows).mean(0)

        if self.last_loss is None:
            return {"loss": mean(self.label_loss(early, cells))}
        soft = mean(self.last_loss(early, last, cells))
        if not self.weights[1]:
            return {"loss": self.weights[0] * soft, "logits": soft}
        hard = mean(self.label_loss(early, cells))
        return {"loss": self.weights[0] * soft + self.weights[1] * hard, "logits": soft, "labels": hard}


def distil(work: Distillation) -> Path:
    """Trains the exits, calibrates them on dev rows, chooses the first setting of the dial, and writes the bundle.

    Raises:
        ConfigError: If the teacher scores labels one by one, or an exit lies beyond its layers.
    """
    config = work.config
    assert isinstance(config, FastBERTConfig)
    model = make_model(work, config).to(work.accelerator.device)
    against = None if work.no_teacher else work.teacher_loss
    weights = (config.logits_weight, config.label_weight)
    objective = SelfDistillation(model, label_loss(config.loss, work.task.cells, work.task.space), against, weights)
    work.fit(objective, data=train_data(work.encoder, work.encoded, {"cells": work.cells}), scored=False)
    found, chosen = calibrated(work, model)
    work.run.dev_logits, work.run.dev_decided = found.last, found.under(chosen)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    how = {"parameters": parameters, "dial": {"aim": _aim(config), "chosen": chosen.to_dict()}}
    return work.write(model, {**model.backbone.settings(), **model.settings(), "dial": chosen.dial}, how)


def _aim(config: FastBERTConfig) -> str:
    return f"lose at most {config.lose_at_most:g} macro-F1 points"


def make_model(work: Distillation, config: FastBERTConfig) -> FastBERT:
    """A copy of the teacher with fresh exits, which begin with the labels' shares."""
    if work.features.pairwise:
        raise ConfigError(
            "the teacher reads a row once for each label (features.segment: pairwise), and such passes cannot leave early",
            hint="distil a teacher with features.segment mined or node, or another student",
        )
    layers = len(Layerwise(work.scorer.encoder))
    exits = tuple(range(1, layers)) if config.exits == "all" else config.exits
    if not exits or exits[-1] >= layers:
        raise ConfigError(
            f"exits are {list(exits)}, but the teacher has {layers} layers, of which the last is an exit in any case",
            hint=f"give layers from 1 to {layers - 1}" if layers > 1 else "a teacher of one layer cannot be left early",
        )
    form: dict[str, Any] = {"head": config.head, "width": config.width, "parts": config.parts, "dropout": config.dropout}
    model = FastBERT(_backbone(work), exits, work.task.space.decisions, **form)
    prior = prior_logits(work.task.cells, work.task.space)
    for head in model.heads:
        output: Any = head.output
        output.bias.data.copy_(prior)
    return model


def _backbone(work: Distillation) -> EncoderClassifier:
    """A copy of the teacher's module, with the tokens that the student keeps."""
    if work.kept is None:
        return copy.deepcopy(work.scorer)
    own = work.scorer
    encoder = with_tokens(own.encoder, torch.from_numpy(work.kept), work.encoder.pad_id)
    width = int(encoder.config.hidden_size)
    backbone = EncoderClassifier(encoder, own.output.out_features, own.pooling, 0.0, own.output.in_features - width)
    backbone.output.load_state_dict(own.output.state_dict())
    return backbone


def calibrated(work: Distillation, model: FastBERT) -> tuple[Exits, Setting]:
    """What the exits say of the dev rows, and the setting that the configuration asks for, put into the model."""
    config, task = work.config, work.task
    assert isinstance(config, FastBERTConfig)
    dev = encode_rows(work.encoder, work.features, task.dev)
    every = every_logits(model, work.encoder, dev)
    thresholds = tune(probabilities(every[-1], task.space), task.dev_cells, task.space, config.thresholds)
    decoder = Decoder(task.space, thresholds, config.thresholds)
    found = Exits(every[:-1], every[-1], task.dev_cells, dev.lengths, decoder, Cost.of(model))
    chosen = lose_at_most(settings_of(found, config.criterion), config.lose_at_most)
    model.errors.copy_(torch.from_numpy(found.rule(chosen.criterion, chosen.speed, chosen.exits).errors))
    return found, chosen
