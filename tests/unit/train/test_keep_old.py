"""The loss of training on for further labels, term by term."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor, nn

from duobiao.config import LossSettings
from duobiao.labels import LabelSpace
from duobiao.train.keep_old import KeepOld, fresh_cells, shared_space
from duobiao.train.losses import LabelLoss, LogitsLoss

OLD = LabelSpace.from_dict({"labels": ["a", "b"], "groups": {"g": {"labels": ["x", "y", "z"]}, "h": {"labels": ["p", "q"]}}})
NEW = LabelSpace.from_dict(
    {"labels": ["b", "c", "d"], "groups": {"g": {"labels": ["x", "y", "z"]}, "h": {"labels": ["p", "q", "r"]}}}
)
CELLS = np.array([[1, 1, 0, 0, 1, 0, -1, -1, -1], [-1, 0, 1, -1, -1, -1, 0, 1, 0], [0, -1, 0, 1, 0, 0, 1, 0, 0]], dtype=np.int8)


class Fixed(nn.Module):
    """Answers with its parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(3, 9, generator=torch.Generator().manual_seed(1)))

    def forward(self) -> Tensor:
        return self.logits


def make(weight: float, independent: str = "bce") -> tuple[KeepOld, dict[str, Tensor]]:
    shared = shared_space(OLD, NEW)
    places = [NEW.index[name] for name in shared.names]
    loss = LabelLoss(NEW, LossSettings(independent=independent))  # type: ignore[arg-type]
    batch = {
        "cells": CELLS,
        "fresh": fresh_cells(CELLS, OLD, NEW),
        "shared": CELLS[:, places],
        "teacher": np.random.default_rng(0).normal(size=(3, len(shared))).astype(np.float32),
    }
    objective = KeepOld(Fixed(), loss, LogitsLoss(shared), places, weight, 2)
    return objective, {name: torch.from_numpy(array) for name, array in batch.items()}


def test_labels_that_are_gone_and_groups_of_one_are_not_shared() -> None:
    assert shared_space(OLD, NEW).to_dict() == {
        "labels": ["b"],
        "groups": {"g": {"labels": ["x", "y", "z"]}, "h": {"labels": ["p", "q"]}},
    }
    lonely = LabelSpace.from_dict({"labels": ["a", "b"], "groups": {"g": {"labels": ["x", "n"]}, "h": {"labels": ["p", "q"]}}})
    assert [group.name for group in shared_space(OLD, lonely).groups] == ["h"]


def test_only_new_decisions_are_fresh() -> None:
    found = fresh_cells(CELLS, OLD, NEW)
    assert (found[:, [0, 3, 4, 5]] == -1).all()
    assert np.array_equal(found[:, [1, 2, 6, 7, 8]], CELLS[:, [1, 2, 6, 7, 8]])


def test_the_old_model_teaches_shared_labels_only_and_labels_teach_all() -> None:
    objective, batch = make(3.0)
    found = objective(batch)
    assert torch.allclose(found["loss"], 3 * found["kept"] + found["labels"] + found["fresh"])
    (grad,) = torch.autograd.grad(found["kept"].sum(), objective.student.logits, retain_graph=True)
    assert (grad[:, [1, 2, 8]] == 0).all()
    assert (grad[:, [0, 3, 4, 5, 6, 7]] != 0).all()  # where the truth is unknown too
    (grad,) = torch.autograd.grad(found["fresh"].sum(), objective.student.logits)
    assert (grad[:, [0, 3, 4, 5]] == 0).all()


def test_the_new_labels_loss_is_a_mean_over_them() -> None:
    objective, batch = make(0.0)
    batch["fresh"][:, 6:] = -1  # without the group
    logits = objective.student.logits.detach().double()
    wanted = log_loss([1, 0], torch.sigmoid(logits[0, 1:3]).numpy())  # row 0 knows c and d
    assert float(objective(batch)["fresh"][0].detach()) == pytest.approx(wanted, rel=1e-5)
    ranked, batch = make(0.0, "zlpr")
    assert ranked.share == ranked.label_loss.terms  # ZLPR ranks all of them in one term
