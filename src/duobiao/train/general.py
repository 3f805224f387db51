"""General distillation: a small encoder learns from the inside of a large one on plain text (arXiv 1909.10351, section 3.2).

What comes out is a folder in Hugging Face's form. It starts task distillation (``start: general``), and is an encoder like
any other to train a teacher from.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils import set_seed
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from duobiao import __version__, progress
from duobiao.config import InputSettings, TinyBERTConfig, TrainSettings
from duobiao.data.encode import Ids, RowEncoder
from duobiao.data.plain_text import check_texts
from duobiao.errors import ConfigError
from duobiao.models.internals import layer_count
from duobiao.models.pretrained import Pretrained, folder_digest, load_pretrained, sources_digest
from duobiao.models.shrink import check_smaller, make_encoder, small_form, start_at_layers
from duobiao.train.checkpoint import load_state
from duobiao.train.intermediate import IntermediateDistillation, map_layers
from duobiao.train.loop import LAST, METRICS, TrainData, fit, make_accelerator
from duobiao.train.packed import Packed, pack

NOTE = "general.json"
_CURVE = 100
_SPECIAL = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}


@dataclass(frozen=True)
class GeneralResult:
    """Where a general distillation stands.

    Attributes:
        out: The encoder's folder; it is there when ``finished``.
        steps: Optimiser steps behind.
        total: Optimiser steps of the whole run.
    """

    out: Path
    steps: int
    total: int

    @property
    def finished(self) -> bool:
        """Whether the run is at its end."""
        return self.steps >= self.total


def general_distil(
    teacher: str,
    config: TinyBERTConfig,
    texts: Sequence[str | Path],
    out: str | Path,
    *,
    revision: str | None = None,
    slice_steps: int | None = None,
    force: bool = False,
) -> GeneralResult:
    """Teaches a small encoder on plain text; an interrupted run goes on from its last checkpoint, weight for weight.

    Embedding, hidden and attention losses as ``config.intermediate`` weighs them, mapped by ``config.layer_map``; size, steps
    and the rest from ``config.shape``, ``config.general`` and ``config.train`` (seed, precision, token budget, checkpoints).

    Args:
        teacher: Folder or hub name of the encoder to learn from, as it came from pre-training.
        config: The student; ``start`` is ``layers`` or ``random``.
        texts: Text files: ``.txt`` with a text a line, or ``.jsonl`` with ``text``, plain or packed (``.gz``, ``.xz``).
        out: The student's folder.
        revision: Git revision of the teacher on the hub.
        slice_steps: Take at most so many steps now and leave a checkpoint to go on from.
        force: Begin anew, even if the same run is finished or an interrupted one is there.

    Raises:
        ConfigError: If the configuration cannot be carried out, or another run is in the way.
        DataError: If the texts cannot be read.
    """
    if config.start == "general":
        raise ConfigError("a general student cannot start at another one", hint="--set start=layers or random")
    files, place = [Path(path) for path in texts], Path(out)
    check_texts(files)
    corpus = sources_digest([str(path) for path in files])
    name = _digest([config.model_dump(mode="json"), folder_digest(teacher) or [teacher, revision], corpus])
    if not force and _name_of(place) == name:
        progress.say(f"{place}: finished before, with the same texts and settings (--force repeats it)")
        return GeneralResult(place, config.general.steps, config.general.steps)
    if place.exists() and _name_of(place) is None:
        raise ConfigError(f"{place} is there, and no general student", hint="give another --out")
    settings = _settings(config)
    workdir = place.with_name(place.name + ".run")
    accelerator = make_accelerator(settings, workdir)
    if accelerator.is_main_process:
        _claim(workdir, name, force)
    accelerator.wait_for_everyone()
    set_seed(settings.seed)
    source = load_pretrained(teacher, revision)
    student, objective = _objective(source, config)
    with accelerator.main_process_first():
        packed = _pack(source, config, files, corpus, workdir)
    objective.to(accelerator.device)
    source.model.to(accelerator.device)
    done = load_state(workdir / LAST) if slice_steps else None
    stop = None if slice_steps is None else (done["position"]["total"] if done else 0) + slice_steps
    data = training_data(packed, config.general.steps * settings.batch_size, settings.seed, source.pad_id)
    stop = None if stop is None or stop >= config.general.steps else stop
    at = fit(objective, data, None, settings, workdir, accelerator=accelerator, stop_after=stop, label="general")
    result = GeneralResult(place, at.total, config.general.steps)
    if at.finished and accelerator.is_main_process:
        note = {"run": name, "made_by": __version__, "steps": at.total, "sequences": len(packed)}
        _write(place, student, source, {**note, "config": config.model_dump(mode="json")}, workdir)
    accelerator.wait_for_everyone()
    return result


def training_data(packed: Packed, rows: int, seed: int, pad_id: int) -> TrainData:
    """Sequences in random order, pass after pass over all of them, until there are ``rows``."""
    passes = -(-rows // len(packed))
    order: Ids = np.concatenate([np.random.default_rng([seed, one]).permutation(len(packed)) for one in range(passes)])[:rows]
    return TrainData(packed.lengths[order], lambda chosen: packed.batch(order[chosen], pad_id))


def _settings(config: TinyBERTConfig) -> TrainSettings:
    general = config.general
    changes = {"epochs": 1, "batch_size": general.batch_size, "lr": general.lr, "head_lr": None, "warmup": general.warmup}
    every = max(1, general.steps // _CURVE)
    return config.train.model_copy(update={**changes, "patience": None, "evaluate_every": every})


def _objective(source: Pretrained, config: TinyBERTConfig) -> tuple[PreTrainedModel, IntermediateDistillation]:
    form, kept = small_form(source.model.config, **config.shape.model_dump(), dropout=config.dropout), None
    most = int(getattr(source.model.config, "max_position_embeddings", config.general.max_length))
    if config.general.max_length > most:
        raise ConfigError(f"the teacher reads {most} tokens at most", hint=f"--set general.max_length={most}")
    layers = map_layers(config.layer_map, config.shape.layers, layer_count(source.model.config))
    student = make_encoder(form)
    if config.start == "layers":
        check_smaller(source.model.config, form)
        kept = start_at_layers(student, source.model, layers)
    return student, IntermediateDistillation(student, student, source.model, layers, config.intermediate, kept=kept)


def _pack(source: Pretrained, config: TinyBERTConfig, files: Sequence[Path], corpus: str, workdir: Path) -> Packed:
    length, clean = config.general.max_length, config.input.clean
    encoder = RowEncoder(source.tokenizer, InputSettings(context="none", max_length=length, clean=clean), source.pad_id)
    tokenizer = Tokenizer.from_str(encoder.tokenizer.to_str())
    tokenizer.no_truncation()
    name = _digest([corpus, length, encoder.settings.model_dump(mode="json"), tokenizer.to_str()])

    def prepare(text: str) -> str:
        return encoder.inputs([(text, None)])[0][0][0]

    return pack(files, tokenizer, prepare, length, workdir / "corpus", name)


def _digest(described: Any) -> str:
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _name_of(out: Path) -> str | None:
    """The name of the run that made a general student; None where there is none."""
    try:
        return str(json.loads((out / NOTE).read_text(encoding="utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _claim(workdir: Path, name: str, force: bool) -> None:
    mark = workdir / "run.json"
    if force:
        shutil.rmtree(workdir, ignore_errors=True)
    if (workdir / LAST).is_file() and mark.is_file() and mark.read_text(encoding="utf-8") != name:
        raise ConfigError(
            f"{workdir} holds an interrupted run with other texts or settings",
            hint="give another --out, or --force to begin anew",
        )
    workdir.mkdir(parents=True, exist_ok=True)
    mark.write_text(name, encoding="utf-8")


def _write(out: Path, student: PreTrainedModel, source: Pretrained, note: dict[str, Any], workdir: Path) -> None:
    """Writes the folder beside its place and renames it; the run's folder goes."""
    beside = out.with_name(f".{out.name}.{os.getpid()}.part")
    shutil.rmtree(beside, ignore_errors=True)
    student.save_pretrained(beside)
    tokenizer = Tokenizer.from_str(source.tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    special = {
        name: next((one for one in names if tokenizer.token_to_id(one) is not None), None) for name, names in _SPECIAL.items()
    }
    special["pad_token"] = tokenizer.id_to_token(source.pad_id)
    known = {name: token for name, token in special.items() if token is not None}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **known).save_pretrained(beside)
    (beside / NOTE).write_text(json.dumps(note, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(workdir / METRICS, beside / METRICS)
    if out.exists():
        shutil.rmtree(out)
    os.replace(beside, out)
    shutil.rmtree(workdir, ignore_errors=True)
