"""What TextBrewer's distillation loss, one softmax over all labels, costs where several labels may hold.

    pip install --no-deps textbrewer==0.2.1.post1
    python benchmarks/softmax_kd.py TEACHER OUT --train ROWS --dev ROWS --transfer ROWS --score ROWS [--student textcnn]
        [--set train.epochs=12] [--seeds 0,1,2]

The same student, rows, steps, start and seeds; only the loss against the logits of the teacher differs: ours (the default MSE,
and KL label by label) or TextBrewer's kd_ce_loss at its default temperature of 4, beside our loss against labels with the same
weights, or alone, as TextBrewer's defaults have it. Thresholds are tuned on the dev rows for all. OUT gets a bundle a run and
softmax_kd.json; what stands there is not run again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from textbrewer.losses import kd_ce_loss

from duobiao.classifier import Classifier
from duobiao.config import load_config
from duobiao.data.load import load_splits
from duobiao.data.read import read_rows
from duobiao.data.rows import model_inputs, targets
from duobiao.data.write import write_text
from duobiao.evaluate.bootstrap import counts, paired_bootstrap, units_of
from duobiao.evaluate.evaluation import evaluate
from duobiao.train import recipe
from duobiao.train.distillation import Distillation
from duobiao.train.teachers import Teachers

ALONE = ["logits_weight=1.0", "label_weight=0.0"]
RUNS: dict[str, tuple[bool, list[str]]] = {
    "mse": (False, []),
    "kl": (False, ["signal=kl"]),
    "mse-alone": (False, ALONE),
    "softmax": (True, []),
    "softmax-alone": (True, ALONE),
}
"""Name to whether the loss is TextBrewer's, and settings."""


class SoftmaxLoss(torch.nn.Module):
    """TextBrewer's loss, a mean over the batch, given to each row."""

    def forward(self, logits: torch.Tensor, teacher: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """Shape ``(rows,)``; arguments as in ``LogitsLoss``."""
        return kd_ce_loss(logits, teacher, temperature=4).expand(len(logits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("out", type=Path)
    for name in ("train", "dev", "transfer", "score"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--student", default="textcnn")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--seeds", default="0")
    args = parser.parse_args()
    teachers = Teachers.load([args.teacher])
    splits = load_splits(args.train, args.dev, teachers.space, fit=False)
    transfer = read_rows(args.transfer, labelled=False)
    score = read_rows(args.score, space=teachers.space)
    found: list[dict[str, Any]] = []
    bundles: dict[tuple[str, str], Path] = {}
    for seed in args.seeds.split(","):
        for name, (theirs, settings) in RUNS.items():
            out = bundles[name, seed] = args.out / f"{args.student}-{name}-{seed}"
            config = load_config(args.student, [*args.settings, *settings, f"train.seed={seed}", f"name={args.student}-{name}"])
            swapped = mock.patch.object(Distillation, "teacher_loss", property(lambda work: SoftmaxLoss()))
            if theirs and not (out / "bundle.json").exists():
                with swapped:
                    recipe.distil(teachers, config, splits.train, splits.dev, out, transfer=transfer)
            elif not (out / "bundle.json").exists():
                recipe.distil(teachers, config, splits.train, splits.dev, out, transfer=transfer)
            scores = evaluate(Classifier.load(out), score)
            found.append({"loss": name, "seed": int(seed), **{one: scores[one] for one in ("micro_f1", "macro_f1")}})
            print(found[-1], flush=True)
    cells, units = targets(score, teachers.space), units_of(score)

    def counted(name: str) -> list[Any]:
        systems = [Classifier.load(bundles[name, seed]) for seed in args.seeds.split(",")]
        return [counts(cells, system.decide(**model_inputs(score, system.columns))[1], units) for system in systems]

    ours = counted("mse")
    gains = {
        name: f"{one.gain:+.4f} ({one.low:+.4f} to {one.high:+.4f})"
        for name in RUNS
        if name != "mse"
        for one in [paired_bootstrap(ours, counted(name))["micro_f1"]]
    }
    write_text(
        args.out / "softmax_kd.json", json.dumps({"runs": found, "mse over": gains}, ensure_ascii=False, indent=1) + "\n"
    )
    for name in RUNS:
        micro, macro = ([one[key] for one in found if one["loss"] == name] for key in ("micro_f1", "macro_f1"))
        print(f"| {name} | {statistics.mean(micro):.4f} | {statistics.mean(macro):.4f} | {gains.get(name, '')} |")


if __name__ == "__main__":
    main()
