"""Which parameters decay, which learn faster, and how the learning rate moves."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from duobiao.config import TrainSettings
from duobiao.models.bigru import BiGRUClassifier
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.pretrained import load_pretrained
from duobiao.train.objectives import Objective
from duobiao.train.optim import make_optimizer, make_schedule

SETTINGS = TrainSettings(lr=1e-3, head_lr=5e-2, weight_decay=0.3)


class WithProjection(Objective):
    """An objective that learns something of its own."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__(student)
        self.projection = nn.Linear(3, 3)


def by_name(objective: Objective, settings: TrainSettings) -> dict[str, dict[str, float]]:
    """The group of each parameter."""
    optimizer = make_optimizer(objective.student, objective, settings)
    owner = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    return {name: owner[id(parameter)] for name, parameter in objective.named_parameters() if id(parameter) in owner}


@pytest.mark.parametrize("fixture", ["bert_folder", "albert_folder"])
def test_matrices_decay_and_biases_and_norms_do_not(fixture: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(fixture)
    objective = WithProjection(EncoderClassifier(load_pretrained(str(folder)).model, 4, "cls", 0.0))
    groups = by_name(objective, SETTINGS)
    assert groups.keys() == dict(objective.named_parameters()).keys()
    for name, group in groups.items():
        plain = name.endswith("bias") or "norm" in name.lower()
        assert group["weight_decay"] == (0.0 if plain else 0.3), name
    assert sum("norm" in name.lower() for name in groups) >= 4
    assert groups["projection.weight"]["weight_decay"] == 0.3


def test_what_starts_from_random_weights_learns_at_its_own_rate(bert_folder: Path) -> None:
    teacher = WithProjection(EncoderClassifier(load_pretrained(str(bert_folder)).model, 4, "cls", 0.0))
    rates = {name: group["lr"] for name, group in by_name(teacher, SETTINGS).items()}
    assert {name for name, rate in rates.items() if rate == 5e-2} == {"student.output.weight", "student.output.bias"}
    student = Objective(BiGRUClassifier(20, 4, 3, hidden=4, fc=5, model="A"))
    slow = {name for name, group in by_name(student, SETTINGS).items() if group["lr"] == 1e-3}
    assert slow == {"student.embedding.weight"}


def test_without_a_rate_for_fresh_parameters_all_learn_alike() -> None:
    student = Objective(BiGRUClassifier(20, 4, 3, hidden=4, fc=5, model="A"))
    assert {group["lr"] for group in by_name(student, TrainSettings(lr=2e-3)).values()} == {2e-3}


def test_frozen_parameters_are_left_out() -> None:
    student = BiGRUClassifier(20, 4, 3, hidden=4, fc=5, model="A")
    student.embedding.weight.requires_grad_(False)
    groups = by_name(Objective(student), SETTINGS)
    assert groups.keys() == {f"student.{name}" for name, _ in student.named_parameters()} - {"student.embedding.weight"}


def rates(steps: int, warmup: float) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make_schedule(optimizer, steps, warmup)
    found = []
    for _ in range(steps + 1):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


def test_the_rate_rises_and_falls_in_lines() -> None:
    found = rates(10, 0.2)
    assert found == pytest.approx([1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0])


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 7, 100])
def test_every_step_learns_and_the_peak_is_the_rate_that_was_set(steps: int, warmup: float) -> None:
    found = rates(steps, warmup)
    assert all(0 < rate <= 1 for rate in found[:steps])
    peak = max(found)
    assert found == sorted(found[: found.index(peak) + 1]) + sorted(found[found.index(peak) + 1 :], reverse=True)
    assert peak == 1.0 or math.ceil(steps * warmup) == steps  # nothing but a rise
    assert found[steps] == 0
