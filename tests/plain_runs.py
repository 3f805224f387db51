"""What tests of long runs share: stopping one in the middle, and comparing what two of them left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from duobiao.train import loop


def same_weights(one: Path, two: Path) -> bool:
    """Whether two encoders have the same tensors, bit for bit."""
    first, second = (load_file(folder / "model.safetensors") for folder in (one, two))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Interrupts the step of this number, counted from now on."""
    real, steps = loop._Run.step, []

    def stop(self: Any, *given: Any) -> float:
        steps.append(1)
        if len(steps) == number:
            raise KeyboardInterrupt
        return real(self, *given)

    monkeypatch.setattr(loop._Run, "step", stop)
