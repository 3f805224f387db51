"""A small encoder with tokens of its own, from plain text: masked words, and a teacher that reads along.

After arXiv 1909.10351, section 3.2 (general distillation) and arXiv 1906.08101 (whole words masked). ``duobiao-mini`` is made
with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModelForMaskedLM, PreTrainedModel

from duobiao.config import GeneralConfig, MaskingSettings
from duobiao.data.encode import Ids
from duobiao.data.plain_text import check_texts, lines_of
from duobiao.data.segmenter import Cut, make_jieba
from duobiao.data.write import write_text
from duobiao.errors import ConfigError
from duobiao.models.internals import layer_count
from duobiao.models.own_vocabulary import character_tokenizer, embedding_for, read_tokenizer
from duobiao.models.pretrained import Pretrained, folder_digest, load_pretrained, sources_digest
from duobiao.models.shrink import check_smaller, make_encoder, small_form, start_at_layers
from duobiao.outputs import check_outputs
from duobiao.train.general import check_positions, preparer, text_encoder, whole_tokenizer
from duobiao.train.intermediate import map_layers
from duobiao.train.loop import Evaluate, TrainData
from duobiao.train.masked import AlignedDistillation, base_of, encoder_inputs, guess_loss
from duobiao.train.masking import NOT_ASKED, Masker
from duobiao.train.objectives import Batch
from duobiao.train.packed import Packed, pack
from duobiao.train.plain_run import PlainResult, PlainRun, digest, drawn, once, plain_settings
from duobiao.train.units import NO_PIECE, NO_WORD, Reader

_MEASURED, _SCORED = 8, 64
"""Batches that the teacher's mean is taken from; sequences a batch when the loss is measured."""
TOKENIZER = "tokenizer.json"


def make_encoder_from(
    teacher: str,
    config: GeneralConfig,
    texts: Sequence[str | Path],
    out: str | Path,
    *,
    revision: str | None = None,
    slice_steps: int | None = None,
    force: bool = False,
) -> PlainResult:
    """Makes a small encoder from plain text and a teacher; an interrupted run goes on from its last checkpoint.

    On one CPU the result is the same bit for bit, however often it was interrupted; on a GPU up to the order of its sums.

    Args:
        teacher: Folder or hub name of the encoder to learn from, as it came from pre-training.
        config: The encoder to make.
        texts: Text files, as ``lines_of`` reads them.
        out: The encoder's folder.
        revision: Git revision of the teacher on the hub.
        slice_steps: Take at most so many steps now and leave a checkpoint to go on from.
        force: Begin anew, even if the same run is finished or an interrupted one is there.

    Returns:
        Where the run stands; its notes tell the losses on held-out text at the beginning and at the end.

    Raises:
        ConfigError: If the configuration cannot be carried out, or another run is in the way.
        DataError: If the texts cannot be read.
    """
    files, text = [Path(path) for path in texts], config.text
    check_texts(files)
    check_outputs(inputs=[teacher, *files], folders=[("--out", out)])
    named = [path for path in (config.vocabulary.tokenizer, config.masking.dictionary) if path]
    corpus = sources_digest([str(path) for path in files])
    settings = plain_settings(config.train, text.steps, text.batch_size, text.lr, text.warmup)
    described = [config.model_dump(mode="json"), folder_digest(teacher) or [teacher, revision], corpus, sources_digest(named)]
    run = PlainRun(out, text.steps, described, settings, force)
    if before := run.done():
        return before
    accelerator = run.start()
    with run.folder():
        source = load_pretrained(teacher, revision)
        check_positions(source, text.max_length)
        tokenizer = once(accelerator, lambda: _tokenizer(config, source, files, run.workdir / TOKENIZER))
        pad = source.pad_id if config.vocabulary.kind == "teacher" else int(tokenizer.token_to_id("[PAD]") or 0)
        student, layers = _student(config, source, tokenizer, pad)
        corpora = Corpora(config, source, tokenizer, pad, files, corpus, run.workdir / "corpus")
        packed = once(accelerator, corpora.pack)
        plain = PlainText(packed, Masker.of(tokenizer, config.masking, settings.seed), pad, source.pad_id, text.held_out)
        objective = AlignedDistillation(student, source.model, layers, config.mlm_weight, config.hidden_weight)
        objective.to(accelerator.device)
        source.model.to(accelerator.device)
        objective.measure(plain.sample(accelerator.device))
        data = plain.training(text.steps * text.batch_size, settings.seed)
        evaluate = plain.evaluation(accelerator.device, objective)
        at = run.fit(objective, data, accelerator, slice_steps=slice_steps, label="general", evaluate=evaluate)
        notes: dict[str, Any] = {}
        if at.finished and accelerator.is_main_process:
            notes = {"sequences": len(packed), "config": config.model_dump(mode="json"), "held_out": plain.told(run.history())}
            notes = run.write(student, tokenizer, pad, notes, half=config.half)
        accelerator.wait_for_everyone()
    return PlainResult(run.out, at.total, text.steps, notes)


def segmenter(settings: MaskingSettings) -> Cut:
    """What parts a text into the words that are masked as a whole; characters where every token stands for itself."""
    if settings.words == "tokens":
        return list
    words: tuple[str, ...] = ()
    if settings.dictionary:
        check_texts([Path(settings.dictionary)])
        words = tuple(lines_of(Path(settings.dictionary)))
    cut: Cut = make_jieba(words).cut
    return cut


class PlainText:
    """Packed text as the loop wants it: masked, and with what the teacher reads where it reads along.

    Args:
        packed: The sequences.
        masker: Draws the words to guess.
        pad_id: Fills short sequences.
        other_pad: Fills the teacher's.
        held_out: Sequences kept back to measure the loss on, a tenth of all at most.
    """

    def __init__(self, packed: Packed, masker: Masker, pad_id: int, other_pad: int, held_out: int) -> None:
        self.packed, self.masker, self.pads = packed, masker, (pad_id, other_pad)
        shuffled = np.random.default_rng(masker.seed).permutation(len(packed))
        kept = min(held_out, len(packed) // 10)
        self.held, self.rest = np.sort(shuffled[:kept]), np.sort(shuffled[kept:])

    def training(self, rows: int, seed: int) -> TrainData:
        """``rows`` sequences in random order, pass after pass, none of them held out."""
        order = drawn(self.rest, rows, seed)
        return TrainData(self.packed.lengths[order], lambda chosen: self.batch(order[chosen], chosen))

    def batch(self, rows: Ids, places: Ids) -> dict[str, np.ndarray[Any, Any]]:
        """A batch of sequences, masked as their places in the run say."""
        found = self.packed.batch(rows, self.pads[0])
        words, _ = self.packed.column("words", rows, NO_WORD)
        found["input_ids"], found["targets"] = self.masker(found["input_ids"], words, places)
        if self.packed.has("others"):
            found["other_ids"], found["other_mask"] = self.packed.column("others", rows, self.pads[1])
            pieces, _ = self.packed.column("pieces", rows, NO_PIECE)
            found["pieces"] = np.where(pieces == NO_PIECE, -1, pieces)
        return found

    def tensors(self, rows: Ids, device: torch.device) -> Batch:
        """A batch on a device, with masks that are the same every time."""
        return {name: torch.from_numpy(array).to(device) for name, array in self.batch(rows, rows).items()}

    def sample(self, device: torch.device) -> list[Batch]:
        """Batches from all over the text, the same every time."""
        most = min(_MEASURED * _SCORED, len(self.rest))
        chosen = self.rest[np.linspace(0, len(self.rest) - 1, most).astype(np.int64)]
        return [self.tensors(chosen[start : start + _SCORED], device) for start in range(0, most, _SCORED)]

    def evaluation(self, device: torch.device, distillation: AlignedDistillation | None = None) -> Evaluate | None:
        """Measures the loss on held-out sequences; None where there are too few sequences to hold any back.

        Args:
            device: Where the model is.
            distillation: What is learned, where it is more than masked words.
        """
        if not len(self.held):
            return None

        @torch.no_grad()
        def distilled(_: nn.Module) -> dict[str, float]:
            assert distillation is not None
            sums: dict[str, float] = {}
            for start in range(0, len(self.held), _SCORED):
                found = distillation(self.tensors(self.held[start : start + _SCORED], device))
                sums = {name: sums.get(name, 0.0) + float(values.sum()) for name, values in found.items()}
            means = {name: value / len(self.held) for name, value in sums.items()}
            return {"score": -means["loss"], **{f"held_out_{name}": value for name, value in means.items()}}

        @torch.no_grad()
        def guessed(model: nn.Module) -> dict[str, float]:
            total = right = asked = 0.0
            for start in range(0, len(self.held), _SCORED):
                batch = self.tensors(self.held[start : start + _SCORED], device)
                states = base_of(model)(**encoder_inputs(model, batch)).last_hidden_state
                losses, hits = guess_loss(model, states, batch["targets"])
                counts = (batch["targets"] != NOT_ASKED).sum(1)
                total, right, asked = (
                    total + float((losses * counts).sum()),
                    right + float(hits.sum()),
                    asked + float(counts.sum()),
                )
            loss = total / max(asked, 1.0)
            return {"score": -loss, "held_out_loss": loss, "held_out_accuracy": right / max(asked, 1.0)}

        return guessed if distillation is None else distilled

    def told(self, history: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What was measured on held-out text before and after."""
        scored = [line for line in history if "held_out_loss" in line]
        if not scored:
            return {}
        best = min(scored, key=lambda line: float(line["held_out_loss"]))
        two = (("before", scored[0]), ("after", best))
        start = "held_out_"
        told = {when: {name.removeprefix(start): line[name] for name in line if name.startswith(start)} for when, line in two}
        return {"sequences": len(self.held), **told}


class Corpora:
    """What is packed, for whom."""

    def __init__(
        self,
        config: GeneralConfig,
        source: Pretrained,
        tokenizer: Tokenizer,
        pad: int,
        files: Sequence[Path],
        corpus: str,
        folder: Path,
    ) -> None:
        self.config, self.files, self.folder = config, files, folder
        encoder = text_encoder(tokenizer, config.input, pad)
        whole, other = whole_tokenizer(encoder), whole_tokenizer(text_encoder(source.tokenizer, config.input, source.pad_id))
        self.reader = Reader(whole, preparer(encoder), segmenter(config.masking), other)
        described = [
            corpus,
            config.text.max_length,
            config.masking.model_dump(mode="json"),
            encoder.settings.model_dump(mode="json"),
        ]
        self.name = digest([*described, whole.to_str(), other.to_str()])

    def pack(self) -> Packed:
        return pack(self.files, self.reader, self.config.text.max_length, self.folder, self.name)


def _tokenizer(config: GeneralConfig, source: Pretrained, files: Sequence[Path], kept: Path) -> Tokenizer:
    """The vocabulary: learned once and kept with the run."""
    own = config.vocabulary
    if own.kind == "teacher":
        return source.tokenizer
    if own.tokenizer:
        return read_tokenizer(own.tokenizer)
    if not kept.is_file():
        texts = (line for path in files for line in lines_of(path))
        write_text(kept, character_tokenizer(texts, own.size, source.tokenizer).to_str())
    return read_tokenizer(str(kept))


def _student(
    config: GeneralConfig, source: Pretrained, tokenizer: Tokenizer, pad: int
) -> tuple[PreTrainedModel, tuple[int, ...]]:
    """A model, with a masked-LM head where that learns, begun where the configuration says."""
    form = small_form(source.model.config, **config.shape.model_dump(), dropout=config.dropout)
    layers = map_layers(config.layer_map, config.shape.layers, layer_count(source.model.config))
    begun = make_encoder(form)
    if config.start == "layers":
        check_smaller(source.model.config, form)
        start_at_layers(begun, source.model, layers)
    form.vocab_size, form.pad_token_id, form.tie_word_embeddings = tokenizer.get_vocab_size(), pad, True
    for name, token in (("bos_token_id", "[CLS]"), ("eos_token_id", "[SEP]")):
        if tokenizer.token_to_id(token) is not None:
            setattr(form, name, tokenizer.token_to_id(token))
    model = AutoModelForMaskedLM.from_config(form)
    state = begun.state_dict()
    words = next((name for name in state if name.endswith("word_embeddings.weight")), None)
    if words is None:
        raise ConfigError("the teacher's embedding cannot be found", hint="teach from an encoder of BERT's form")
    if config.vocabulary.kind != "teacher":
        state[words] = embedding_for(tokenizer, source.tokenizer, state[words])
    model.base_model.load_state_dict(state)
    # without its loss a head learns nothing, and would pass for one that did
    return (model if config.mlm_weight else base_of(model)), layers
