"""What a tuned bundle's operating points and calibration do on further rows; one pass of the model.

python benchmarks/decide.py TUNED --data ROWS [--untuned BUNDLE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from duobiao.classifier import Classifier
from duobiao.config import PointSettings
from duobiao.data.read import read_rows
from duobiao.data.rows import model_inputs, targets
from duobiao.evaluate.metrics import score
from duobiao.evaluate.tune import pooled
from duobiao.labels import UNASKED
from duobiao.postprocess.calibration import NO_CALIBRATION
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.points import stored_points
from duobiao.postprocess.probabilities import probabilities
from duobiao.postprocess.reliability import scores_of
from duobiao.postprocess.targets import expected_cost


def main() -> None:
    """Prints two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--untuned", type=Path, help="the bundle as it was, for its thresholds")
    options = parser.parse_args()
    system = Classifier.load(options.bundle)
    space, rows = system.space, read_rows(options.data, space=system.space)
    cells, logits = targets(rows, space), system.logits(**model_inputs(rows, system.columns))
    known, stored = cells >= 0, stored_points(system.bundle.thresholds)
    print(f"{len(rows)} rows\n\n| calibration | log-loss | Brier | ECE |\n|---|---|---|---|")
    for name, calibration in (("before", NO_CALIBRATION), ("after", system.calibration)):
        found = scores_of(probabilities(calibration.apply(logits, space), space)[known], cells[known] == 1)
        print(f"| {name} | {found['log_loss']:.5f} | {found['brier']:.5f} | {found['ece']:.5f} |")
    goals = {name: PointSettings.model_validate(entry["target"]) for name, entry in stored.items()}
    cost = next((goal for goal in goals.values() if goal.costs), None)
    points = [(name, str(goals[name]), entry, system.calibration) for name, entry in stored.items()]
    if options.untuned:
        bundle = Classifier.load(options.untuned).bundle
        points.insert(0, ("untuned", "macro-f1", bundle.thresholds, NO_CALIBRATION))
    print("\n| point | target | micro-F1 | macro-F1 | samples-F1 | precision | recall | cost a row |\n|" + "---|" * 8)
    for name, goal, entry, calibration in points:
        proba = probabilities(calibration.apply(logits, space), space)
        decided = Decoder.from_dict(entry, space).decide(proba, cells != UNASKED)
        found, ratios = score(cells, decided, space), pooled(cells, decided, range(len(space)))
        values = [*(found[key] for key in ("micro_f1", "macro_f1", "samples_f1")), *ratios.values()]
        price = "–" if cost is None else f"{expected_cost(cost, cells, decided, space)['per_row']:.4f}"
        print(f"| {name} | {goal} | {' | '.join(f'{value:.4f}' for value in values)} | {price} |")


if __name__ == "__main__":
    main()
