"""Tiny bundles of every kind, with and without features, made once for all tests of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duobiao.config import parse_config
from duobiao.data.rows import Row
from duobiao.labels import LabelSpace
from duobiao.train import recipe, run

NODE = "身份确认"
TEACHER = {
    "kind": "encoder",
    "pooling": "mean",
    "shape": {"layers": 1, "hidden": 32, "heads": 2, "intermediate": 48, "vocab_size": 200},
    "input": {"max_length": 64},
    "train": {"epochs": 1, "batch_size": 16, "lr": 2e-3, "token_budget": 700},
}
STUDENT = {"kind": "bigru", "hidden": 8, "fc": 16, "train": {"epochs": 1, "batch_size": 16}}
FEATURES_OF = {
    "none": {"segment": "none"},
    "node": {},
    "mined": {"segment": "mined", "top": 3},
    "pairwise": {"segment": "pairwise", "top": 3},
    "numbers": {"statistics": True, "numeric": ["年龄"]},
    "all": {"segment": "pairwise", "statistics": ["hits", "length"], "numeric": ["年龄"]},
}
STUDENTS = {"mined-a": ("mined", "A"), "numbers-a": ("numbers", "A"), "numbers-b": ("numbers", "B"), "all-b": ("all", "B")}
LINEAR = {"linear-none": {"segment": "none"}, "linear-numbers": {"statistics": True, "numeric": ["年龄"]}}
KINDS = [*FEATURES_OF, *STUDENTS, *LINEAR]


@dataclass(frozen=True)
class Made:
    """Bundles by name, and the logits that each had on the dev rows when it was made."""

    train: list[Row]
    dev: list[Row]
    space: LabelSpace
    paths: dict[str, Path]
    logits: dict[str, np.ndarray]


def with_numbers(rows: Sequence[Row]) -> list[Row]:
    return [
        replace(row, extra={"年龄": None if number % 5 == 0 else str(20 + number % 7), "turn": number % 4, "vip": "是"})
        for number, row in enumerate(rows)
    ]


def make(tiny_rows: Any, tiny_space: LabelSpace, place: Path) -> Made:
    """Trains them all."""
    train, dev = with_numbers(tiny_rows.train), with_numbers(tiny_rows.dev)
    found = Made(train, dev, tiny_space, {}, {})
    kept: list[np.ndarray] = []
    real = run.Run._write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.Run, "_write", lambda self, logits, *rest: (kept.append(logits), real(self, logits, *rest))[1])
        for name, features in FEATURES_OF.items():
            config = parse_config({**TEACHER, "name": name, "features": features})
            found.paths[name] = recipe.train(config, train, dev, tiny_space, place / name)
        for name, features in LINEAR.items():
            config = parse_config({"kind": "linear", "name": name, "features": features})
            found.paths[name] = recipe.train(config, train, dev, tiny_space, place / name)
        for name, (teacher, model) in STUDENTS.items():
            config = parse_config({**STUDENT, "name": name, "model": model})
            found.paths[name] = recipe.distil(found.paths[teacher], config, train, dev, place / name, transfer=dev)
    found.logits.update(zip(found.paths, kept, strict=True))
    return found
