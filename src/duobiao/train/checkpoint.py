"""Checkpoints of a run under way: written beside and renamed, read without pickle's powers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from duobiao.errors import DuobiaoError


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Writes tensors, numbers, strings, lists and dicts so that a kill leaves the old file or the new one."""
    beside = path.with_name(path.name + ".part")
    torch.save(state, beside)
    os.replace(beside, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """Reads a checkpoint; None where there is none.

    Raises:
        DuobiaoError: If the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, EOFError, UnpicklingError and more
        raise DuobiaoError(f"{path}: damaged checkpoint", hint="delete its folder to start the run anew") from error
    return state


def random_state() -> dict[str, Tensor]:
    """Where the random numbers of this process stand, on the CPU and on GPUs."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random(state: dict[str, Tensor]) -> None:
    """Goes on with random numbers from there."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


class MetricsFile:
    """``metrics.jsonl``: one JSON object a line. On resume, lines after the checkpoint's step are dropped.

    Args:
        path: The file.
        step: The step that the run starts at.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except (ValueError, KeyError):
                continue
        beside = path.with_name(path.name + ".part")
        beside.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        os.replace(beside, path)

    def write(self, values: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, ensure_ascii=False) + "\n")
