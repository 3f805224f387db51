"""From rows to a bundle: what ``duobiao train`` and ``duobiao distil`` do.

Both tell the same story: check the rows, build a model, fit it, tune thresholds on dev rows, write the bundle. An
interrupted run leaves ``OUT.run`` and goes on from there; a finished run that is asked for again is not repeated.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from torch import nn

from duobiao import __version__, progress
from duobiao.bundle import MANIFEST, Bundle, check_place, read_manifest, write_bundle
from duobiao.classifier import Classifier
from duobiao.config import BiGRUConfig, LinearConfig, TeacherConfig, TrainSettings
from duobiao.data.encode import Encoded, Ids, Pair, RowEncoder
from duobiao.data.rows import Row, check_texts, rows_digest, targets
from duobiao.errors import BundleError, ConfigError
from duobiao.evaluate.metrics import score
from duobiao.labels import UNASKED, UNKNOWN, LabelSpace, Targets
from duobiao.models.bigru import BiGRUClassifier
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.inference import compute_logits
from duobiao.models.linear import fit_linear
from duobiao.models.pretrained import load_pretrained, random_encoder
from duobiao.models.torch_backend import TOKENIZER, TorchBackend
from duobiao.postprocess.decode import Decoder, check_rules
from duobiao.postprocess.probabilities import Floats, probabilities
from duobiao.postprocess.thresholds import thresholds_to_dict, tune
from duobiao.train.loop import METRICS, TrainData, fit, make_accelerator
from duobiao.train.losses import LabelLoss, LogitsLoss, positive_weights, require_positives
from duobiao.train.objectives import LogitsDistillation, Objective, Supervised
from duobiao.train.soft_labels import soft_labels

AnyConfig = LinearConfig | TeacherConfig | BiGRUConfig
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
    def check(cls, config: AnyConfig, train: Sequence[Row], dev: Sequence[Row], space: LabelSpace) -> Task:
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


def train(
    config: AnyConfig,
    train_rows: Sequence[Row],
    dev_rows: Sequence[Row],
    space: LabelSpace,
    out: str | Path,
    *,
    force: bool = False,
) -> Path:
    """Trains a teacher or the linear baseline.

    Args:
        config: The system.
        train_rows: Labelled rows to learn from.
        dev_rows: Labelled rows for choosing the epoch and the thresholds; never the rows that are scored in the end.
        space: The label space.
        out: The bundle's place.
        force: Begin anew, even if the same run is finished or an interrupted one is there.

    Returns:
        The bundle's folder.

    Raises:
        DataError: If the rows do not fit the space.
        ConfigError: If the configuration is a student's, or cannot be carried out.
        BundleError: If ``out`` is taken by something else.
    """
    if isinstance(config, BiGRUConfig):
        raise ConfigError("a BiGRU is a student", hint="use duobiao distil --teacher BUNDLE (with --no-teacher for a control)")
    task = Task.check(config, train_rows, dev_rows, space)
    run = _Run(config, task, Path(out), force)
    if run.is_done():
        return run.out
    if isinstance(config, LinearConfig):
        return run.write_linear(config)
    accelerator = run.start(config.train)
    if config.encoder == "random":
        texts = [text for row in task.train for text in (row.text, row.context or "")]
        pretrained = random_encoder(config.shape, texts, config.input.max_length)
    else:
        pretrained = load_pretrained(config.encoder, config.revision)
    _check_length(config, pretrained.model.config)
    model = EncoderClassifier(pretrained.model, len(space), config.pooling, config.dropout)
    encoder = RowEncoder(pretrained.tokenizer, config.input, pretrained.pad_id)
    encoded = encoder.encode(pairs(task.train))
    data = _train_data(encoder, encoded, {"cells": task.cells})
    run.fit(Supervised(model, _label_loss(config, task)), data, encoder, config.train, accelerator)
    form = _portable(pretrained.model.config.to_diff_dict())
    settings = {"pad_id": pretrained.pad_id, "pooling": config.pooling, "encoder": form}
    how = {"start": "random weights" if config.encoder == "random" else "pre-trained"}
    return run.write(model, encoder, settings, how)


def distil(
    teacher: str | Path | Classifier,
    config: AnyConfig,
    train_rows: Sequence[Row],
    dev_rows: Sequence[Row],
    out: str | Path,
    *,
    transfer: Sequence[Row] = (),
    no_teacher: bool = False,
    force: bool = False,
) -> Path:
    """Trains a student on labels and the teacher's cached logits.

    Args:
        teacher: An encoder's bundle; its label space and tokenizer are the student's too.
        config: The student.
        train_rows: Labelled rows.
        dev_rows: Labelled rows for choosing the epoch and the thresholds.
        out: The bundle's place.
        transfer: Rows that only the teacher labels; labels that they carry are not looked at.
        no_teacher: Train the control: same student, same steps, no logits and (``embedding: auto``) no copied embedding.
        force: Begin anew, even if the same run is finished or an interrupted one is there.

    Returns:
        The bundle's folder.

    Raises:
        DataError: If the rows do not fit the teacher's label space.
        ConfigError: If the configuration is no student's.
        BundleError: If ``teacher`` is no encoder's bundle, or ``out`` is taken by something else.
    """
    if not isinstance(config, BiGRUConfig):
        raise ConfigError(f"{config.kind!r} is no student", hint="use bigru-a or bigru-b, or duobiao train for this one")
    loaded = teacher if isinstance(teacher, Classifier) else Classifier.load(teacher)
    if not isinstance(loaded.backend, TorchBackend) or not isinstance(loaded.backend.model, EncoderClassifier):
        raise BundleError(
            f"{loaded.bundle.name}: a {loaded.bundle.kind} bundle has no embedding and tokenizer to hand on",
            hint="give the bundle of a Transformer encoder as --teacher",
        )
    if no_teacher and transfer:
        raise ConfigError("transfer rows have no labels but the teacher's", hint="leave out --transfer or --no-teacher")
    config = config.model_copy(update={"input": loaded.input})
    task = Task.check(config, train_rows, dev_rows, loaded.space)
    out = Path(out)
    run = _Run(config, task, out, force, transfer, "" if no_teacher else loaded.bundle.digest)
    if run.is_done():
        return out
    accelerator = run.start(config.train)
    encoder = loaded.backend.encoder
    model = _student(config, loaded.backend.model, len(task.space), no_teacher)
    rows = [*task.train, *transfer]
    cells = np.concatenate([task.cells, _open_cells(loaded, transfer)])
    arrays: dict[str, npt.NDArray[Any]] = {"cells": cells}
    label_loss = _label_loss(config, task)
    objective: Objective = Supervised(model, label_loss)
    model.start_output(_prior_logits(task.cells, task.space))
    if not no_teacher:
        with accelerator.main_process_first():
            arrays["teacher"] = soft_labels(loaded, rows, out.parent / ".soft_labels")
        model.start_output(_mean_logits(arrays["teacher"], cells))
        weights = (config.logits_weight, config.label_weight)
        objective = LogitsDistillation(model, label_loss, LogitsLoss(task.space), *weights)
    data = _train_data(encoder, encoder.encode(pairs(rows)), arrays)
    run.fit(objective, data, encoder, config.train, accelerator)
    how = {"teacher": "none (control)" if no_teacher else loaded.bundle.name, "transfer_rows": len(transfer)}
    return run.write(model, encoder, {"pad_id": encoder.pad_id, **model.settings()}, how)


class _Run:
    """The bookkeeping that every system shares: where a run lives, whether it is done, how its bundle is written."""

    def __init__(
        self, config: AnyConfig, task: Task, out: Path, force: bool, transfer: Sequence[Row] = (), teacher: str = ""
    ) -> None:
        self.config, self.task, self.out = config, task, out
        self.workdir = out.with_name(out.name + ".run")
        self.force = force
        described = [config.model_dump(mode="json"), task.space.to_dict(), rows_digest(task.train), rows_digest(task.dev)]
        described += [rows_digest(transfer), teacher]
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
            if mark.is_file() and mark.read_text(encoding="utf-8") != self.digest:
                raise ConfigError(
                    f"{self.workdir} holds an interrupted run with other rows or settings",
                    hint="give another --out, or --force to begin anew",
                )
            self.workdir.mkdir(parents=True, exist_ok=True)
            mark.write_text(self.digest, encoding="utf-8")
        accelerator.wait_for_everyone()
        set_seed(settings.seed)
        return accelerator

    def fit(
        self, objective: Objective, data: TrainData, encoder: RowEncoder, settings: TrainSettings, accelerator: Accelerator
    ) -> None:
        """Trains; the student then holds its best weights."""
        task, rules = self.task, self.config.thresholds
        dev = encoder.encode(pairs(task.dev))
        objective.to(accelerator.device)

        def evaluate(model: nn.Module) -> dict[str, float]:
            logits = _gathered_logits(model, encoder, dev, len(task.space), accelerator)
            proba = probabilities(logits, task.space)
            thresholds = tune(proba, task.dev_cells, task.space, rules)
            found = _scores(proba, task.dev_cells, Decoder(task.space, thresholds, rules))
            return {"score": found["micro_f1"], "micro_f1": found["micro_f1"], "macro_f1": found["macro_f1"] or 0.0}

        label = f"{self.config.name or self.config.kind}"
        fit(objective, data, evaluate, settings, self.workdir, accelerator=accelerator, label=label)
        self.dev_logits = _gathered_logits(objective.student, encoder, dev, len(task.space), accelerator)
        self.accelerator = accelerator

    def write_linear(self, config: LinearConfig) -> Path:
        """Fits and writes the linear baseline."""
        task = self.task
        backend = fit_linear(config, task.space, (pairs(task.train), task.cells), (pairs(task.dev), task.dev_cells))
        model, files, weights = backend.stored()
        self._write(backend.logits(pairs(task.dev)), model, files, weights, {})
        return self.out

    def write(self, model: nn.Module, encoder: RowEncoder, settings: dict[str, Any], how: dict[str, Any]) -> Path:
        """Writes a torch model's bundle and removes the folder of the run."""
        if self.accelerator.is_main_process:
            weights = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
            files = {TOKENIZER: encoder.tokenizer.to_str()}
            history = self.workdir / METRICS
            if history.is_file():
                files[METRICS] = history.read_text(encoding="utf-8")
            self._write(self.dev_logits, settings, files, weights, how)
            for path in self.workdir.iterdir():
                if path.is_file():
                    path.unlink()
            if not any(self.workdir.iterdir()):  # a tracker's curves stay
                self.workdir.rmdir()
        self.accelerator.wait_for_everyone()
        return self.out

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
        dev = _scores(proba, task.dev_cells, Decoder(task.space, thresholds, rules))
        parameters = int(sum(array.size for array in weights.values()))
        metrics = {"dev": dev, "train_rows": len(task.train), "parameters": parameters, "made_by": __version__, **how}
        bundle = Bundle(
            kind=self.config.kind,
            name=self.config.name or self.config.kind,
            space=task.space,
            input=self.config.input.model_dump(mode="json"),
            model=model,
            thresholds=thresholds_to_dict(thresholds, rules, task.space),
            metrics=metrics,
            config=self.config.model_dump(mode="json"),
            files=files,
            weights=weights,
            run=self.digest,
        )
        write_bundle(self.out, bundle)


# ---- pieces ----------------------------------------------------------------------------------------


def pairs(rows: Sequence[Row]) -> list[Pair]:
    """(text, context) of rows; an empty context is none, as in ``Classifier``."""
    return [(row.text, row.context or None) for row in rows]


def _scores(proba: Floats, cells: Targets, decoder: Decoder) -> dict[str, Any]:
    found = score(cells, decoder.decide(proba, cells != UNASKED), decoder.space)
    return {name: value for name, value in found.items() if name != "per_label"}


def _train_data(encoder: RowEncoder, encoded: Encoded, arrays: dict[str, npt.NDArray[Any]]) -> TrainData:
    def collate(rows: Ids) -> dict[str, npt.NDArray[Any]]:
        return {**encoder.pad(encoded, rows), **{name: array[rows] for name, array in arrays.items()}}

    return TrainData(encoded.lengths, collate)


def _gathered_logits(
    model: nn.Module, encoder: RowEncoder, encoded: Encoded, labels: int, accelerator: Accelerator
) -> npt.NDArray[np.float32]:
    """Logits of all rows, each computed by exactly one process."""
    mine = np.arange(accelerator.process_index, len(encoded), accelerator.num_processes)
    found = gather_object([(mine, compute_logits(model, encoder, encoded, labels, rows=mine))])
    result = np.zeros((len(encoded), labels), dtype=np.float32)
    for rows, logits in found:
        result[rows] = logits
    return result


def _label_loss(config: TeacherConfig | BiGRUConfig, task: Task) -> LabelLoss:
    settings = config.loss
    weights = positive_weights(task.cells, task.space, settings.pos_weight_max) if settings.pos_weight else None
    return LabelLoss(task.space, settings, weights)


def _open_cells(teacher: Classifier, rows: Sequence[Row]) -> Targets:
    """Cells of rows without labels: all unknown where the teacher answers."""
    asked = teacher.asked([row.context or None for row in rows])
    return np.where(asked, UNKNOWN, UNASKED).astype(np.int8)


def _student(config: BiGRUConfig, teacher: EncoderClassifier, labels: int, no_teacher: bool) -> BiGRUClassifier:
    weight = teacher.word_embedding().cpu()
    copied = config.embedding == "teacher" or (config.embedding == "auto" and not no_teacher)
    width = weight.shape[1] if copied or config.embedding == "auto" else config.embedding_width
    model = BiGRUClassifier(
        weight.shape[0], width, labels, hidden=config.hidden, fc=config.fc, model=config.model, dropout=config.dropout
    )
    start = weight if copied else torch.randn(weight.shape[0], width) * weight.std()
    model.start_embedding(start)
    model.embedding.weight.requires_grad_(config.train_embedding or not copied)
    return model


def _prior_logits(cells: Targets, space: LabelSpace) -> torch.Tensor:
    """Logits of the labels' frequencies over known cells, ``(labels,)``: log-odds, inside a group log-shares."""
    true, false = (cells == 1).sum(0) + 0.5, (cells == 0).sum(0) + 0.5
    logits = np.log(true / false)
    for group, columns in zip(space.groups, space.slices, strict=True):
        none = ((cells[:, columns] == 0).all(axis=1)).sum() + 0.5
        logits[columns] = np.log(true[columns] / (none if group.at_most_one else true[columns].mean()))
    return torch.tensor(logits, dtype=torch.float32)


def _mean_logits(teacher: npt.NDArray[np.float32], cells: Targets) -> torch.Tensor:
    """The teacher's mean logits over asked cells, ``(labels,)``."""
    asked = cells != UNASKED
    return torch.tensor((teacher * asked).sum(0) / np.maximum(asked.sum(0), 1), dtype=torch.float32)


def _check_length(config: TeacherConfig, encoder: Any) -> None:
    most = int(getattr(encoder, "max_position_embeddings", 0) or 0)
    if encoder.model_type in {"roberta", "xlm-roberta", "camembert"}:
        most -= int(encoder.pad_token_id or 0) + 1  # their positions start after the padding id
    if most and config.input.max_length > most:
        raise ConfigError(
            f"input.max_length is {config.input.max_length}, but the encoder reads {most} tokens at most",
            hint=f"--set input.max_length={most}",
        )


def _portable(encoder: dict[str, Any]) -> dict[str, Any]:
    """The encoder's configuration without traces of where it was loaded from."""
    foreign = {"_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"}
    return {name: value for name, value in encoder.items() if name not in foreign}
