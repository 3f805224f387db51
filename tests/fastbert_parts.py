"""A teacher, a FastBERT student, and its bundle at other settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from duobiao.classifier import Classifier
from duobiao.config import parse_config
from duobiao.data.rows import Row
from duobiao.models.exits import ExitBackend

TEACHER = {
    "kind": "encoder",
    "pooling": "mean",
    "shape": {"layers": 4, "hidden": 32, "heads": 2, "intermediate": 48, "vocab_size": 200},
    "input": {"max_length": 48},
    "train": {"epochs": 20, "batch_size": 16, "lr": 3e-3, "evaluate_every": 10},
}
STUDENT = {"kind": "fastbert", "width": 16, "train": {"epochs": 6, "batch_size": 16, "lr": 1e-2}}


def student(**changes: Any) -> Any:
    return parse_config({**STUDENT, **changes})


def at(path: Path, criterion: Any, speed: float, error: float = 0.0) -> Classifier:
    """The bundle at another setting, with the same error everywhere."""
    loaded = Classifier.load(path)
    backend = loaded.backend
    assert isinstance(backend, ExitBackend)
    errors = np.full_like(backend.rule.errors, error)
    rule = replace(backend.rule, criterion=criterion, speed=speed, errors=errors, exits=tuple(range(len(errors))))
    return Classifier(loaded.bundle, backend.with_rule(rule))


def texts_of(rows: list[Row]) -> tuple[list[str], list[str | None]]:
    return [row.text for row in rows], [row.context for row in rows]
