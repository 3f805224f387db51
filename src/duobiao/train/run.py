"""The bookkeeping of one training run: checked rows, its folder, its dev scores, its bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from torch import nn

from duobiao import __version__, progress
from duobiao.bundle import MANIFEST, Bundle, check_place, read_manifest, write_bundle
from duobiao.config import LinearConfig, RunSettings, TrainSettings
from duobiao.data.encode import Encoded, Ids, Pair, RowEncoder
from duobiao.data.rows import Row, check_texts, numeric_columns, rows_digest, targets
from duobiao.errors import BundleError, ConfigError
from duobiao.evaluate.evidence import DEV, evidence
from duobiao.evaluate.metrics import score
from duobiao.features.apply import Features, source_digest
from duobiao.labels import UNASKED, LabelSpace, Mask, Targets
from duobiao.models.inference import compute_logits
from duobiao.models.linear import fit_linear
from duobiao.models.row_encoder import TOKENIZER
from duobiao.postprocess.decode import Decoder, check_rules
from duobiao.postprocess.probabilities import Floats, probabilities
from duobiao.postprocess.thresholds import thresholds_to_dict, tune
from duobiao.train.loop import METRICS, TrainData, fit, has_begun, make_accelerator, unless_begun
from duobiao.train.losses import require_positives
from duobiao.train.objectives import Objective

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Task:
    """Checked rows of one run.

    Attributes:
        space: The label space.
        train: Training rows.
        dev: Rows for choosing the epoch and the thresholds.
        cells: Truth of the training rows, ``(rows, labels)``.
        dev_cells: Truth of the dev rows.
    """

    space: LabelSpace
    train: Sequence[Row]
    dev: Sequence[Row]
    cells: Targets
    dev_cells: Targets

    @classmethod
    def check(cls, config: RunSettings, train: Sequence[Row], dev: Sequence[Row], space: LabelSpace) -> Task:
        """Refuses rows and settings that cannot give a model.

        Raises:
            DataError: If rows are empty, unlabelled or foreign to the space, or a label has no positive.
            ConfigError: If a threshold rule does not fit the space.
        """
        check_texts(train, "training")
        check_texts(dev, "dev")
        check_rules(config.thresholds, space)
        task = cls(space, train, dev, targets(train, space), targets(dev, space))
        require_positives(task.cells, space)
        return task


class Run:
    """The bookkeeping that every system shares: where a run lives, whether it is done, how its bundle is written."""

    def __init__(
        self, config: RunSettings, task: Task, out: Path, force: bool, transfer: Sequence[Row] = (), source: str = ""
    ) -> None:
        self.config, self.task, self.out = config, task, out
        self.workdir = out.with_name(out.name + ".run")
        self.force = force
        self.features = Features(input=config.input)
        self.stages: list[str] = []
        self.dev_decided: Mask | None = None  # by thresholds on dev_logits, unless the model leaves early
        self.began, self.saved_seconds = time.monotonic(), 0.0
        train, dev, more = rows_digest(task.train), rows_digest(task.dev), rows_digest(transfer)
        self.rows = _rows_told(task, train, dev, transfer, more)
        described = [config.model_dump(mode="json"), task.space.to_dict(), train, dev, more, source]
        read = source_digest(config.features, [task.train, task.dev, transfer])
        described += [read] if read else []
        self.digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
        check_place(out)

    def is_done(self) -> bool:
        """Whether this very run has left its bundle already."""
        if self.force or not (self.out / MANIFEST).is_file():
            return False
        try:
            done = bool(read_manifest(self.out)["run"] == self.digest)
        except BundleError:
            return False
        if done:
            progress.say(f"{self.out}: finished before, with the same rows and settings (--force repeats it)")
        return done

    def start(self, settings: TrainSettings) -> Accelerator:
        """Makes the folder of the run, or finds it again.

        Raises:
            ConfigError: If an interrupted run with other rows or settings is there.
        """
        accelerator = make_accelerator(settings, self.workdir)
        if accelerator.is_main_process:
            mark = self.workdir / RUN_FILE
            if self.force:
                shutil.rmtree(self.workdir, ignore_errors=True)
            if mark.is_file() and mark.read_text(encoding="utf-8") != self.digest and has_begun(self.workdir):
                raise ConfigError(
                    f"{self.workdir} holds an interrupted run with other rows or settings",
                    hint="give another --out, or begin anew: with --force, or by deleting this folder",
                )
            self.workdir.mkdir(parents=True, exist_ok=True)
            mark.write_text(self.digest, encoding="utf-8")
        accelerator.wait_for_everyone()
        set_seed(settings.seed)
        return accelerator

    def folder(self) -> AbstractContextManager[None]:
        """As ``unless_begun`` does."""
        return unless_begun(self.workdir)

    def fit(
        self,
        objective: Objective,
        data: TrainData,
        encoder: RowEncoder,
        settings: TrainSettings,
        accelerator: Accelerator,
        *,
        stage: str = "",
        scored: bool = True,
        score_start: bool = False,
    ) -> None:
        """Trains; the student then holds its best weights.

        Args:
            objective: What to minimise, with the student.
            data: The training rows.
            encoder: Encodes the dev rows.
            settings: The loop's settings.
            accelerator: Where to run.
            stage: Name of a stage, for runs that have several; each keeps its own checkpoints, and one that is finished is
                taken over as it is when the run is resumed.
            scored: Whether the student is scored on dev rows; if not, it ends with its last weights.
            score_start: Score the weights to begin with too, so that the student never ends with worse ones.
        """
        task, rules = self.task, self.config.thresholds
        dev = encode_rows(encoder, self.features, task.dev)
        self.rows["dev"]["full_length"] = _full_length(dev, encoder.settings.max_length)
        objective.to(accelerator.device)

        def evaluate(model: nn.Module) -> dict[str, float]:
            logits = gathered_logits(model, encoder, dev, len(task.space), accelerator)
            proba = probabilities(logits, task.space)
            thresholds = tune(proba, task.dev_cells, task.space, rules)
            found = _scores(proba, task.dev_cells, Decoder(task.space, thresholds, rules))
            return {"score": found["micro_f1"], "micro_f1": found["micro_f1"], "macro_f1": found["macro_f1"] or 0.0}

        label = self.config.name or self.config.kind
        place = self.workdir / stage if stage else self.workdir
        if stage:
            set_seed(settings.seed)
            self.stages.append(stage)
        began = time.monotonic()
        found = fit(
            objective,
            data,
            evaluate if scored else None,
            settings,
            place,
            accelerator=accelerator,
            label=f"{label} {stage}".strip(),
            score_start=score_start,
        )
        self.saved_seconds += found.seconds - (time.monotonic() - began)
        if scored:
            self.dev_logits = gathered_logits(objective.student, encoder, dev, len(task.space), accelerator)
        self.accelerator = accelerator

    def write_linear(self, config: LinearConfig) -> Path:
        """Fits and writes the linear baseline."""
        task = self.task
        features = self.features = Features.fit(config.features, config.input, task.train, task.space)
        numbers = (numbers_of(features, task.train), numbers_of(features, task.dev))
        train, dev = (pairs(task.train), task.cells), (pairs(task.dev), task.dev_cells)
        backend = fit_linear(config, task.space, train, dev, features, numbers)
        model, files, weights = backend.stored()
        self._write(backend.logits(dev[0], features=numbers[1]), model, files, weights, {})
        return self.out

    def write(self, model: nn.Module, encoder: RowEncoder, settings: dict[str, Any], how: dict[str, Any]) -> Path:
        """Writes a torch model's bundle and removes the folder of the run."""
        if self.accelerator.is_main_process:
            weights = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
            files = {TOKENIZER: encoder.tokenizer.to_str()}
            places = [self.workdir, *(self.workdir / stage for stage in self.stages)]
            histories = [place / METRICS for place in places]
            files[METRICS] = "".join(path.read_text(encoding="utf-8") for path in histories if path.is_file())
            self._write(self.dev_logits, settings, files, weights, how)
            self._clear()
        self.accelerator.wait_for_everyone()
        return self.out

    def write_plain(
        self,
        dev_logits: npt.NDArray[np.float32],
        model: dict[str, Any],
        files: dict[str, str],
        weights: dict[str, npt.NDArray[Any]],
        how: dict[str, Any],
        accelerator: Accelerator,
    ) -> Path:
        """Writes the bundle of a model that is none of torch's, and removes the folder of the run."""
        if accelerator.is_main_process:
            self._write(dev_logits, model, files, weights, how)
            self._clear()
        accelerator.wait_for_everyone()
        return self.out

    def _clear(self) -> None:
        for place in (*(self.workdir / stage for stage in reversed(self.stages)), self.workdir):
            for path in place.iterdir():
                if path.is_file():
                    path.unlink()
            if not any(place.iterdir()):  # a tracker's curves stay
                place.rmdir()

    def _write(
        self,
        dev_logits: npt.NDArray[np.float32],
        model: dict[str, Any],
        files: dict[str, str],
        weights: dict[str, npt.NDArray[Any]],
        how: dict[str, Any],
    ) -> None:
        task, rules = self.task, self.config.thresholds
        proba = probabilities(dev_logits, task.space)
        thresholds = tune(proba, task.dev_cells, task.space, rules)
        stored = thresholds_to_dict(thresholds, rules, task.space)
        decided = self.dev_decided
        if decided is None:
            decided = Decoder(task.space, thresholds, rules).decide(proba, task.dev_cells != UNASKED)
        found = evidence(task.dev_cells, decided, task.dev, task.space, stored, "dev")
        dev = {name: found[name] for name in DEV}
        parameters = int(sum(array.size for name, array in weights.items() if name != "idf"))
        seconds = round(time.monotonic() - self.began + self.saved_seconds, 2)
        metrics = {"dev": dev, "train_rows": len(task.train), "parameters": parameters, "seconds": seconds}
        metrics |= {"made_by": __version__, **how, "data": self.rows, "evidence": found}
        bundle = Bundle(
            kind=self.config.kind,
            name=self.config.name or self.config.kind,
            space=task.space,
            input=self.config.input.model_dump(mode="json"),
            model=model,
            thresholds=stored,
            metrics=metrics,
            config=self.config.model_dump(mode="json"),
            files={**files, **self.features.stored()},
            weights=weights,
            run=self.digest,
        )
        write_bundle(self.out, bundle)


def _full_length(encoded: Encoded, most: int) -> float:
    """The share of rows with an input as long as inputs may be, from which something may have been cut off."""
    full = np.array([len(ids) >= most for ids in encoded.ids])
    return float((full if encoded.slots is None else ((encoded.slots >= 0) & full[encoded.slots]).any(axis=1)).mean())


def _rows_told(task: Task, train: str, dev: str, transfer: Sequence[Row], transfer_digest: str) -> dict[str, Any]:
    """The rows of a run for its card: numbers and digests, and the training rows of each label."""
    positives = (task.cells == 1).sum(axis=0).tolist()
    found: dict[str, Any] = {"train": {"rows": len(task.train), "digest": train}, "dev": {"rows": len(task.dev), "digest": dev}}
    found |= {"transfer": {"rows": len(transfer), "digest": transfer_digest}} if transfer else {}
    return {**found, "positives": dict(zip(task.space.names, positives, strict=True))}


def pairs(rows: Sequence[Row]) -> list[Pair]:
    """(text, context) of rows; an empty context is none, as in ``Classifier``."""
    return [(row.text, row.context or None) for row in rows]


def encode_rows(encoder: RowEncoder, features: Features, rows: Sequence[Row]) -> Encoded:
    """Token ids of rows, with the numbers beside the text where the model reads some."""
    encoded = encoder.encode(pairs(rows))
    return replace(encoded, features=numbers_of(features, rows)) if features.width else encoded


def numbers_of(features: Features, rows: Sequence[Row]) -> npt.NDArray[np.float32] | None:
    """The standardised numbers beside the text of each row, ``(rows, width)``; None where the model reads none."""
    return features.vectors(pairs(rows), numeric_columns(rows, features.columns)) if features.width else None


def _scores(proba: Floats, cells: Targets, decoder: Decoder) -> dict[str, Any]:
    found = score(cells, decoder.decide(proba, cells != UNASKED), decoder.space)
    return {name: value for name, value in found.items() if name != "per_label"}


def train_data(encoder: RowEncoder, encoded: Encoded, arrays: dict[str, npt.NDArray[Any]]) -> TrainData:
    """Encoded rows with further arrays, one entry a row, as the loop wants them."""

    def collate(rows: Ids) -> dict[str, npt.NDArray[Any]]:
        return {**encoder.pad(encoded, rows), **{name: array[rows] for name, array in arrays.items()}}

    return TrainData(encoded.lengths, collate)


def gathered_logits(
    model: nn.Module, encoder: RowEncoder, encoded: Encoded, labels: int, accelerator: Accelerator
) -> npt.NDArray[np.float32]:
    """Logits of all rows, each computed by exactly one process."""
    mine = np.arange(accelerator.process_index, len(encoded), accelerator.num_processes)
    found = gather_object([(mine, compute_logits(model, encoder, encoded, labels, rows=mine))])
    result = np.zeros((len(encoded), labels), dtype=np.float32)
    for rows, logits in found:
        result[rows] = logits
    return result
