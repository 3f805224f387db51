"""The one training loop: any Objective, on one process or many, resumable at any moment.

A step is ``batch_size`` rows, whatever the number of processes and micro-batches. Each row's loss is divided by the rows of
the whole step, so cutting a step differently does not change its gradient.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from duobiao import progress
from duobiao.bundle import HISTORY
from duobiao.config import TrainSettings
from duobiao.data.encode import Ids
from duobiao.errors import DuobiaoError, MissingExtraError
from duobiao.train.checkpoint import MetricsFile, load_state, random_state, restore_random, save_state
from duobiao.train.objectives import Objective
from duobiao.train.optim import make_optimizer, make_schedule
from duobiao.train.order import epoch_steps, micro_batches, share

Collate = Callable[[Ids], dict[str, np.ndarray[Any, Any]]]
Part = tuple[dict[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]]
"""A micro-batch: its arrays, and the weight of each of its rows."""
Evaluate = Callable[[nn.Module], dict[str, float]]
LAST, BEST, METRICS = "last.pt", "best.safetensors", HISTORY


def has_begun(workdir: Path) -> bool:
    """Whether a run's folder holds a checkpoint of any stage to resume from."""
    return next(workdir.rglob(LAST), None) is not None


@contextmanager
def unless_begun(workdir: Path) -> Iterator[None]:
    """Takes a run's folder away again if an error comes before there is anything to resume from."""
    try:
        yield
    except DuobiaoError:
        if not has_begun(workdir):
            shutil.rmtree(workdir, ignore_errors=True)
        raise


@dataclass
class TrainData:
    """What the loop needs of the rows.

    Attributes:
        lengths: Tokens of each row, shape ``(rows,)``.
        collate: Row numbers to a padded batch of arrays.
    """

    lengths: Ids
    collate: Collate


@dataclass
class Position:
    """Where a run stands; saved with every checkpoint."""

    epoch: int = 0
    step: int = 0
    """Steps behind in this epoch."""
    total: int = 0
    """Steps behind in all."""
    best: float = -math.inf
    best_total: int = 0
    worse: int = 0
    """Evaluations since the best one."""
    finished: bool = False
    seconds: float = field(default=0.0, compare=False)
    """Seconds behind in all, those before an interruption included (work that was lost with it not)."""
    sums: dict[str, float] = field(default_factory=dict)
    """Losses summed over rows since the last evaluation, with their number under ``rows``."""


def make_accelerator(settings: TrainSettings, workdir: Path) -> Accelerator:
    """The device, its precision and the tracker.

    Raises:
        MissingExtraError: If the tracker is not installed.
    """
    log_with = None if settings.tracker == "none" else settings.tracker
    AcceleratorState._reset_state()  # an earlier run of this process may have had another precision
    accelerator = Accelerator(mixed_precision=settings.precision, log_with=log_with, project_dir=str(workdir))
    if log_with and not accelerator.log_with:
        raise MissingExtraError(log_with, "train" if log_with == "tensorboard" else log_with)
    return accelerator


def fit(
    objective: Objective,
    data: TrainData,
    evaluate: Evaluate | None,
    settings: TrainSettings,
    workdir: Path,
    *,
    accelerator: Accelerator | None = None,
    stop_after: int | None = None,
    label: str = "train",
    score_start: bool = False,
) -> Position:
    """Trains until the last epoch or until patience ends; the student then holds its best weights.

    If ``workdir`` holds a checkpoint of this run it goes on from there, weight for weight as if never stopped.

    Args:
        objective: What to minimise; its ``student`` is trained in place.
        data: The training rows.
        evaluate: Scores the student; ``score`` decides which weights are the best, higher is better. None: no weights are
            better than the last ones.
        settings: The loop's settings.
        workdir: Folder of checkpoints and ``metrics.jsonl``.
        accelerator: Where to run; by default made from the settings.
        stop_after: Stop after so many steps in all, leaving a checkpoint (for slices of a long run).
        label: Name in progress bars.
        score_start: Score the weights to begin with too, so that the student never ends with worse ones.

    Returns:
        Where the run ended.

    Raises:
        DuobiaoError: If a loss is not finite.
    """
    accelerator = accelerator or make_accelerator(settings, workdir)
    run = _Run(objective, data, evaluate, settings, workdir, accelerator)
    run.train(stop_after, label, score_start)
    if run.at.finished and (workdir / BEST).is_file():
        load_model(objective.student, workdir / BEST)
    return run.at


class _Run:
    """One run under way."""

    def __init__(
        self,
        objective: Objective,
        data: TrainData,
        evaluate: Evaluate | None,
        settings: TrainSettings,
        workdir: Path,
        accelerator: Accelerator,
    ) -> None:
        self.data, self.evaluate, self.settings, self.workdir, self.accelerator = data, evaluate, settings, workdir, accelerator
        workdir.mkdir(parents=True, exist_ok=True)
        self.steps_per_epoch = -(-len(data.lengths) // settings.batch_size)
        optimizer = make_optimizer(objective.student, objective, settings)
        self.objective = objective
        self.wrapped, self.optimizer = accelerator.prepare(objective, optimizer)
        # Not prepared: a prepared schedule steps once a process.
        self.schedule = make_schedule(self.optimizer.optimizer, self.steps_per_epoch * settings.epochs, settings.warmup)
        self.at = Position()
        self._resume()
        self.saved_at, self.save_took = time.monotonic(), 0.0
        self.counted_at = self.saved_at
        # without a checkpoint no line stays, be it of the start
        self.metrics = MetricsFile(workdir / METRICS, self.at.total or -1) if accelerator.is_main_process else None
        if settings.tracker != "none":
            accelerator.init_trackers("duobiao")

    # ---- the story of a run -------------------------------------------------------------------

    def train(self, stop_after: int | None, label: str, score_start: bool) -> None:
        if score_start and not self.at.total:
            self.score()
        total = self.steps_per_epoch * self.settings.epochs
        with progress.task(label, total, self.at.total) as task:
            while not self.at.finished:
                steps = epoch_steps(self.data.lengths, self.settings.batch_size, self.settings.seed, self.at.epoch)
                for rows, parts in self._prepared(steps[self.at.step :]):
                    loss = self.step(rows, parts)
                    self.at.step += 1
                    self.at.total += 1
                    best = f" best {abs(self.at.best):.4f}" if math.isfinite(self.at.best) else ""  # minus a loss, or a score
                    task.advance(1, f"epoch {self.at.epoch + 1} loss {loss:.4f}{best}")
                    if self._evaluation_is_due(len(steps)):
                        self.score()
                    if self.at.finished or self.at.total == stop_after:
                        break
                    if self._checkpoint_is_due():
                        self.save()
                else:
                    self.at.epoch, self.at.step = self.at.epoch + 1, 0
                    self.at.finished = self.at.finished or self.at.epoch >= self.settings.epochs
                if self.at.total == stop_after:
                    break
        self.save()
        for tracker in self.accelerator.trackers:  # end_training would end the process group too
            tracker.finish()

    def step(self, rows: Ids, parts: Sequence[Part]) -> float:
        """One optimiser step over ``rows``, cut into ``parts``; returns the mean loss of this process's rows."""
        self.wrapped.train()
        accelerator = self.accelerator
        sums: dict[str, Tensor] = {}
        for number, (arrays, weights) in enumerate(parts):
            batch = {name: torch.from_numpy(array).to(accelerator.device) for name, array in arrays.items()}
            weight = torch.from_numpy(weights).to(accelerator.device)
            with accelerator.no_sync(self.wrapped) if number + 1 < len(parts) else nullcontext():
                with accelerator.autocast():
                    losses = self.wrapped(batch)
                # DDP averages gradients over processes, so each counts its rows times the number of processes.
                accelerator.backward((losses["loss"] * weight).sum() * (accelerator.num_processes / len(rows)))
            for name, values in losses.items():
                sums[name] = sums.get(name, torch.zeros((), device=values.device)) + (values.detach() * weight).sum()
        accelerator.clip_grad_norm_(self.wrapped.parameters(), self.settings.clip)
        self.optimizer.step()
        if not accelerator.optimizer_step_was_skipped:
            self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return self._count(sums, len(rows))

    def score(self) -> None:
        """Evaluates, keeps the weights if they are the best so far, and decides whether to stop."""
        at, found = self.at, {}
        if self.evaluate is not None:
            self.wrapped.eval()
            with self.accelerator.autocast():
                found = self.evaluate(self.objective.student)
            if found["score"] > at.best:
                at.best, at.best_total, at.worse = found["score"], at.total, 0
                if self.accelerator.is_main_process:
                    self._save_best()
            else:
                at.worse += 1
            at.finished = self.settings.patience is not None and at.worse >= self.settings.patience
        rows = max(at.sums.pop("rows", 0.0), 1.0)
        self._log({"epoch": at.epoch + bool(at.total), **{name: value / rows for name, value in at.sums.items()}, **found})
        at.sums = {}

    def _prepared(self, steps: Sequence[Ids]) -> Iterator[tuple[Ids, list[Part]]]:
        """The rows of each step and this process's part of its micro-batches, made while the step before is computed."""
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self._parts, steps[0]) if len(steps) else None
            for number, rows in enumerate(steps):
                assert waiting is not None
                parts = waiting.result()
                waiting = pool.submit(self._parts, steps[number + 1]) if number + 1 < len(steps) else None
                yield rows, parts

    def _parts(self, rows: Ids) -> list[Part]:
        found = []
        for part in micro_batches(rows, self.data.lengths, self.settings.token_budget, self.settings.micro_batch_size):
            mine, weights = share(part, self.accelerator.process_index, self.accelerator.num_processes)
            found.append((self.data.collate(mine), weights))
        return found

    # ---- bookkeeping --------------------------------------------------------------------------

    def _evaluation_is_due(self, steps: int) -> bool:
        every, ends = self.settings.evaluate_every, self.at.step == steps
        if every is None:
            return ends
        return self.at.total % every == 0 or (ends and self.at.epoch + 1 == self.settings.epochs)

    def _checkpoint_is_due(self) -> bool:
        """Whether any process has waited long enough; all give the same answer, whatever their clocks say."""
        wanted = self.settings.checkpoint_seconds
        pause = max(wanted, 20 * self.save_took) if wanted else 0.0
        late = float(time.monotonic() - self.saved_at > pause)
        return bool(self.accelerator.reduce(torch.tensor(late, device=self.accelerator.device), "sum") > 0)

    def _count(self, sums: dict[str, Tensor], rows: int) -> float:
        names = sorted(sums)
        values = self.accelerator.reduce(torch.stack([sums[name] for name in names]), "sum").tolist()
        for name, value in zip(names, values, strict=True):
            self.at.sums[name] = self.at.sums.get(name, 0.0) + value
        self.at.sums["rows"] = self.at.sums.get("rows", 0.0) + rows
        loss: float = values[names.index("loss")] / rows
        if not np.isfinite(loss):
            raise DuobiaoError(
                f"the loss is {loss} at step {self.at.total + 1}", hint="lower train.lr, or set train.precision to no"
            )
        return loss

    def _log(self, values: dict[str, float]) -> None:
        if self.metrics:
            self.metrics.write({"step": self.at.total, **values, "lr": self.schedule.get_last_lr()[0]})
        if self.settings.tracker != "none":
            self.accelerator.log(values, step=self.at.total)

    def _save_best(self) -> None:
        beside = self.workdir / (BEST + ".part")
        save_model(self.objective.student, str(beside))  # tensors that share memory once
        beside.replace(self.workdir / BEST)

    def save(self) -> None:
        """A checkpoint to resume from."""
        began = time.monotonic()
        self.at.seconds, self.counted_at = self.at.seconds + began - self.counted_at, began
        states = gather_object([random_state()])
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            save_state(
                self.workdir / LAST,
                {
                    "position": asdict(self.at),
                    "objective": self.objective.state_dict(),
                    "optimizer": self.optimizer.optimizer.state_dict(),
                    "schedule": self.schedule.state_dict(),
                    "scaler": scaler.state_dict() if scaler else {},
                    "random": states,
                },
            )
        self.accelerator.wait_for_everyone()
        self.saved_at = time.monotonic()
        self.save_took = self.saved_at - began

    def _resume(self) -> None:
        state = load_state(self.workdir / LAST)
        if state is None:
            return
        self.at = Position(**state["position"])
        self.objective.load_state_dict(state["objective"])
        self.optimizer.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if len(state["random"]) == self.accelerator.num_processes:
            restore_random(state["random"][self.accelerator.process_index])
        progress.say(f"resumed at step {self.at.total}")
