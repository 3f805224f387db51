"""Rows a second of bundles beside a reference, text in, decisions out, in turn on the same rows.

    python benchmarks/latency.py ROWS REFERENCE BUNDLE...

Rows come in a random order that is always the same; 40 rounds of single rows, 15 of batches of 32. Speed-ups are medians over
rounds of the ratio within a round. MB are what must be shipped, as ``duobiao compare`` counts them.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from duobiao.classifier import Classifier
from duobiao.data.read import read_rows
from duobiao.evaluate.compare import megabytes
from duobiao.evaluate.latency import measure

ROUNDS = {1: 40, 32: 15}


def main() -> None:
    data, *bundles = sys.argv[1:]
    systems = [Classifier.load(bundle) for bundle in bundles]
    rows = read_rows(data, space=systems[0].space)
    random.Random(0).shuffle(rows)
    heads = ["bundle", "MB", "rows/s (1)", "rows/s (32)", "speed-up (1)", "speed-up (32)"]
    print(f"load {os.getloadavg()[0]:.2f}", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", sep="\n")
    for bundle, found in zip(bundles, measure(systems, rows, 0, ROUNDS), strict=True):
        size = megabytes(Path(bundle))
        rates = [f"{found['rows_per_s'][key]:,.1f}" for key in ("1", "32")]
        ratios = [f"{found['speedups'][key]:.2f}x" for key in ("1", "32")]
        print(f"| {bundle} | {size:.1f} | {' | '.join([*rates, *ratios])} |")


if __name__ == "__main__":
    main()
