"""How often the release gate fails two systems that differ by chance alone, and how often it finds a fall that is there.

python benchmarks/diff_gate.py FIRST SECOND --data ROWS [--runs 200]

Two real bundles answer real rows. Swapping their answers row by row at random makes two systems that are equally good, and
differ as much as the real ones do. Then the second one of them misses a share of one label's rows.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from duobiao.classifier import Classifier
from duobiao.data.read import read_rows
from duobiao.data.rows import model_inputs, targets
from duobiao.evaluate.bootstrap import units_of
from duobiao.evaluate.diff import quality
from duobiao.evaluate.diff_flips import Sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs=2)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--label", default="人生-死亡")
    options = parser.parse_args()
    systems = [Classifier.load(path) for path in options.bundles]
    space = systems[0].space
    rows = read_rows(options.data, space=space)
    answers = [system.decide(**model_inputs(rows, system.columns)) for system in systems]
    cells, (proba, decided) = targets(rows, space), zip(*answers, strict=True)
    sides = Sides(rows, units_of(rows), space.names, cells, proba, decided, decided[1], cells, space)
    random, column = np.random.default_rng(0), space.index[options.label]
    print("| the second system misses, of one label's rows | runs | gate failed | the label named |\n|---|---|---|---|")
    for share in (0.0, 0.1, 0.2, 0.3):
        failed = named = 0
        runs = options.runs if not share else max(options.runs // 4, 1)
        for _ in range(runs):
            kept = random.random((len(rows), 1)) < 0.5
            pair = [np.where(kept, decided[0], decided[1]), np.where(kept, decided[1], decided[0])]
            pair[1][:, column] &= random.random(len(rows)) >= share
            found = quality(replace(sides, decided=(pair[0], pair[1]), given=pair[1]), space)
            fell = {line["label"] for line in found["labels"] if line["fell"]}
            failed += bool(fell) or any(line["fell"] for line in found["overall"].values())
            named += options.label in fell
        print(f"| {share:.0%} | {runs} | {failed / runs:.1%} | {named / runs:.1%} |", flush=True)


if __name__ == "__main__":
    main()
