"""Continued pre-training: an encoder goes on guessing masked words, in the user's own text (arXiv 2004.10964).

What comes out is a folder in Hugging Face's form, with the encoder's own tokens and its masked-LM head; a teacher is trained
from it like from any other encoder.
"""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedModel

from duobiao import progress
from duobiao.config import AdaptConfig, GeneralConfig, TrainSettings
from duobiao.data.plain_text import check_texts, lines_of
from duobiao.errors import ConfigError
from duobiao.models.encoder_files import VOCABULARIES
from duobiao.models.internals import layer_count
from duobiao.models.mlm import WithHead, load_with_head, longest_input
from duobiao.models.pretrained import Pretrained, folder_digest, quiet, sources_digest
from duobiao.models.tokenizer_files import save_tokenizer
from duobiao.outputs import check_outputs
from duobiao.train.general import preparer, text_encoder, whole_tokenizer
from duobiao.train.masked import AlignedDistillation, MaskedLanguageModel, base_of
from duobiao.train.masking import Masker
from duobiao.train.mini import PlainText, segmenter
from duobiao.train.objectives import Objective
from duobiao.train.packed import Packed, pack
from duobiao.train.plain_run import PlainResult, PlainRun, digest, once, plain_settings
from duobiao.train.units import Reader

NOTE = "adapt.json"
_BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")
_EVALUATIONS, _SHARE = 100, 0.1
"""Evaluations of a run at most, and the share of training's work that they may take; but four in any case."""
_FORWARD = 3
"""What a training step costs, in forward passes."""
_PROBES = ("快递坏了，２０２４年5月 3日打给 Abc é！", "“是我”（身份确认）：1/2，龘", "a")
_TOKENS, _TOGETHER = 2000, 20


def adapt(
    encoder: str,
    config: AdaptConfig,
    texts: Sequence[str | Path],
    out: str | Path,
    *,
    column: str = "text",
    revision: str | None = None,
    slice_steps: int | None = None,
    force: bool = False,
) -> PlainResult:
    """Trains an encoder on plain text; an interrupted run goes on from its last checkpoint.

    The head that comes with the encoder goes on guessing; where there is none, a new one is put over the embedding. Of all
    weights on the way those are kept that guess held-out text best, be it the first ones.

    On one CPU the result is the same bit for bit, however often it was interrupted; on a GPU up to the order of its sums.

    Args:
        encoder: Folder or hub name.
        config: Masking, length and pace.
        texts: Text files, as ``lines_of`` reads them, tables among them; labels in them are not looked at.
        out: The adapted encoder's folder.
        column: The column of tables, and the field of JSONL, that holds the text.
        revision: Git revision of the encoder on the hub.
        slice_steps: Take at most so many steps now and leave a checkpoint to go on from.
        force: Begin anew, even if the same run is finished or an interrupted one is there.

    Returns:
        Where the run stands; its notes tell whether the head was ``trained`` or ``new`` (``none``: none is
        learned or kept), and loss and accuracy on held-out text before and after.

    Raises:
        ConfigError: If the configuration cannot be carried out, the encoder has no mask, or another run is in the way.
        DataError: If the texts cannot be read.
    """
    _check_kind(config)
    files = [Path(path) for path in texts]
    check_texts(files, tables=True)
    check_outputs(inputs=[encoder, *files], folders=[("--out", out)])
    corpus = sources_digest([str(path) for path in files])
    dictionary = sources_digest([config.masking.dictionary] if config.masking.dictionary else [])
    described = [config.model_dump(mode="json"), folder_digest(encoder) or [encoder, revision], corpus, column, dictionary]
    run = PlainRun(out, config.text.steps, described, _settings(config, config.text.steps), force, NOTE)
    if before := run.done():
        return before
    accelerator = run.start()
    with run.folder():
        found = load_with_head(encoder, revision)
        check_length(found.model.config, config.text.max_length, "text.max_length")
        masker = Masker.of(found.source.tokenizer, config.masking, config.train.seed)
        packed = once(accelerator, lambda: _pack(found.source, config, files, [corpus, column, dictionary], run.workdir))
        plain = PlainText(packed, masker, found.source.pad_id, found.source.pad_id, config.text.held_out)
        rows = _rows(config, len(plain.rest))
        run.steps = math.ceil(rows / config.text.batch_size)
        run.settings = _settings(config, run.steps, len(plain.held) / rows)
        found.model.fresh = () if found.trained else _of_head(found.model)
        head = "none" if not config.mlm_weight else "trained" if found.trained else "new"
        model = base_of(found.model) if head == "none" else found.model
        objective = _objective(model, config, plain, accelerator.device)
        _say(head, packed, run.steps, rows / len(plain.rest))
        judged = objective if isinstance(objective, AlignedDistillation) and not config.mlm_weight else None
        data, evaluate = plain.training(rows, config.train.seed), plain.evaluation(accelerator.device, judged)
        at = run.fit(objective, data, accelerator, slice_steps=slice_steps, label="adapt", evaluate=evaluate)
        notes: dict[str, Any] = {}
        if at.finished and accelerator.is_main_process:
            notes = _notes(encoder, head, packed, rows / len(plain.rest), plain, run.history())
            notes |= {"kept_step": at.best_total if evaluate else run.steps, "config": config.model_dump(mode="json")}
            notes = run.write_with(model, partial(_keep_tokenizer, found), notes)
        accelerator.wait_for_everyone()
    return PlainResult(run.out, at.total, run.steps, notes)


def check_length(form: Any, length: int, setting: str) -> None:
    """Refuses inputs that are longer than an encoder of this configuration reads."""
    most = longest_input(form)
    if length > most:
        hint = f"set {setting} to {most}"
        raise ConfigError(f"{setting} is {length}, but the encoder reads {most} tokens at most", hint=hint)


def _check_kind(config: AdaptConfig) -> None:
    if isinstance(config, GeneralConfig):
        raise ConfigError(
            f"{config.kind!r} makes a new small encoder", hint="use duobiao general-distil, or a configuration of kind adapt"
        )


def _settings(config: AdaptConfig, steps: int, held: float = 0.0) -> TrainSettings:
    """The loop's settings; ``held`` is the work of an evaluation, in sequences trained on.

    A new head may learn faster than the encoder.
    """
    text = config.text
    settings = plain_settings(config.train, steps, text.batch_size, text.lr, text.warmup)
    often = max(4, min(_EVALUATIONS, int(_SHARE * _FORWARD / held))) if held else _EVALUATIONS
    return settings.model_copy(update={"head_lr": config.train.head_lr, "evaluate_every": max(1, math.ceil(steps / often))})


def _rows(config: AdaptConfig, sequences: int) -> int:
    """Sequences to train on: what steps or passes allow, whichever is less."""
    most = config.text.steps * config.text.batch_size
    return most if config.text.epochs is None else min(most, config.text.epochs * sequences)


def _pack(source: Pretrained, config: AdaptConfig, files: Sequence[Path], named: Sequence[str], workdir: Path) -> Packed:
    encoder, length = text_encoder(source.tokenizer, config.input, source.pad_id), config.text.max_length
    tokenizer, (_, column, _) = whole_tokenizer(encoder), named
    form = [bool(config.hidden_weight), config.masking.words]
    described = [*named, length, *form, encoder.settings.model_dump(mode="json"), tokenizer.to_str()]
    other = tokenizer if config.hidden_weight else None
    reader = Reader(tokenizer, preparer(encoder), segmenter(config.masking), other)
    lines = partial(lines_of, column=column)
    return pack(files, reader, length, workdir / "corpus", digest(described), lines)


def _objective(model: PreTrainedModel, config: AdaptConfig, plain: PlainText, device: torch.device) -> Objective:
    """Masked words, the encoder's own states as they were, or both."""
    if not config.hidden_weight:
        return MaskedLanguageModel(model).to(device)
    before = copy.deepcopy(base_of(model)).to(device).requires_grad_(False)
    layers = range(1, layer_count(model.config) + 1)
    objective = AlignedDistillation(model, before, layers, config.mlm_weight, config.hidden_weight).to(device)
    objective.measure(plain.sample(device))
    objective.start_as_it_is()
    return objective


def _of_head(model: Any) -> tuple[str, ...]:
    """Names of parameters that are no part of the encoder."""
    inside = {id(parameter) for parameter in model.base_model.parameters()}
    return tuple(name for name, parameter in model.named_parameters() if id(parameter) not in inside)


_HEADS = {
    "trained": "its masked-LM head goes on",
    "new": "it has no masked-LM head: a new one is learned with it (--config adapt-states learns without)",
    "none": "no masked-LM head is learned or kept",
}


def _say(head: str, packed: Packed, steps: int, passes: float) -> None:
    text = f"{len(packed)} sequences of {packed.lengths.mean():.0f} tokens"
    progress.say(f"{text}; {steps} steps are {passes:.1f} passes; {_HEADS[head]}")


def _notes(
    encoder: str, head: str, packed: Packed, passes: float, plain: PlainText, history: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    losses = [line["loss"] for line in history if "loss" in line]
    return {
        "encoder": encoder,
        "head": head,
        "sequences": len(packed),
        "tokens": int(packed.lengths.sum()),
        "passes": round(passes, 3),
        "train": {"first_loss": losses[0], "last_loss": losses[-1]},
        "held_out": plain.told(history),
    }


def _keep_tokenizer(found: WithHead, folder: Path) -> None:
    """The encoder's own files where transformers reads them as we do; else what we read, as a ``tokenizer.json``."""
    for name in (*VOCABULARIES, *_BESIDE):
        if (found.folder / name).is_file():
            shutil.copyfile(found.folder / name, folder / name)
    if not _reads_alike(folder, found.source):
        save_tokenizer(found.source.tokenizer, found.source.pad_id, longest_input(found.model.config), folder)


def _reads_alike(folder: Path, source: Pretrained) -> bool:
    try:
        with quiet():
            theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            same = all(theirs(text)["input_ids"] == source.tokenizer.encode(text).ids for text in _probes(source.tokenizer))
            return bool(same and theirs.pad_token_id == source.pad_id and theirs.mask_token_id is not None)
    except Exception:  # its class is not known, or a file that it wants is not there
        return False


def _probes(tokenizer: Tokenizer) -> Iterator[str]:
    """Texts that tell tokenizers apart: some of all kinds, and tokens from all over the vocabulary."""
    yield from _PROBES
    tokens = sorted(tokenizer.get_vocab())
    some = [tokens[at].strip("#▁Ġ") for at in np.linspace(0, len(tokens) - 1, min(_TOKENS, len(tokens))).astype(int)]
    for start in range(0, len(some), _TOGETHER):
        yield " ".join(some[start : start + _TOGETHER])
