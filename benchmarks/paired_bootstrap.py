"""Difference of micro-F1 between two bundles on the same rows, with a paired bootstrap interval over rows.

Usage: python benchmarks/paired_bootstrap.py BUNDLE OTHER DATA
"""

from __future__ import annotations

import sys

import numpy as np

import duobiao
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, targets

DRAWS = 10_000


def counts(path: str, rows: list[Row], cells: np.ndarray) -> np.ndarray:
    """True positives, false positives and false negatives of each row, ``(rows, 3)``; unknown cells are left out."""
    _, chosen = duobiao.load(path).decide([row.text for row in rows], [row.context for row in rows])
    known = cells >= 0
    true, said = (cells == 1) & known, chosen & known
    return np.stack([(said & true).sum(1), (said & ~true & known).sum(1), (~said & true).sum(1)], axis=1)


def micro_f1(total: np.ndarray) -> np.ndarray:
    return 2 * total[..., 0] / np.maximum(2 * total[..., 0] + total[..., 1] + total[..., 2], 1)


def main() -> None:
    first, second, data = sys.argv[1:]
    space = duobiao.load(first).space
    rows = read_rows(data, space=space)
    cells = targets(rows, space)
    ours, theirs = counts(first, rows, cells), counts(second, rows, cells)
    random = np.random.default_rng(0)
    differences = []
    for _ in range(DRAWS):
        weights = np.bincount(random.integers(0, len(rows), len(rows)), minlength=len(rows))
        differences.append(micro_f1(weights @ ours) - micro_f1(weights @ theirs))
    low, high = np.quantile(differences, [0.025, 0.975])
    gain = micro_f1(ours.sum(0)) - micro_f1(theirs.sum(0))
    below = np.mean(np.array(differences) < 0)
    print(f"{gain:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}, share of draws below 0: {below:.4f}")


if __name__ == "__main__":
    main()
