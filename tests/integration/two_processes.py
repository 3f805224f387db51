"""What one of two processes does in ``test_two_processes``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from accelerate.utils import gather_object
from safetensors.torch import save_file
from tiny_run import plain_sgd, train

from duobiao.config import parse_config
from duobiao.data.load import load_splits
from duobiao.train import loop, recipe

TEACHER = {
    "kind": "encoder",
    "pooling": "mean",
    "dropout": 0.0,
    "shape": {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 16, "vocab_size": 200},
    "input": {"max_length": 48},
    "train": {"epochs": 2, "batch_size": 16, "lr": 3e-3, "micro_batch_size": 5},
}
STUDENT = {"kind": "bigru", "model": "B", "hidden": 8, "fc": 8, "dropout": 0.0}


def run_recipes(rows: str, labels: str, out: Path) -> None:
    """A teacher and its student, on rows of a file."""
    splits = load_splits(Path(rows), None, Path(labels))
    # The encoder's own dropout draws other numbers in two processes, so the teacher that is compared is the student's.
    teacher = recipe.train(parse_config(TEACHER), splits.train, splits.dev, splits.space, out / "teacher")
    student = parse_config({**STUDENT, "train": {"epochs": 2, "batch_size": 16, "lr": 5e-3}})
    recipe.distil(teacher, student, splits.train, splits.dev, out / "student", transfer=splits.dev)


def main(out: str, jobs: str, rows: str, labels: str) -> None:
    """Runs each job of a JSON list of ``train`` arguments, saves the weights that each process ends with, then the recipes."""
    adamw, clock, place = loop.make_optimizer, time.monotonic, Path(out)
    for number, job in enumerate(json.loads(jobs)):
        loop.make_optimizer = plain_sgd if job.pop("sgd", False) else adamw
        behind = job.pop("clocks_differ", False) and torch.distributed.get_rank() == 1
        time.monotonic = (lambda: 0.0) if behind else clock  # this process never thinks that a checkpoint is due
        result = train(place / f"work{number}", **job)
        rank, processes = torch.distributed.get_rank(), gather_object([torch.distributed.get_world_size()])
        save_file({name: tensor.contiguous() for name, tensor in result.student.items()}, place / f"{number}.{rank}")
        (place / f"{number}.{rank}.json").write_text(json.dumps([processes, result.at.total, result.lines]))
    time.monotonic = clock
    run_recipes(rows, labels, place)


if __name__ == "__main__":
    main(*sys.argv[1:])
