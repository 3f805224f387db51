"""Difference of micro-F1 and macro-F1 between two bundles on the same rows, with paired bootstrap intervals.

Usage: python benchmarks/paired_bootstrap.py BUNDLE OTHER DATA
"""

from __future__ import annotations

import sys

import duobiao
from duobiao.data.read import read_rows
from duobiao.data.rows import model_inputs, targets
from duobiao.evaluate.bootstrap import counts, paired_bootstrap, units_of

DRAWS = 10_000


def main() -> None:
    first, second, data = sys.argv[1:]
    systems = [duobiao.load(path) for path in (first, second)]
    rows = read_rows(data, space=systems[0].space)
    cells, units = targets(rows, systems[0].space), units_of(rows)
    ours, theirs = (counts(cells, system.decide(**model_inputs(rows, system.columns))[1], units) for system in systems)
    for metric, found in paired_bootstrap([ours], [theirs], draws=DRAWS).items():
        print(
            f"{metric}: {found.gain:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}, "
            f"share of draws below 0: {found.below:.4f}"
        )


if __name__ == "__main__":
    main()
