"""What adding labels to a finished model gives and costs, beside training anew.

python benchmarks/add_label.py --train ROWS --dev ROWS --more ROWS --score ROWS --out FOLDER [--systems linear,mini,textcnn]

Three labels are hidden from the training rows (there their truth is then unknown, not false) and an old model learns the rest.
Then the labels are added from a few new rows, half of them positive, in several ways. ``again`` trains anew on the same rows
with the same knowledge; ``all known`` trains anew with every label of every row known. Everything is scored on rows that none
has seen.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.config import load_config
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.evaluate.diff import diff
from duobiao.labels import LabelSpace
from duobiao.train import recipe
from duobiao.train.add_label import Settings, add_label
from duobiao.train.add_label_rows import Known, NewLabels

HIDDEN = ("组织关系-裁员", "司法行为-约谈", "灾害/意外-地震")
CONFIGS = {
    "linear": ("linear", []),
    "mini": ("teacher-mini", ["train.checkpoint_seconds=600"]),
    "textcnn": ("textcnn", ["train.checkpoint_seconds=600"]),
    "bigru": ("bigru-a", ["train.checkpoint_seconds=600"]),
}
WAYS: dict[str, dict[str, Any]] = {
    "output": {},
    "output, replay": {"replay": True},
    "output, replay complete": {"replay": True, "replay_complete": True},
    "all, kept, replay": {"learn": "all", "replay": True},
    "all, kept, no replay": {"learn": "all"},
    "all, not kept, replay": {"learn": "all", "replay": True, "keep_weight": 0.0},
    "all, not kept, one old row": {"learn": "all", "replay": True, "replay_rows": 1, "keep_weight": 0.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--more", type=Path, required=True, help="rows to take the new ones from")
    parser.add_argument("--score", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--systems", default="linear,mini,textcnn,bigru")
    parser.add_argument("--rows", default="30,100")
    parser.add_argument("--ways", default=";".join(WAYS))
    parser.add_argument("--set", action="append", default=[], help="a setting of the ways that learn everything")
    parser.add_argument(
        "--train-set", action="append", default=[], metavar="SYSTEM:NAME=VALUE", help="a setting of a system's own trainings"
    )
    options = parser.parse_args()
    rows = {name: read_rows(getattr(options, name)) for name in ("train", "dev", "more", "score")}
    whole = LabelSpace.infer([row.labels or () for part in ("train", "dev", "more") for row in rows[part]])
    old_space = LabelSpace(tuple(name for name in whole.names if name not in HIDDEN))
    asked = NewLabels(HIDDEN)
    space = asked.space(old_space)
    known = Known(asked, old_space, space)
    hidden = [replace(row, labels=tuple(name for name in row.labels or () if name not in HIDDEN)) for row in rows["train"]]
    bare_dev = [replace(row, labels=tuple(name for name in row.labels or () if name not in HIDDEN)) for row in rows["dev"]]
    told: list[dict[str, Any]] = []
    for system in options.systems.split(","):
        more = [one.partition(":")[2] for one in options.train_set if one.partition(":")[0] == system]
        old = make(system, more, hidden, bare_dev, old_space, options.out / system / "old", options.out)
        full = make(system, more, rows["train"], rows["dev"], space, options.out / system / "all-known", options.out)
        tell(told, options.out, system, "all known", 0, scores(old, full, rows["score"]), seconds_of(full))
        for count in (int(one) for one in options.rows.split(",")):
            new = pick(rows["more"], rows, count)
            both = [*known.replayed(hidden), *known.fresh(new)]
            again = make(system, more, both, rows["dev"], space, options.out / system / f"again-{count}", options.out)
            tell(told, options.out, system, "again", count, scores(old, again, rows["score"]), seconds_of(again))
            for way in options.ways.split(";"):
                how = dict(WAYS[way])
                if system == "linear" and how.get("learn") == "all":
                    continue
                replay = hidden if how.pop("replay", False) else []
                settings = Settings(accept_drops=True, overrides=tuple(options.set) if how.get("learn") else (), **how)
                place = options.out / system / f"{way.replace(', ', '-').replace(' ', '_')}-{count}"
                began = time.monotonic()
                made = add_label(old, asked, new, rows["dev"], place, replay=replay, settings=settings, force=True)
                found = scores(old, place, rows["score"])
                tell(told, options.out, system, way, count, found, time.monotonic() - began, made.gate.passed)


def make(
    system: str, more: list[str], train: Sequence[Row], dev: Sequence[Row], space: LabelSpace, out: Path, base: Path
) -> Path:
    """A model trained on labels alone; students take tokens from an encoder of the same label space."""
    name, overrides = CONFIGS[system]
    config = load_config(name, [*overrides, *more, f"name={system}"])
    if system in ("linear", "mini"):
        return recipe.train(config, train, dev, space, out)
    place = base / "tokens" / str(len(space))
    quick = load_config("teacher-mini", ["train.epochs=1", "min_steps=0"])
    teacher = recipe.train(quick, [Row("1", "词", labels=space.names)], [Row("2", "词", labels=space.names)], space, place)
    return recipe.distil(teacher, config, train, dev, out, no_teacher=True)


def pick(more: Sequence[Row], rows: dict[str, list[Row]], count: int) -> list[Row]:
    """New rows, none of which stands elsewhere: for each label ``count``, half with it and half at random without any.

    They are labelled for the new labels only, as a small file made for them would be.
    """
    seen = {row.text for part in ("train", "dev", "score") for row in rows[part]}
    order = [more[at] for at in np.random.default_rng(0).permutation(len(more))]
    fresh = [row for row in order if row.text not in seen]
    chosen: dict[str, Row] = {}
    for name in HIDDEN:
        with_it = [row for row in fresh if name in (row.labels or ())][: count // 2]
        chosen |= {row.text: row for row in with_it}
    without = [row for row in fresh if not set(row.labels or ()) & set(HIDDEN)]
    chosen |= {row.text: row for row in without[: len(HIDDEN) * (count - count // 2)]}
    return [replace(row, labels=tuple(name for name in row.labels or () if name in HIDDEN)) for row in chosen.values()]


def scores(old: Path, new: Path, rows: Sequence[Row]) -> dict[str, Any]:
    """New labels' mean F1 and the change of the old ones, on rows that nobody has seen."""
    found = diff(Classifier.load(old), Classifier.load(new), rows).found
    quality = found["quality"]
    return {
        "new_f1": float(np.mean([line["f1"] for line in found["new_labels"]])),
        "new": {line["label"]: line["f1"] for line in found["new_labels"]},
        **{name: 100 * quality["overall"][name]["difference"] for name in ("micro_f1", "macro_f1")},
        "fell": [line["label"] for line in quality["labels"] if line["fell"]],
        "passed": found["passed"],
    }


def seconds_of(bundle: Path) -> float:
    return float(read_bundle(bundle).metrics["seconds"])


def tell(
    told: list[dict[str, Any]], out: Path, system: str, way: str, rows: int, found: Any, seconds: float, gate: Any = None
) -> None:
    line = {"system": system, "way": way, "rows": rows, "seconds": seconds, "dev_gate": gate, **found}
    told.append(line)
    (out / "add_label.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    passed = "passed" if found["passed"] else f"failed ({', '.join(found['fell']) or 'overall'})"
    print(
        f"| {system} | {way} | {rows or '–'} | {found['new_f1']:.3f} | {found['micro_f1']:+.1f} | {found['macro_f1']:+.1f} | "
        f"{passed} | {seconds:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
