"""What the chain of bundles in ``conftest`` consists of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Chain:
    """Files and bundles that tests read and never change."""

    folder: Path
    train: Path
    dev: Path
    test: Path
    labels: Path
    linear: Path
    teacher: Path
    student: Path
    control: Path
    output: dict[str, str]

    @property
    def files(self) -> tuple[Any, ...]:
        return ("--train", self.train, "--dev", self.dev)
