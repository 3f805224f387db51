"""A peer in its own process: fitted once, then asked over a pipe."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent
BATCH = 32


def command(peer: str, python: str) -> list[str]:
    return [python, str(HERE / "adapters" / f"{peer}.py")]


def fitted(peer: str, python: str, rows: Path, out: Path, options: Sequence[str]) -> dict[str, Any]:
    """What the peer tells of its fit: ``seconds``, perhaps a ``note``."""
    asked = [*command(peer, python), "fit", str(rows), str(out), *options]
    found = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True, env=offline())
    told: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return told


def offline() -> dict[str, str]:
    return os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}


class Process:
    """A fitted peer that waits for rows."""

    def __init__(self, peer: str, python: str, model: Path) -> None:
        self.process = subprocess.Popen(
            [*command(peer, python), "answer", str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=offline(),
        )
        self.labels: list[str] = self._reply()["labels"]

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)

    def answers(self, rows: list[dict[str, Any]], labels: Sequence[str]) -> tuple[npt.NDArray[np.float64], list[list[str]]]:
        """Scores ``(rows, labels)``, whatever the peer's own order of labels, and decisions of all rows."""
        scores: list[list[float]] = []
        said: list[list[str]] = []
        for start in range(0, len(rows), BATCH):
            reply = self._ask({"rows": rows[start : start + BATCH], "all": True})
            scores += reply["scores"]
            said += reply["said"]
        return np.array(scores)[:, [self.labels.index(label) for label in labels]], said

    def seconds(self, rows: list[dict[str, Any]]) -> float:
        """How long one batch took, without the pipe."""
        return float(self._ask({"rows": rows})["seconds"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(question, ensure_ascii=False) + "\n")
        self.process.stdin.flush()
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(map(str, self.process.args))} ended; what it said is above")  # type: ignore[union-attr]
        reply: dict[str, Any] = json.loads(line)
        return reply
