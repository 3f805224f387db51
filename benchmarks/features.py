"""What the first segment and the statistics bring: none / node / mined / pairwise / +statistics, same budget, several seeds.

    python benchmarks/features.py OUT DATA... [--encoder FOLDER] [--config teacher-small] [--set train.epochs=8]

Each DATA is a folder with train.jsonl, dev.jsonl and test.jsonl, and a labels.yaml unless all labels are independent. Without
test.jsonl the scores are those on dev.jsonl, and a tenth of train.jsonl chooses thresholds and the best epoch. All variants
train with the same rows, steps and settings; the seed changes weights, order and dropout. OUT gets a bundle a run,
features.json and features.md. Interrupted, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import scipy.stats

from duobiao import progress
from duobiao.classifier import Classifier
from duobiao.config import load_config
from duobiao.data.load import Splits, load_splits
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.write import write_text
from duobiao.evaluate.evaluation import evaluate
from duobiao.evaluate.latency import measure
from duobiao.train import recipe

VARIANTS = {
    "none": ["features.segment=none"],
    "node": [],
    "mined": ["features.segment=mined"],
    "pairwise": ["features.segment=pairwise"],
    "node+statistics": ["features.statistics=true"],
}
LINEAR = ("none", "node", "node+statistics")
BASE = "node"
SCORES = ("micro_f1", "macro_f1", "group_accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--encoder", help="Hugging Face encoder (folder or hub name); by default the configuration's")
    parser.add_argument("--config", default="teacher-small", help="configuration of the encoder")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="override a setting, for all variants")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--no-linear", action="store_true", help="leave out the linear baselines")
    parser.add_argument("--no-encoder", action="store_true", help="leave out the encoders")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    overrides = [*args.overrides, *([f"encoder={args.encoder}"] if args.encoder else [])]
    variants = args.variants.split(",")
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        parser.error(f"no such variant: {', '.join(unknown)} (there are: {', '.join(VARIANTS)})")
    plans = [] if args.no_encoder else [("encoder", args.config, variants, overrides)]
    if not args.no_linear:
        plans.append(("linear", "linear", [name for name in variants if name in LINEAR], []))
    found: dict[str, Any] = {"config": args.config, "set": overrides, "seeds": seeds, "data": {}}
    with progress.use(progress.Console()):
        for folder in args.data:
            found["data"][folder.name] = run_data(folder, args.out, plans, seeds)
            write_text(args.out / "features.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n")
            write_text(args.out / "features.md", render(found))
    print(args.out / "features.md")


def run_data(
    folder: Path, out: Path, plans: Sequence[tuple[str, str, list[str], list[str]]], seeds: list[int]
) -> dict[str, Any]:
    """All variants and seeds on one data set."""
    labels, test = folder / "labels.yaml", folder / "test.jsonl"
    scored_file, dev = (test, folder / "dev.jsonl") if test.is_file() else (folder / "dev.jsonl", None)
    splits = load_splits(folder / "train.jsonl", dev, labels if labels.is_file() else None)
    scored = read_rows(scored_file, space=splits.space)
    result: dict[str, Any] = {"rows": [len(splits.train), len(splits.dev), len(scored)], "scored": scored_file.name, "runs": []}
    for kind, config, variants, overrides in plans:
        for seed in seeds:
            for variant in variants:
                place = out / folder.name / f"{kind}-{variant}-{seed}"
                result["runs"].append(run_one(kind, config, variant, seed, overrides, splits, scored, place))
    result["speed"] = speeds(result["runs"], out / folder.name, scored, seeds[0])
    return result


def run_one(
    kind: str, config: str, variant: str, seed: int, overrides: list[str], splits: Splits, scored: Sequence[Row], place: Path
) -> dict[str, Any]:
    """Trains (or takes up, or takes over) one run and scores it."""
    key = "seed" if kind == "linear" else "train.seed"
    settings = load_config(config, [*overrides, *VARIANTS[variant], f"{key}={seed}", f"name={place.name}"])
    kept, began, whole = (
        place.with_name(place.name + ".json"),
        time.monotonic(),
        not place.with_name(place.name + ".run").exists(),
    )
    was_there = (place / "bundle.json").is_file()
    recipe.train(settings, splits.train, splits.dev, splits.space, place)
    took = round(time.monotonic() - began, 1) if whole and not was_there else None
    loaded = Classifier.load(place)
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if found.get("digest") == loaded.bundle.digest:
            return found
    scores = evaluate(loaded, scored, splits.train)
    found = {"kind": kind, "variant": variant, "seed": seed, "digest": loaded.bundle.digest, "seconds": took}
    found |= {name: scores[name] for name in SCORES}
    found["unseen_micro_f1"] = scores["unseen_text"]["micro_f1"]
    found["dev_micro_f1"] = loaded.bundle.metrics["dev"]["micro_f1"]
    found["width"] = loaded.features.width
    write_text(kept, json.dumps(found, ensure_ascii=False) + "\n")
    progress.say(f"{place.name}: micro-F1 {found['micro_f1']:.4f}")
    return found


def speeds(runs: Sequence[dict[str, Any]], place: Path, rows: Sequence[Row], seed: int) -> dict[str, float]:
    """Rows a second at batch 32 of the first seed's systems, in turn."""
    names = [f"{run['kind']}-{run['variant']}" for run in runs if run["seed"] == seed]
    systems = [Classifier.load(place / f"{name}-{seed}") for name in names]
    return {name: speed["rows_per_s"]["32"] for name, speed in zip(names, measure(systems, rows, rounds={32: 12}), strict=True)}


def render(found: dict[str, Any]) -> str:
    """The report."""
    lines = ["# Features: what stands before the text, and numbers beside it", ""]
    setting = ", ".join(f"`{override}`" for override in found["set"]) or "no changes"
    lines += [
        f"Encoder configuration `{found['config']}` ({setting}), seeds {', '.join(map(str, found['seeds']))}. Same rows, steps "
        "and settings for all variants. Mean ± standard deviation over seeds; the difference to `node` is taken seed by seed, "
        "with its 95 % interval (Student's t over seeds).",
        "",
    ]
    for name, data in found["data"].items():
        train, dev, scored = data["rows"]
        lines += [f"## {name}", "", f"{train} training rows, {dev} dev rows, {scored} rows of `{data['scored']}` scored.", ""]
        lines += _table(data)
    return "\n".join(lines) + "\n"


def _table(data: dict[str, Any]) -> list[str]:
    head = ["system", "micro-F1", "macro-F1", "group accuracy", "micro-F1 unseen text", "micro-F1 against node", "training s"]
    lines = ["| " + " | ".join([*head, "rows/s (32)"]) + " |", "|" + "---|" * (len(head) + 1)]
    verdicts = []
    for kind in ("encoder", "linear"):
        runs = [run for run in data["runs"] if run["kind"] == kind]
        for variant in dict.fromkeys(run["variant"] for run in runs):
            own = {run["seed"]: run for run in runs if run["variant"] == variant}
            base = {run["seed"]: run for run in runs if run["variant"] == BASE}
            differences = [own[seed]["micro_f1"] - base[seed]["micro_f1"] for seed in own if seed in base]
            cells = [f"{kind} {variant}", *(_spread([run[score] for run in own.values()]) for score in SCORES)]
            cells += [_spread([run["unseen_micro_f1"] for run in own.values()])]
            cells += ["" if variant == BASE else _interval(differences)]
            cells += [_spread([run["seconds"] for run in own.values()], 0), f"{data['speed'].get(f'{kind}-{variant}', 0):,.0f}"]
            lines.append("| " + " | ".join(cells) + " |")
            if variant != BASE and differences:
                verdicts.append(f"- {kind} `{variant}` against `{BASE}`: {_verdict(differences)}")
    return [*lines, "", *verdicts, ""]


def _spread(values: Sequence[float | None], digits: int = 4) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean = f"{statistics.mean(known):.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else mean


def _half_width(differences: Sequence[float]) -> float:
    count = len(differences)
    return float(scipy.stats.t.ppf(0.975, count - 1)) * statistics.stdev(differences) / math.sqrt(count)


def _interval(differences: Sequence[float]) -> str:
    if not differences:
        return ""
    mean = statistics.mean(differences)
    return f"{mean:+.4f} ± {_half_width(differences):.4f}" if len(differences) > 1 else f"{mean:+.4f}"


def _verdict(differences: Sequence[float]) -> str:
    mean = statistics.mean(differences)
    if len(set(differences)) < 2:
        return f"{mean:+.4f}, {'one run only' if len(differences) < 2 else 'the same with each seed'}"
    if abs(mean) <= _half_width(differences):
        return f"no difference that {len(differences)} seeds could show ({_interval(differences)})"
    return f"{'helps' if mean > 0 else 'hurts'} ({_interval(differences)})"


if __name__ == "__main__":
    main()
