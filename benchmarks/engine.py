"""Speed of exported bundles against the teacher in the ordinary transformers pipeline, text in, decisions out, in one run.

    python benchmarks/engine.py --teacher runs/teacher --system fp32=runs/teacher.onnx --system int8=runs/teacher.int8 \
        --system bigru-a=runs/bigru-a.onnx --data test.jsonl --json engine.json

Every round times all systems one after the other, on the same rows in the same random order; figures are medians over rounds
of the ratio within a round. The peak is that of PyTorch's float32 matrix product at the shapes of the teacher's layers, with as
many threads, in the same rounds. Operations are counted for true tokens alone.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TextClassificationPipeline, logging
from transformers.modeling_outputs import SequenceClassifierOutput

from duobiao.classifier import Classifier
from duobiao.data.read import read_rows
from duobiao.models.engine import cores

BATCH = 32
MORE = 8
"""Students answer the rows so many times over, for one pass is too short to time."""


class Published(PreTrainedModel):
    """The teacher as transformers would have it: encoder, pooling and output layer behind one ``forward``."""

    _supports_sdpa = True

    def __init__(self, config: Any, classifier: nn.Module) -> None:
        super().__init__(config)
        self.classifier = classifier

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None, **_: Any) -> SequenceClassifierOutput:
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        return SequenceClassifierOutput(logits=self.classifier(input_ids, attention_mask, types))


def make_pipeline(teacher: Classifier) -> TextClassificationPipeline:
    backend: Any = teacher.backend
    config = backend.model.encoder.config
    config.id2label = dict(enumerate(teacher.labels))
    config.label2id = {name: number for number, name in enumerate(teacher.labels)}
    words = backend.encoder.tokenizer
    pad = words.id_to_token(backend.encoder.pad_id)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token=pad, model_max_length=teacher.input.max_length)
    return TextClassificationPipeline(
        model=Published(config, backend.model).eval(), tokenizer=tokenizer, top_k=None, function_to_apply="sigmoid"
    )


def ask_pipeline(pipe: TextClassificationPipeline, teacher: Classifier, texts: list[str]) -> list[list[str]]:
    """Decisions by the teacher's thresholds; the pipeline knows no groups, whose labels it says from 0.5 on."""
    limits = dict(zip(teacher.space.independent, teacher.decoder.thresholds.tolist(), strict=True))
    found = pipe(texts, batch_size=BATCH, truncation=True)
    return [[one["label"] for one in row if one["score"] >= limits.get(one["label"], 0.5)] for row in found]


def operations(system: Classifier, lengths: np.ndarray) -> float:
    """Two for a multiplication with addition, over true tokens; norms, activations and softmax are left out."""
    model, tokens, labels = system.bundle.model, lengths.astype(np.float64), len(system.space)
    if "encoder" in model:
        form = model["encoder"]
        width, inner, layers = form["hidden_size"], form["intermediate_size"], form["num_hidden_layers"]
        layer = 2 * (4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * inner)
        return float((layers * layer + 2 * width * labels).sum())
    width = model.get("width", 0)
    if "hidden" in model:
        hidden, gates = model["hidden"], 4 if system.bundle.kind == "bilstm" else 3
        row = hidden * (4 if model.get("model") == "A" else 2)
        return float(
            (2 * tokens * 2 * gates * hidden * (width + hidden) + 2 * (row * model["fc"] + model["fc"] * labels)).sum()
        )
    if "widths" in model:
        filters, row = model["filters"], model["filters"] * len(model["widths"])
        return float((2 * tokens * width * filters * sum(model["widths"]) + 2 * row * labels).sum())
    return float("nan")


def peak(width: int, inner: int, seconds: float = 0.4) -> float:
    """Operations a second of a product ``(1024, width) (width, inner)``."""
    left, right = torch.randn(1024, width), torch.randn(width, inner)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        left @ right
        count += 1
    return 2 * 1024 * width * inner * count / (time.perf_counter() - began)


def profile(system: Classifier, texts: list[str], rounds: int) -> dict[str, float]:
    """Shares of the time: text to ids, ids to logits, logits to decisions."""
    backend: Any = system.backend
    pairs = [(text, None) for text in texts]
    if not hasattr(backend, "encoder") or not hasattr(backend, "answer"):
        return {}
    shares = []
    for _ in range(rounds):
        marks = [time.perf_counter()]
        encoded = backend.encoder.encode(pairs)
        marks.append(time.perf_counter())
        logits = backend.answer(encoded)
        marks.append(time.perf_counter())
        answered = Classifier(system.bundle, Answered(logits, backend.parameters))
        began = time.perf_counter()
        answered.predict(texts)
        spent = [marks[1] - marks[0], marks[2] - marks[1], time.perf_counter() - began]
        shares.append(np.array(spent) / sum(spent))
    return dict(zip(("tokenise", "compute", "postprocess"), np.median(shares, axis=0).round(4).tolist(), strict=True))


class Answered:
    """A backend that knows the answer."""

    def __init__(self, logits: np.ndarray, parameters: int) -> None:
        self.found, self.parameters = logits, parameters

    def logits(self, pairs: Any, label: str = "", features: Any = None) -> np.ndarray:
        return self.found


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--system", action="append", default=[], help="NAME=FOLDER")
    parser.add_argument("--data", required=True)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(cores())
    logging.set_verbosity_error()  # the pipeline does not know the class Published, and says so at length
    teacher = Classifier.load(given.teacher)
    systems = {"torch": teacher, **{one.partition("=")[0]: Classifier.load(one.partition("=")[2]) for one in given.system}}
    rows = read_rows(given.data, labelled=False)
    order = np.random.default_rng(0).permutation(len(rows))[: given.rows]
    texts = list(dict.fromkeys(rows[number].text for number in order))
    pipe = make_pipeline(teacher)
    wanted = [one.labels for one in teacher.predict(texts[:64])]
    same = sum(set(a) == set(b) for a, b in zip(ask_pipeline(pipe, teacher, texts[:64]), wanted, strict=True))
    print(
        f"{len(texts)} rows, {cores()} threads, load {os.getloadavg()[0]:.1f}; pipeline decides {same} of 64 rows as the bundle"
    )
    form = teacher.bundle.model["encoder"]
    lengths = {name: lengths_of(system, texts) for name, system in systems.items()}
    many = {
        name: [f"{text}{' ' * turn}" for turn in range(1 if is_deep(system) else MORE) for text in texts]
        for name, system in systems.items()
    }
    times: dict[str, list[float]] = {name: [] for name in ("pipeline", "peak", *systems)}
    for number in range(-1, given.rounds):
        found = {"pipeline": timed(lambda: ask_pipeline(pipe, teacher, texts)) / len(texts)}
        found["peak"] = peak(form["hidden_size"], form["intermediate_size"])
        for name, system in systems.items():
            found[name] = timed(lambda s=system, t=many[name]: s.predict(t)) / len(many[name])
        for name in times:
            times[name] += [found[name]] if number >= 0 else []
        print({name: round(value if name == "peak" else 1 / value, 1) for name, value in found.items()}, flush=True)
    base, most = np.array(times["pipeline"]), np.array(times["peak"])
    own = operations(teacher, lengths["torch"]) / len(texts)
    lines = [
        {
            "system": "pipeline",
            "ratio": 1.0,
            "rows_per_s": float(1 / np.median(base)),
            "peak": float(np.median(own / base / most)),
        }
    ]
    for name, system in systems.items():
        spent = np.array(times[name])
        share = operations(system, lengths[name]) / len(texts) / spent / most
        lines.append(
            {
                "system": name,
                "ratio": float(np.median(base / spent)),
                "rows_per_s": float(1 / np.median(spent)),
                "peak": float(np.median(share)),
                "profile": profile(system, many[name], 3),
            }
        )
    for line in lines:
        print(line)
    if given.json:
        told = {"rows": len(texts), "tokens": float(lengths["torch"].mean()), "threads": cores(), "rounds": given.rounds}
        given.json.write_text(json.dumps({**told, "systems": lines, "times": times}, indent=1) + "\n", encoding="utf-8")


def is_deep(system: Classifier) -> bool:
    return "encoder" in system.bundle.model


def lengths_of(system: Classifier, texts: list[str]) -> np.ndarray:
    encoder: Any = getattr(system.backend, "encoder", None)
    return np.zeros(len(texts)) if encoder is None else encoder.encode([(text, None) for text in texts]).lengths


if __name__ == "__main__":
    main()
