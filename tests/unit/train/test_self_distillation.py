"""The objective of FastBERT's exits."""

from __future__ import annotations

import numpy as np
import torch
from exit_models import PADS, SPACE, make_model, make_rows

from duobiao.config import LossSettings
from duobiao.labels import UNASKED
from duobiao.train.losses import LabelLoss, SoftLabelLoss
from duobiao.train.students.fastbert import SelfDistillation

ROWS = np.arange(7)


def make_batch() -> dict[str, torch.Tensor]:
    batch = {name: torch.from_numpy(array) for name, array in PADS.pad(make_rows(), ROWS).items()}
    cells = torch.randint(0, 2, (7, len(SPACE)), generator=torch.Generator().manual_seed(0)).to(torch.int8)
    cells[2:4, 2:] = UNASKED
    return {**batch, "cells": cells}


def test_the_loss_is_the_mean_over_exits_against_the_last_one() -> None:
    model, batch = make_model(), make_batch()
    objective = SelfDistillation(model, LabelLoss(SPACE, LossSettings()), SoftLabelLoss(SPACE), (0.6, 0.4)).eval()
    found = objective(batch)
    every = model.every(*(batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")))
    soft, hard = torch.zeros(7), torch.zeros(7)
    for early in every[:-1]:
        soft += SoftLabelLoss(SPACE)(early, every[-1], batch["cells"]) / 3
        hard += LabelLoss(SPACE, LossSettings())(early, batch["cells"]) / 3
    torch.testing.assert_close(found["loss"], 0.6 * soft + 0.4 * hard)
    alone = SelfDistillation(model, LabelLoss(SPACE, LossSettings()), None, (0.6, 0.4)).eval()(batch)
    torch.testing.assert_close(alone["loss"], hard)


def test_only_heads_are_trained_and_kept() -> None:
    model = make_model()
    objective = SelfDistillation(model, LabelLoss(SPACE, LossSettings()), SoftLabelLoss(SPACE), (1.0, 0.0)).train()
    heads = set(map(id, model.heads.parameters()))
    assert {id(parameter) for parameter in objective.parameters()} == heads
    assert all(name.startswith("student.") for name in objective.state_dict())
    assert not model.backbone.training
    assert set(objective(make_batch())) == {"loss", "logits"}
