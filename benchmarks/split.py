"""What stratified, group-aware splitting leaves uneven, against random splitting, over several seeds.

Usage: python benchmarks/split.py DATA... [--seeds 20]

DATA are files of labelled rows, or folders whose train.jsonl, dev.jsonl and test.jsonl are taken together; ``hotline`` and
``callback`` are the built-in sets. Each is split 80 / 10 / 10. Writes a Markdown table to standard output.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duobiao import builtin
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.split import SHARES, split_rows
from duobiao.data.split_report import Account, report_of
from duobiao.data.units import tied_units

HEAD = (
    "data", "rows", "labels", "split", "mean deviation", "largest deviation", "labels missing from dev", "from test",
    "rows on both sides", "CPU seconds",
)  # fmt: skip


def read(name: str) -> list[Row]:
    path = builtin.folder(name) if name in builtin.DATASETS and not Path(name).exists() else Path(name)
    files = [path / f"{part}.jsonl" for part in SHARES] if path.is_dir() else [path]
    return [row for file in files for row in read_rows(file)]


def by_chance(rows: Sequence[Row], seed: int, units: np.ndarray) -> dict[str, Any]:
    """Units in random order, cut where the rows reach the shares."""
    order = np.random.default_rng(seed).permutation(int(units.max()) + 1)
    size = np.bincount(units)[order]
    middle = (np.cumsum(size) - size / 2) / len(rows)
    split = np.empty(len(order), dtype=np.int64)
    split[order] = np.searchsorted(np.cumsum(list(SHARES.values()))[:-1], middle)
    return report_of(
        Account(rows, split[units].tolist(), SHARES, units, "both", "chance", seed, None, None, None, None),
    )


def table(name: str, rows: Sequence[Row], seeds: int) -> list[str]:
    together, alone = tied_units(rows), np.arange(len(rows))
    methods: dict[str, Callable[[int], dict[str, Any]]] = {
        "random rows": lambda seed: by_chance(rows, seed, alone),
        "random, whole dialogues and texts": lambda seed: by_chance(rows, seed, together),
        "duobiao split": lambda seed: split_rows(rows, seed=seed).report,
    }
    lines = []
    for method, make in methods.items():
        began = time.process_time()
        reports = [make(seed) for seed in range(seeds)]
        seconds = (time.process_time() - began) / seeds
        largest = [report["largest_deviation"]["deviation"] for report in reports]
        cells = [
            Path(name).parent.name if name.endswith(".jsonl") else name,
            f"{len(rows):,}",
            str(len(reports[0]["labels"])),
            method,
        ]
        cells += [f"{statistics.mean(report['mean_deviation'] for report in reports):.4f}"]
        cells += [f"{statistics.mean(largest):.4f} ({min(largest):.4f} to {max(largest):.4f})"]
        cells += [f"{statistics.mean(len(report['absent'][part]) for report in reports):.2f}" for part in ("dev", "test")]
        sides = (sum(report["on_both_sides"].values()) for report in reports)
        cells += [f"{statistics.mean(sides):.1f}", f"{seconds:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="files, folders, or names of built-in sets")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---|" * len(HEAD))
    for name in options.data:
        print("\n".join(table(name, read(name), options.seeds)), flush=True)


if __name__ == "__main__":
    main()
