"""General distillation: a small encoder learns from the inside of a large one on plain text (arXiv 1909.10351, section 3.2).

What comes out is a folder in Hugging Face's form. It starts task distillation (``start: general``), and is an encoder like
any other to train a teacher from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from duobiao.config import InputSettings, TinyBERTConfig
from duobiao.data.encode import RowEncoder
from duobiao.data.plain_text import check_texts
from duobiao.errors import ConfigError
from duobiao.models.internals import layer_count
from duobiao.models.mlm import longest_input
from duobiao.models.pretrained import Pretrained, folder_digest, load_pretrained, sources_digest
from duobiao.models.shrink import check_smaller, make_encoder, small_form, start_at_layers
from duobiao.outputs import check_outputs
from duobiao.train.intermediate import IntermediateDistillation, map_layers
from duobiao.train.loop import TrainData
from duobiao.train.packed import Packed, pack
from duobiao.train.plain_run import PlainResult, PlainRun, digest, drawn, once, plain_settings
from duobiao.train.units import Reader


def general_distil(
    teacher: str,
    config: TinyBERTConfig,
    texts: Sequence[str | Path],
    out: str | Path,
    *,
    revision: str | None = None,
    slice_steps: int | None = None,
    force: bool = False,
) -> PlainResult:
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
    files, general = [Path(path) for path in texts], config.general
    check_texts(files)
    check_outputs(inputs=[teacher, *files], folders=[("--out", out)])
    corpus = sources_digest([str(path) for path in files])
    settings = plain_settings(config.train, general.steps, general.batch_size, general.lr, general.warmup)
    described = [config.model_dump(mode="json"), folder_digest(teacher) or [teacher, revision], corpus]
    run = PlainRun(out, general.steps, described, settings, force)
    if before := run.done():
        return before
    accelerator = run.start()
    with run.folder():
        source = load_pretrained(teacher, revision)
        student, objective = _objective(source, config)
        packed = once(accelerator, lambda: _pack(source, config, files, corpus, run.workdir))
        objective.to(accelerator.device)
        source.model.to(accelerator.device)
        data = training_data(packed, general.steps * general.batch_size, settings.seed, source.pad_id)
        at = run.fit(objective, data, accelerator, slice_steps=slice_steps, label="general")
        notes = {"sequences": len(packed), "config": config.model_dump(mode="json")}
        if at.finished and accelerator.is_main_process:
            notes = run.write(student, source.tokenizer, source.pad_id, notes)
        accelerator.wait_for_everyone()
    return PlainResult(run.out, at.total, general.steps, notes if at.finished else {})


def training_data(packed: Packed, rows: int, seed: int, pad_id: int) -> TrainData:
    """Sequences in random order, pass after pass over all of them, until there are ``rows``."""
    order = drawn(np.arange(len(packed)), rows, seed)
    return TrainData(packed.lengths[order], lambda chosen: packed.batch(order[chosen], pad_id))


def _objective(source: Pretrained, config: TinyBERTConfig) -> tuple[PreTrainedModel, IntermediateDistillation]:
    form, kept = small_form(source.model.config, **config.shape.model_dump(), dropout=config.dropout), None
    check_positions(source, config.general.max_length)
    layers = map_layers(config.layer_map, config.shape.layers, layer_count(source.model.config))
    student = make_encoder(form)
    if config.start == "layers":
        check_smaller(source.model.config, form)
        kept = start_at_layers(student, source.model, layers)
    return student, IntermediateDistillation(student, student, source.model, layers, config.intermediate, kept=kept)


def check_positions(source: Pretrained, length: int) -> None:
    """Refuses sequences that are longer than the encoder reads."""
    most = longest_input(source.model.config)
    if length > most:
        raise ConfigError(f"the encoder reads {most} tokens at most", hint=f"set max_length to {most}")


def whole_tokenizer(encoder: RowEncoder) -> Tokenizer:
    """A row encoder's tokenizer without truncation."""
    tokenizer = Tokenizer.from_str(encoder.tokenizer.to_str())
    tokenizer.no_truncation()
    return tokenizer


def text_encoder(tokenizer: Tokenizer, input: InputSettings, pad_id: int) -> RowEncoder:
    """Cleans plain text as rows are cleaned."""
    return RowEncoder(tokenizer, input.model_copy(update={"context": "none"}), pad_id)


def preparer(encoder: RowEncoder) -> Callable[[str], str]:
    """Cleans a line."""
    return lambda text: encoder.inputs([(text, None)])[0][0][0]


def _pack(source: Pretrained, config: TinyBERTConfig, files: Sequence[Path], corpus: str, workdir: Path) -> Packed:
    length = config.general.max_length
    encoder = text_encoder(source.tokenizer, config.input, source.pad_id)
    tokenizer = whole_tokenizer(encoder)
    name = digest([corpus, length, encoder.settings.model_dump(mode="json"), tokenizer.to_str()])
    return pack(files, Reader(tokenizer, preparer(encoder)), length, workdir / "corpus", name)
