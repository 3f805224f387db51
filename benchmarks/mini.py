"""Fine-tuning few labelled rows: duobiao-mini, the same shape from random weights, a large encoder, the linear baseline.

    python benchmarks/mini.py OUT --data FOLDER... --encoder mini=FOLDER --encoder e5=FOLDER --random-like mini [--workers 4]

Each data folder holds train.jsonl (or val.jsonl) and test.jsonl (or dev.jsonl alone), dev.jsonl and labels.yaml where there are
such; builtin:hotline is a built-in set. Of --sizes, 'all' trains on all rows, and chooses thresholds and the best epoch on
dev.jsonl, or on a tenth of the rows. A number is that many labelled rows in all, drawn so that each label has one, a fifth of
them for choosing. All systems get the same rows. Passes depend on the rows (see EPOCHS) unless --epochs gives them.
--random-like NAME adds that encoder's shape and tokens from random weights.

OUT gets mini.jsonl, a line a run, and mini.md. What stands in mini.jsonl is not run again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from duobiao import builtin
from duobiao.classifier import Classifier
from duobiao.config import load_config
from duobiao.data.load import Splits, load_splits
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.write import write_text
from duobiao.evaluate.evaluation import evaluate
from duobiao.labels import LabelSpace

EPOCHS = {"small": (40, 25, 10), "large": (25, 12, 4), "random": (50, 30, 12)}
"""Passes with at most 500 rows, at most 2,000 rows, more."""
TRAIN = {"small": ("5.0e-4", 32), "large": ("1.0e-4", 16), "random": ("5.0e-4", 32)}
"""Learning rate and rows a step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--encoder", action="append", default=[], help="NAME=FOLDER, also NAME@LR=FOLDER; repeatable")
    parser.add_argument("--random-like", help="name of an encoder")
    parser.add_argument("--sizes", default="300,1000,all")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, help="passes of every encoder; by its rows if left out")
    parser.add_argument("--no-linear", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--precision", default="no")
    parser.add_argument("--keep", action="store_true", help="keep the bundles of seed 0 and all rows, in OUT")
    args = parser.parse_args()
    encoders = {name: Path(folder) for name, _, folder in (one.partition("=") for one in args.encoder)}
    args.out.mkdir(parents=True, exist_ok=True)
    if args.random_like:
        encoders["random"] = random_like(encoders[args.random_like], args.out / "random")
    log = args.out / "mini.jsonl"
    done = read(log)
    known = {tuple(line[name] for name in ("data", "size", "system", "seed")) for line in done}
    names = [*encoders, *([] if args.no_linear else ["linear"])]
    jobs = [
        {"data": data, "size": size, "system": name, "seed": seed}
        | {"encoder": str(encoders[name]) if name in encoders else None, "precision": args.precision, "epochs": args.epochs}
        | {"keep": str(args.out / f"{name}-{Path(data).name}") if args.keep and size == "all" and seed == 0 else None}
        for size in sorted(args.sizes.split(","), reverse=True)
        for data in args.data
        for name in names
        for seed in map(int, args.seeds.split(","))
    ]
    jobs = [job for job in jobs if (job["data"], job["size"], job["system"], job["seed"]) not in known]
    jobs.sort(key=lambda job: (job["size"] != "all", job["system"] != "e5"))  # the longest first
    began, failed = time.monotonic(), []
    with ProcessPoolExecutor(args.workers, mp_context=multiprocessing.get_context("spawn")) as pool, log.open("a") as file:
        for number, future in enumerate(as_completed([pool.submit(run, job) for job in jobs]), 1):
            if error := future.exception():  # what the others found out is not lost
                failed.append(error)
                print(f"{time.monotonic() - began:5.0f} s {number}/{len(jobs)} failed: {error!r}", flush=True)
                continue
            line = future.result()
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            done.append(line)
            print(f"{time.monotonic() - began:5.0f} s {number}/{len(jobs)} {line}", flush=True)
    write_text(args.out / "mini.md", render(done))
    print(render(done))
    if failed:
        raise failed[0]


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One training and its scores."""
    from duobiao.train import recipe

    splits, test = rows_of(job["data"], job["size"], job["seed"])
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle"
        recipe.train(config_of(job, len(splits.train), splits.space), splits.train, splits.dev, splits.space, out)
        seconds = time.monotonic() - began
        loaded = Classifier.load(out)
        found = evaluate(loaded, test)
        if job["keep"]:
            shutil.copytree(out, job["keep"], dirs_exist_ok=True)
    scores = {name: found[name] for name in ("micro_f1", "macro_f1", "group_accuracy") if found.get(name) is not None}
    named = {name: job[name] for name in ("data", "size", "system", "seed")}
    dev = {"dev_micro_f1": loaded.bundle.metrics["dev"]["micro_f1"]}
    return named | {"rows": len(splits.train) + len(splits.dev)} | scores | dev | {"seconds": round(seconds, 1)}


def config_of(job: dict[str, Any], rows: int, space: LabelSpace) -> Any:
    """The configuration of a run."""
    name, _, rate = job["system"].partition("@")
    if job["encoder"] is None:
        return load_config("linear", [f"seed={job['seed']}"])
    layers = json.loads((Path(job["encoder"]) / "config.json").read_text())["num_hidden_layers"]
    kind = name if name in EPOCHS else ("large" if layers > 6 else "small")
    lr, batch = TRAIN[kind]
    epochs = job["epochs"] or EPOCHS[kind][0 if rows <= 500 else 1 if rows <= 2000 else 2]
    settings = [f"encoder={job['encoder']}", "pooling=mean", f"train.epochs={epochs}", f"train.lr={rate or lr}"]
    settings += ["train.head_lr=1.0e-3", f"train.batch_size={batch}", "train.checkpoint_seconds=3600"]
    settings += [f"train.precision={job['precision']}", f"train.seed={job['seed']}", f"name={name}"]
    return load_config(
        "teacher-roberta-wwm", [*settings, *(["loss.independent=zlpr"] if space.independent else []), "train.patience=null"]
    )


def rows_of(data: str, size: str, seed: int) -> tuple[Splits, list[Row]]:
    """Training and dev rows of a size, and all test rows."""
    folder = builtin.folder(data.partition(":")[2]) if data.startswith("builtin:") else Path(data)
    train, test = (next(folder / name for name in names if (folder / name).is_file()) for names in NAMES)
    dev = folder / "dev.jsonl"
    labels = folder / "labels.yaml"
    columns = {"group_id": "dialogue"} if '"dialogue"' in train.read_text(encoding="utf-8")[:2000] else None
    own_dev = dev if dev.is_file() and test != dev else None
    space = labels if labels.is_file() else inferred(train, columns)
    if size == "all" and own_dev:
        splits = load_splits(train, own_dev, space, columns=columns)
    else:
        rows = read_rows(train, space=LabelSpace.from_yaml(labels) if labels.is_file() else None, columns=columns)
        whole = LabelSpace.from_yaml(space) if isinstance(space, Path) else space
        splits = Splits(whole, *(draw(rows, len(rows), seed, 10) if size == "all" else draw(rows, int(size), seed, 5)))
    return splits, read_rows(test, space=splits.space, columns=columns)


NAMES = (("train.jsonl", "val.jsonl"), ("test.jsonl", "dev.jsonl"))


def inferred(train: Path, columns: Any) -> LabelSpace:
    """The labels of a training file."""
    return LabelSpace.infer(row.labels or () for row in read_rows(train, columns=columns))


def draw(rows: Sequence[Row], size: int, seed: int, part: int) -> tuple[list[Row], list[Row]]:
    """So many rows, each label at least once among the training rows; one in ``part`` is a dev row."""
    chance = np.random.default_rng(seed)
    order = [int(number) for number in chance.permutation(len(rows))]
    members: dict[str, list[int]] = {}
    for number in order:
        for label in rows[number].labels or ():
            members.setdefault(label, []).append(number)
    needed: set[int] = set()
    for label in sorted(members, key=lambda name: (len(members[name]), name)):
        if not needed & set(members[label]):
            needed.add(members[label][0])
    free = [number for number in order if number not in needed][: size - len(needed)]
    dev, train = free[: size // part], [*needed, *free[size // part :]]
    return [rows[number] for number in sorted(train)], [rows[number] for number in dev]


def random_like(encoder: Path, out: Path) -> Path:
    """An encoder of the same shape and tokens from random weights."""
    import torch
    from transformers import AutoConfig, AutoModel

    if not (out / "config.json").is_file():
        torch.manual_seed(0)
        AutoModel.from_config(AutoConfig.from_pretrained(encoder)).float().save_pretrained(out)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(encoder / name, out / name)
    return out


def read(log: Path) -> list[dict[str, Any]]:
    """Runs that are finished."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []


def render(done: Iterable[dict[str, Any]]) -> str:
    """Means over seeds, with their standard deviation."""
    runs: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for line in done:
        runs.setdefault((Path(line["data"]).name, str(line["size"]), line["system"]), []).append(line)
    text = ["| data | rows | system | micro-F1 | macro-F1 | seeds | seconds |", "|---|---|---|---|---|---|---|"]
    for (data, size, system), lines in sorted(runs.items(), key=lambda item: (item[0][0], len(item[0][1]), item[0][1:])):
        cells = []
        for name in ("micro_f1", "macro_f1"):
            values = [line[name] for line in lines if line.get(name) is not None]
            spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.4f}{spread}")
        seconds = statistics.mean(line["seconds"] for line in lines)
        text.append(f"| {data} | {size} | {system} | {' | '.join(cells)} | {len(lines)} | {seconds:.0f} |")
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    main()
