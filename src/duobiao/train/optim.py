"""Optimiser and learning-rate schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from duobiao.config import TrainSettings


def make_optimizer(student: nn.Module, objective: nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW over all trainable parameters of the objective.

    Matrices decay; biases and the weights of norms (one dimension) do not. Parameters under the student's ``fresh``
    prefixes learn with ``head_lr`` if it is set.
    """
    fresh = tuple(f"student.{prefix}" for prefix in getattr(student, "fresh", ()))
    parts: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            is_fresh = settings.head_lr is not None and name.startswith(fresh)
            parts.setdefault((is_fresh, parameter.ndim > 1), []).append(parameter)
    groups: list[dict[str, Any]] = [
        {
            "params": parameters,
            "lr": settings.head_lr if is_fresh else settings.lr,
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (is_fresh, decays), parameters in parts.items()
    ]
    return torch.optim.AdamW(groups, fused=True)


def make_schedule(optimizer: torch.optim.Optimizer, steps: int, warmup: float) -> LambdaLR:
    """Linear rise over the first ``warmup`` share of steps, then linear fall to 0."""
    rise = math.ceil(steps * warmup)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return max(0.0, (steps - step) / max(1, steps - rise))

    return LambdaLR(optimizer, factor)
