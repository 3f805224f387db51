"""FastBERT here beside the fastplm package's, on one-label rows: the same encoder, the same rows, the same passes.

    pip install --no-deps fastplm==1.0.0 six
    python benchmarks/fastbert_peer.py ENCODER OUT --data FOLDER [--rows 800] [--dev 200] [--test 400] [--length 64]

FOLDER holds train.jsonl and test.jsonl with one label of two or more a row. ENCODER is fine-tuned here; fastplm is given the
result and its tokens (its own checkpoints lie on a server, and from ENCODER as it is its fit stays at chance with so few rows),
and runs its own fit: one pass for its output layer, then self-distillation, as many passes as ours. Its exit is the paper's,
at a speed that the user guesses, one row at a time; ours is chosen by the dial on the dev rows. All answer each row in turn.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from duobiao.classifier import Classifier
from duobiao.config import load_config
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.write import write_text
from duobiao.evaluate.dial import Aim, dial
from duobiao.labels import LabelSpace
from duobiao.train import recipe

SPEEDS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
EPOCHS, EXIT_EPOCHS = 3, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--dev", type=int, default=200)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--length", type=int, default=64)
    args = parser.parse_args()
    names = sorted({label for row in read_rows(args.data / "train.jsonl") for label in row.labels or ()})
    space = LabelSpace.from_dict({"labels": [], "groups": {"class": {"labels": names}}})
    rows = read_rows(args.data / "train.jsonl", space=space)
    random.Random(0).shuffle(rows)
    train, dev = rows[: args.rows], rows[args.rows : args.rows + args.dev]
    test = read_rows(args.data / "test.jsonl", space=space)
    random.Random(0).shuffle(test)
    test = test[: args.test]
    ours, seconds = fitted(args, space, train, dev)
    theirs, their_seconds = fitted_peer(args, names, train, dev)
    lines = compared(ours, theirs, test, names)
    lines["duobiao"]["seconds"], lines["fastplm"]["seconds"] = seconds, their_seconds
    write_text(args.out / "fastbert_peer.json", json.dumps(lines, ensure_ascii=False, indent=1) + "\n")
    print(json.dumps(lines, ensure_ascii=False, indent=1))


def fitted(args: argparse.Namespace, space: LabelSpace, train: list[Row], dev: list[Row]) -> tuple[Path, float]:
    """Teacher and FastBERT of ours, and the seconds of both."""
    began = time.monotonic()
    settings = [f"encoder={args.encoder}", "pooling=mean", f"input.max_length={args.length}", f"train.epochs={EPOCHS}"]
    settings += ["train.lr=1.0e-4", "train.batch_size=16", "train.head_lr=1.0e-3", "train.patience=null"]
    teacher = args.out / "teacher"
    recipe.train(load_config("teacher-roberta-wwm", settings), train, dev, space, teacher)
    found = args.out / "fastbert"
    config = load_config("fastbert", [f"train.epochs={EXIT_EPOCHS}"])
    recipe.distil(Classifier.load(teacher), config, train, dev, found)
    seconds = time.monotonic() - began
    dial(found, dev, Aim(lose_at_most=0.5))
    return found, seconds


def fitted_peer(args: argparse.Namespace, names: list[str], train: list[Row], dev: list[Row]) -> tuple[Any, float]:
    """The model of fastplm, and the seconds of its fit."""
    import fastplm.config
    import fastplm.fastbert as peer

    form = json.loads((args.encoder / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(args.encoder / "tokenizer.json"))
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    special = {tokenizer.id_to_token(number): name for number, name in special_tokens(tokenizer, form).items()}
    (args.out / "vocab.txt").write_text("\n".join(special.get(token, token) for token, _ in vocabulary), encoding="utf-8")
    shape = {"emb_size": form["hidden_size"], "hidden_size": form["hidden_size"], "feedforward_size": form["intermediate_size"]}
    shape |= {"heads_num": form["num_attention_heads"], "layers_num": form["num_hidden_layers"], "dropout": 0.1}
    shape |= {"embedding": "bert", "encoder": "bert", "pooling": "mean", "hidden_act": "gelu"}
    shape |= {"vocab_path": str((args.out / "vocab.txt").resolve())}
    (args.out / "fastplm.json").write_text(json.dumps(shape))
    fastplm.config.MODEL_CONFIG_FILE["encoder"] = peer.MODEL_CONFIG_FILE["encoder"] = str((args.out / "fastplm.json").resolve())

    class Peer(peer.FastBERT):
        """The model of fastplm with another tokenizer."""

        def _convert_to_id_and_mask(self, sentence: str) -> tuple[list[int], list[int]]:
            ids = tokenizer.encode(sentence).ids
            ids = [*ids[: args.length - 1], ids[-1]] if len(ids) > args.length else ids
            rest = args.length - len(ids)
            return ids + [form["pad_token_id"]] * rest, [1] * len(ids) + [0] * rest

    torch.manual_seed(0)
    random.seed(0)
    model = Peer("encoder", names, seq_length=args.length, is_load=False)
    tuned = load_file(args.out / "teacher" / "model.safetensors")
    own = {name.removeprefix("encoder."): value for name, value in tuned.items() if name.startswith("encoder.")}
    filled(model.kernel, own, form["num_hidden_layers"])
    began = time.monotonic()
    model.fit(
        [row.text for row in train],
        [row.labels[0] for row in train],
        sentences_dev=[row.text for row in dev],
        labels_dev=[row.labels[0] for row in dev],
        batch_size=16,
        learning_rate=1e-4,
        finetuning_epochs_num=1,
        distilling_epochs_num=EXIT_EPOCHS,
        training_sample_rate=0.05,
        model_saving_path=str(args.out / "fastplm.bin"),
    )
    return model.eval(), time.monotonic() - began


def special_tokens(tokenizer: Tokenizer, form: dict[str, Any]) -> dict[int, str]:
    """Ids of the tokens that fastplm knows by BERT's names."""
    ids = tokenizer.encode("").ids
    unknown = next(number for token, number in tokenizer.get_vocab().items() if token.lower() in ("<unk>", "[unk]"))
    mask = next(number for token, number in tokenizer.get_vocab().items() if token.lower() in ("<mask>", "[mask]"))
    return {int(form["pad_token_id"]): "[PAD]", ids[0]: "[CLS]", ids[-1]: "[SEP]", unknown: "[UNK]", mask: "[MASK]"}


def filled(kernel: torch.nn.Module, weights: dict[str, torch.Tensor], layers: int) -> None:
    """Copies a BERT's weights into a UER kernel; every one must find its place."""
    state = {
        f"embedding.{part}_embedding.weight": weights[f"embeddings.{part}_embeddings.weight"] for part in ("word", "position")
    }
    types = weights["embeddings.token_type_embeddings.weight"]
    state["embedding.segment_embedding.weight"] = torch.stack([types[0], types[0], types[1]])  # 0 pads there
    norms = [("embedding.layer_norm", "embeddings.LayerNorm")]
    for number in range(layers):
        ours, theirs = f"encoder.transformer.{number}", f"encoder.layer.{number}"
        parts = enumerate(("query", "key", "value"))
        pairs = [(f"self_attn.linear_layers.{place}", f"attention.self.{part}") for place, part in parts]
        pairs += [("self_attn.final_linear", "attention.output.dense"), ("feed_forward.linear_1", "intermediate.dense")]
        pairs += [("feed_forward.linear_2", "output.dense")]
        for one, other in pairs:
            for part in ("weight", "bias"):
                state[f"{ours}.{one}.{part}"] = weights[f"{theirs}.{other}.{part}"]
        norms += [(f"{ours}.layer_norm_1", f"{theirs}.attention.output.LayerNorm")]
        norms += [(f"{ours}.layer_norm_2", f"{theirs}.output.LayerNorm")]
    for one, other in norms:
        state[f"{one}.gamma"], state[f"{one}.beta"] = weights[f"{other}.weight"], weights[f"{other}.bias"]
    lacking = kernel.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    assert not lacking.unexpected_keys, lacking.unexpected_keys
    assert all(name.startswith("target.") for name in lacking.missing_keys), lacking.missing_keys


def compared(bundle: Path, theirs: Any, test: list[Row], names: list[str]) -> dict[str, Any]:
    """Accuracy, layers and milliseconds a row, one row at a time, all systems in turn."""
    ours = Classifier.load(bundle)
    plain = Classifier.load(bundle.parent / "teacher")
    depth = theirs.kernel.encoder.layers_num
    runs: dict[str, Any] = {"teacher": lambda text: (plain.predict([text])[0].labels[0], depth)}
    runs["duobiao"] = lambda text: (ours.predict([text])[0].labels[0], None)
    for speed in SPEEDS:
        runs[f"fastplm {speed:g}"] = lambda text, speed=speed: theirs(text, speed=speed)
    answers: dict[str, list[Any]] = {name: [] for name in runs}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for row in test:
        for name, ask in runs.items():
            began = time.perf_counter()
            answers[name].append(ask(row.text))
            times[name].append(time.perf_counter() - began)
    depths = ours.depths([row.text for row in test])
    found: dict[str, Any] = {"fastplm": {}}
    for name in runs:
        right = [answer == row.labels[0] for (answer, _), row in zip(answers[name], test, strict=True)]
        layers = depths if name == "duobiao" else [layer for _, layer in answers[name]]
        ratio = statistics.median(a / b for a, b in zip(times["teacher"], times[name], strict=True))
        found[name] = {"accuracy": float(np.mean(right)), "layers": float(np.mean(layers))}
        found[name] |= {"ms": 1000 * statistics.mean(times[name]), "speed-up over teacher (median of rows)": ratio}
        found[name] |= {"speed-up of the whole": sum(times["teacher"]) / sum(times[name])}
    return found | {"duobiao's speed-up in batches of 32": whole_set(ours, plain, test, 32)}


def whole_set(ours: Classifier, plain: Classifier, test: list[Row], size: int) -> float:
    """Speed-up in batches: the median of the ratio in five rounds; fastplm answers one row at a time only."""
    texts = [row.text for row in test]
    ratios = []
    for _ in range(5):
        spent = []
        for system in (plain, ours):
            began = time.perf_counter()
            for start in range(0, len(texts), size):
                system.predict(texts[start : start + size])
            spent.append(time.perf_counter() - began)
        ratios.append(spent[0] / spent[1])
    return statistics.median(ratios)


if __name__ == "__main__":
    main()
