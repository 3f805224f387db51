"""How many planted label errors the out-of-fold suspects find.

Usage: python benchmarks/suspects.py DATA... [--share 0.05] [--seeds 3]

DATA are files of labelled rows; ``hotline`` and ``callback`` are the built-in training rows. In a share of rows one answer is
made wrong: a label is taken away, one is added, or one is replaced by another (of its group, where it has one). Then rows are
ranked by their most suspect answer, as ``duobiao suspects`` does, and for comparison by the probability of the given answer
alone and at random. Writes a Markdown table to standard output: the share of planted rows among the first ones, and the share
of planted errors found. Errors that the data had before count as false alarms.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duobiao import builtin
from duobiao.config import LinearConfig
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, targets
from duobiao.evaluate.out_of_fold import folds_of, out_of_fold
from duobiao.evaluate.suspects import Suspect, find_suspects
from duobiao.labels import LabelSpace, Targets

HEAD = (
    "data", "rows", "labels", "planted", "ranked by", "among first planted/2", "among first planted", "suspect rows",
    "planted found", "taken away", "added", "replaced", "seconds",
)  # fmt: skip
KINDS = ("taken away", "added", "replaced")


def read(name: str) -> tuple[list[Row], LabelSpace]:
    if name in builtin.DATASETS and not Path(name).exists():
        space = LabelSpace.from_yaml(builtin.folder(name) / "labels.yaml")
        return read_rows(builtin.folder(name) / "train.jsonl", space=space), space
    rows = read_rows(Path(name))
    return rows, LabelSpace.infer(row.labels or () for row in rows)


def plant(cells: Targets, space: LabelSpace, share: float, random: Any) -> tuple[Targets, dict[int, str]]:
    """Cells with one wrong answer in a share of rows, and what was done to which row."""
    cells, done = cells.copy(), {}
    free = len(space.independent)
    for row in random.permutation(len(cells)).tolist():
        if len(done) >= round(share * len(cells)):
            break
        kind = KINDS[int(random.integers(3))]
        true = np.flatnonzero(cells[row] == 1)
        source = int(random.choice(true)) if len(true) else None
        lone = source is not None and source >= free
        if kind == "added" or source is None:
            false = np.flatnonzero(cells[row, :free] == 0)
            if (source is None and kind != "added") or not len(false):
                continue
            cells[row, random.choice(false)] = 1
        elif kind == "taken away":
            if lone:
                continue
            cells[row, source] = 0
        else:
            span = next(columns for columns in space.slices if source < columns.stop) if lone else slice(0, free)
            others = span.start + np.flatnonzero(cells[row, span] == 0)
            if not len(others):
                continue
            cells[row, source], cells[row, random.choice(others)] = 0, 1
        done[row] = kind
    return cells, done


def ranked(found: Sequence[Suspect]) -> list[int]:
    return list(dict.fromkeys(one.row for one in found))


def by_probability(cells: Targets, proba: Any) -> list[int]:
    """Rows by the least probability of a given answer, cell by cell."""
    own = np.where(cells == 1, proba, 1 - proba)
    return np.argsort(np.nanmin(np.where(cells >= 0, own, np.nan), axis=1), kind="stable").tolist()


def measure(name: str, rows: Sequence[Row], space: LabelSpace, share: float, seed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    cells, planted = plant(targets(rows, space), space, share, random)
    began = time.perf_counter()
    proba = out_of_fold(LinearConfig(kind="linear"), rows, cells, space, folds_of(rows, space, 5, seed))
    suspects = ranked(find_suspects(cells, proba, space))
    seconds = time.perf_counter() - began
    orders = {
        "suspects": suspects,
        "probability": by_probability(cells, proba),
        "chance": random.permutation(len(rows)).tolist(),
    }
    lines = []
    for how, order in orders.items():
        count = len(planted)
        line: dict[str, Any] = {"data": name, "rows": len(rows), "labels": len(space), "planted": count, "ranked by": how}
        line["among first planted/2"] = np.mean([row in planted for row in order[: count // 2]])
        line["among first planted"] = np.mean([row in planted for row in order[:count]])
        if how == "suspects":
            line |= {"suspect rows": len(order), "planted found": len(planted.keys() & set(order)) / count, "seconds": seconds}
            for kind in KINDS:
                own = {row for row, what in planted.items() if what == kind}
                line[kind] = len(own & set(order)) / max(len(own), 1)
        lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD), flush=True)
    for name in options.data:
        rows, space = read(name)
        runs = [measure(name, rows, space, options.share, seed) for seed in range(options.seeds)]
        for lines in zip(*runs, strict=True):
            cells = []
            for key in HEAD:
                values = [line[key] for line in lines if key in line]
                mean = values[0] if values and isinstance(values[0], str) else np.mean(values) if values else ""
                whole = key in ("rows", "labels", "planted", "suspect rows", "seconds")
                cells.append(mean if isinstance(mean, str) else f"{mean:.0f}" if whole else f"{mean:.3f}")
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
