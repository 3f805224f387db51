"""The main job on the built-in data: linear baseline, teacher, students, their controls, one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from duobiao import builtin, progress
from duobiao.classifier import Classifier
from duobiao.config import load_config
from duobiao.data.load import load_splits
from duobiao.data.read import read_rows
from duobiao.evaluate.compare import View, compare
from duobiao.evaluate.wording import Language
from duobiao.train import recipe

STUDENTS = ("bigru-a", "bigru-b")


def run_demo(
    out: str | Path,
    *,
    datasets: Sequence[str] = builtin.DATASETS,
    language: Language = "zh",
    overrides: Sequence[str] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Trains and compares all systems on built-in data; what is finished already is not repeated.

    Args:
        out: Folder; each data set gets a folder in it with its bundles and ``report.html``.
        datasets: Names of built-in data sets.
        language: Language of the reports.
        overrides: Settings for the gradient-trained systems, ``train.epochs=1``.

    Returns:
        The systems of ``compare`` for each data set.
    """
    found = {}
    for name in datasets:
        source, place = builtin.folder(name), Path(out) / name
        splits = load_splits(source / "train.jsonl", source / "dev.jsonl", source / "labels.yaml")
        test = read_rows(source / "test.jsonl", space=splits.space)
        progress.say(f"== {name}: {len(splits.train)} training, {len(splits.dev)} dev, {len(test)} test rows ==")
        recipe.train(load_config("linear"), splits.train, splits.dev, splits.space, place / "linear")
        teacher = load_config("teacher-mini", [*overrides, *(["min_steps=0"] if overrides else [])])
        recipe.train(teacher, splits.train, splits.dev, splits.space, place / "teacher-mini")
        bundles = [place / "linear", place / "teacher-mini"]
        loaded = Classifier.load(place / "teacher-mini")
        for student in STUDENTS:
            for control in (False, True):
                config = load_config(student, [*overrides, f"name={student}{'-control' * control}"])
                target = place / config.name
                recipe.distil(loaded, config, splits.train, splits.dev, target, no_teacher=control)
                bundles.append(target)
        found[name] = compare(bundles, test, place, train=splits.train, view=View(language=language, title=f"duobiao · {name}"))
    return found
