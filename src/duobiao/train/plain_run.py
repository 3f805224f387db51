"""The bookkeeping of learning from plain text: where a run lives, whether it is done, how its encoder is written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import set_seed
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from duobiao import __version__, progress
from duobiao.config import TrainSettings
from duobiao.data.encode import Ids
from duobiao.errors import ConfigError
from duobiao.models.mlm import longest_input
from duobiao.models.pretrained import quiet
from duobiao.models.tokenizer_files import save_tokenizer
from duobiao.train.checkpoint import load_state
from duobiao.train.loop import LAST, METRICS, Evaluate, Position, TrainData, fit, has_begun, make_accelerator, unless_begun
from duobiao.train.objectives import Objective

NOTE = "general.json"
_CURVE = 100


@dataclass(frozen=True)
class PlainResult:
    """Where a run on plain text stands.

    Attributes:
        out: The encoder's folder; it is there when ``finished``.
        steps: Optimiser steps behind.
        total: Optimiser steps of the whole run.
        notes: What the run found out, as it stands in ``general.json`` (``adapt.json``); empty until it is finished.
    """

    out: Path
    steps: int
    total: int
    notes: Mapping[str, Any]

    @property
    def finished(self) -> bool:
        """Whether the run is at its end."""
        return self.steps >= self.total


class PlainRun:
    """One run on plain text, in the folder ``OUT.run`` beside the encoder that it makes.

    Args:
        out: The encoder's folder.
        steps: Optimiser steps of the whole run.
        described: All that the result depends on.
        settings: The loop's settings, as ``plain_settings`` makes them.
        force: Begin anew, even if the same run is finished or an interrupted one is there.
        note: Name of the file beside the encoder that tells of the run.
    """

    def __init__(
        self, out: str | Path, steps: int, described: Any, settings: TrainSettings, force: bool, note: str = NOTE
    ) -> None:
        self.out, self.steps, self.settings, self.force, self.note = Path(out), steps, settings, force, note
        self.name = digest(described)
        self.workdir = self.out.with_name(self.out.name + ".run")

    def done(self) -> PlainResult | None:
        """The result, if this very run has left it already.

        Raises:
            ConfigError: If something else is in the place of the encoder.
        """
        note = _note(self.out / self.note)
        if not self.force and note is not None and note.get("run") == self.name:
            progress.say(f"{self.out}: finished before, with the same texts and settings (--force repeats it)")
            return PlainResult(self.out, note["steps"], note["steps"], note)
        if self.out.exists() and note is None:
            raise ConfigError(f"{self.out} is there, and no encoder that was made from plain text", hint="give another --out")
        return None

    def start(self) -> Accelerator:
        """Makes the folder of the run, or finds it again.

        Raises:
            ConfigError: If an interrupted run with other texts or settings is there.
        """
        accelerator = make_accelerator(self.settings, self.workdir)
        if accelerator.is_main_process:
            self._claim()
        accelerator.wait_for_everyone()
        set_seed(self.settings.seed)
        return accelerator

    def _claim(self) -> None:
        mark = self.workdir / "run.json"
        if self.force:
            shutil.rmtree(self.workdir, ignore_errors=True)
        if mark.is_file() and mark.read_text(encoding="utf-8") != self.name:
            if has_begun(self.workdir):
                raise ConfigError(
                    f"{self.workdir} holds an interrupted run with other texts or settings",
                    hint="give another --out, or --force to begin anew",
                )
            shutil.rmtree(self.workdir)  # what another run had made before its first checkpoint is of no use to this one
        self.workdir.mkdir(parents=True, exist_ok=True)
        mark.write_text(self.name, encoding="utf-8")

    def folder(self) -> AbstractContextManager[None]:
        """As ``unless_begun`` does."""
        return unless_begun(self.workdir)

    def fit(
        self,
        objective: Objective,
        data: TrainData,
        accelerator: Accelerator,
        *,
        slice_steps: int | None,
        label: str,
        evaluate: Evaluate | None = None,
    ) -> Position:
        """Trains, for ``slice_steps`` steps at most; scored from the start on where ``evaluate`` is given."""
        done = load_state(self.workdir / LAST) if slice_steps else None
        stop = None if slice_steps is None else (done["position"]["total"] if done else 0) + slice_steps
        stop = None if stop is None or stop >= self.steps else stop
        return fit(
            objective,
            data,
            evaluate,
            self.settings,
            self.workdir,
            accelerator=accelerator,
            stop_after=stop,
            label=label,
            score_start=evaluate is not None,
        )

    def history(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``."""
        return [json.loads(line) for line in (self.workdir / METRICS).read_text(encoding="utf-8").splitlines()]

    def write(
        self, model: PreTrainedModel, tokenizer: Tokenizer, pad_id: int, notes: dict[str, Any], *, half: bool = False
    ) -> dict[str, Any]:
        """Writes the folder beside its place and renames it; the run's folder goes."""
        longest = longest_input(model.config)
        return self.write_with(model, lambda folder: save_tokenizer(tokenizer, pad_id, longest, folder), notes, half=half)

    def write_with(
        self, model: PreTrainedModel, add: Callable[[Path], None], notes: dict[str, Any], *, half: bool = False
    ) -> dict[str, Any]:
        """As ``write``, with a tokenizer that ``add`` puts into the folder."""
        note = {"run": self.name, "made_by": __version__, "steps": self.steps, **notes}
        beside = self.out.with_name(f".{self.out.name}.{os.getpid()}.part")
        shutil.rmtree(beside, ignore_errors=True)
        try:
            with quiet():
                _save(model, beside, half)
            add(beside)
            (beside / self.note).write_text(json.dumps(note, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            shutil.copyfile(self.workdir / METRICS, beside / METRICS)
            if self.out.exists():
                shutil.rmtree(self.out)
            os.replace(beside, self.out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(self.workdir, ignore_errors=True)
        return note


def plain_settings(train: TrainSettings, steps: int, batch_size: int, lr: float, warmup: float) -> TrainSettings:
    """The loop's settings for one long pass over plain text."""
    changes: dict[str, Any] = {"epochs": 1, "batch_size": batch_size, "lr": lr, "head_lr": None, "warmup": warmup}
    return train.model_copy(update={**changes, "patience": None, "evaluate_every": max(1, steps // _CURVE)})


def drawn(sequences: Ids, rows: int, seed: int) -> Ids:
    """``rows`` of the given sequences in random order, pass after pass over all of them."""
    passes = -(-rows // len(sequences))
    return np.concatenate([sequences[np.random.default_rng([seed, one]).permutation(len(sequences))] for one in range(passes)])[
        :rows
    ]


def digest(described: Any) -> str:
    """A name for what is described."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def once(accelerator: Accelerator, work: Callable[[], Any]) -> Any:
    """Does work whose files all processes read: the first process first."""
    with accelerator.main_process_first():
        return work()


def _note(path: Path) -> dict[str, Any] | None:
    """What stands beside an encoder that was made from plain text; None where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) and "run" in found else None
    except (OSError, ValueError):
        return None


def _save(model: PreTrainedModel, folder: Path, half: bool) -> None:
    """Weights in half precision are told to be single ones, which is what they are loaded as."""
    if not half:
        model.save_pretrained(folder)
        return
    model.half().save_pretrained(folder)
    model.float()
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "dtype": "float32"}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
