"""What adapting an encoder gave downstream: the same rows and seeds from it before and after, scored side by side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from duobiao import progress
from duobiao.bundle import read_manifest
from duobiao.classifier import Classifier
from duobiao.config import TeacherConfig
from duobiao.data.load import Splits
from duobiao.data.plain_text import lines_of
from duobiao.data.rows import Row, check_texts, model_inputs, rows_digest, targets
from duobiao.data.write import write_text
from duobiao.errors import ConfigError
from duobiao.evaluate.bootstrap import DRAWS, METRICS, Counts, Metric, counts, f1, paired_bootstrap, units_of
from duobiao.evaluate.proof import judge
from duobiao.evaluate.wording import Language
from duobiao.labels import LabelSpace, Mask
from duobiao.models.encoder_files import find_folder, read_config
from duobiao.train import recipe
from duobiao.train.adapt import NOTE, check_length
from duobiao.train.gain_wording import render, verdict
from duobiao.train.run import Task

RESULT, REPORT = "gain.json", "gain.md"
METRIC: Metric = "micro_f1"


@dataclass(frozen=True)
class Downstream:
    """The labelled task that an encoder is tried on, before and after.

    Attributes:
        config: How a teacher is trained from an encoder; whose encoder it names does not count.
        splits: Rows to learn from and to choose by.
        score: Rows to score on.
        seeds: Seeds of the trainings; by default the configuration's own.
    """

    config: TeacherConfig
    splits: Splits
    score: Sequence[Row]
    seeds: tuple[int, ...] = ()

    def check(self, encoder: str, revision: str | None) -> None:
        """Refuses what would fail after hours of adapting.

        Raises:
            DataError: If rows do not fit the label space, or nothing can be learned from them.
            ConfigError: If the inputs are longer than the encoder reads, or a seed stands twice.
        """
        if len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds {list(self.seeds)}: one stands twice", hint="give each seed once")
        Task.check(self.config, self.splits.train, self.splits.dev, self.splits.space)
        check_texts(self.score, "scoring")
        targets(self.score, self.splits.space)
        form = read_config(encoder, find_folder(encoder, revision))
        check_length(form, self.config.input.max_length, "input.max_length of --with")


def measure_gain(
    encoder: str,
    adapted: Path,
    texts: Sequence[str | Path],
    task: Downstream,
    out: Path,
    *,
    column: str = "text",
    revision: str | None = None,
    draws: int = DRAWS,
    language: Language = "zh",
    force: bool = False,
) -> dict[str, Any]:
    """Trains a teacher from an encoder before and after, for each seed, and scores all on the same rows.

    Bundles stay in ``out`` as ``before-SEED`` and ``after-SEED``; what is there already is not trained or scored anew.

    Args:
        encoder: Folder or hub name of the encoder before.
        adapted: Folder of the encoder after.
        texts: What it was adapted on, to see whether scored texts are among it.
        task: Rows, seeds and configuration.
        out: Folder of the bundles, of ``gain.json`` and of ``gain.md``.
        column: The column of tables that holds the text.
        revision: Git revision of the encoder on the hub.
        draws: Draws of the bootstrap.
        language: Of ``gain.md``.
        force: Begin anew.

    Returns:
        What ``gain.json`` holds. Empty in processes other than the main one.

    Raises:
        DataError: If the rows do not fit.
        ConfigError: If the configuration cannot be carried out.
    """
    task.check(encoder, revision)
    seeds, splits = task.seeds or (task.config.train.seed,), task.splits
    starts = {"before": {"encoder": encoder, "revision": revision}, "after": {"encoder": str(adapted), "revision": None}}
    places: dict[str, list[Path]] = {name: [] for name in starts}
    for seed in seeds:
        for name, start in starts.items():
            train = task.config.train.model_copy(update={"seed": seed})
            config = task.config.model_copy(update={**start, "name": f"{name}-{seed}", "train": train})
            places[name].append(recipe.train(config, splits.train, splits.dev, splits.space, out / config.name, force=force))
    if not PartialState().is_main_process:
        return {}
    digest = _digest(places, task.score)
    found = None if force else _read(out / RESULT, digest)
    if found is None:
        found = _measure(places, splits.space, task.score, _standing(task, texts, column), draws)
        told = json.loads((adapted / NOTE).read_text(encoding="utf-8"))
        found |= {"encoder": encoder, "adapted": str(adapted), "seeds": list(seeds), "digest": digest}
        found |= {"adaptation": {name: told[name] for name in ("head", "passes", "kept_step", "held_out")}}
        write_text(out / RESULT, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    else:
        progress.say(f"{out / RESULT}: measured before, of the same bundles and rows (--force repeats it)")
    write_text(out / REPORT, render(found, language))
    return found


def _measure(
    places: Mapping[str, Sequence[Path]], space: LabelSpace, rows: Sequence[Row], standing: Mask, draws: int
) -> dict[str, Any]:
    cells = targets(rows, space)
    decided = {name: [_decided(path, rows) for path in paths] for name, paths in places.items()}

    def compared(chosen: Mask) -> dict[str, Any]:
        some = [row for row, wanted in zip(rows, chosen, strict=True) if wanted]
        units = units_of(some)
        systems = {name: [counts(cells[chosen], one[chosen], units) for one in own] for name, own in decided.items()}
        return {"rows": len(some), "units": int(units.max()) + 1, **_compared(systems, draws)}

    every = np.ones(len(rows), dtype=np.bool_)
    partly = standing.any() and not standing.all()
    return {
        "metric": METRIC,
        "draws": draws,
        **compared(every),
        "standing_in_text": int(standing.sum()),
        "elsewhere": compared(~standing) if partly else None,
    }


def _decided(path: Path, rows: Sequence[Row]) -> Mask:
    system = Classifier.load(path)
    return system.decide(**model_inputs(rows, system.columns), label=f"score {path.name}")[1]


def _compared(systems: Mapping[str, Sequence[Counts]], draws: int) -> dict[str, Any]:
    scores = {name: [_f1(one) for one in own] for name, own in systems.items()}
    gains = paired_bootstrap(systems["after"], systems["before"], draws=draws)
    seeds: dict[Metric, list[float]] = {
        name: [after[name] - before[name] for before, after in zip(scores["before"], scores["after"], strict=True)]
        for name in METRICS
    }
    case, _ = judge(gains[METRIC], seeds[METRIC], METRIC)
    means = {name: {metric: float(np.mean([one[metric] for one in own])) for metric in METRICS} for name, own in scores.items()}
    return {
        **{name: {**means[name], "seeds": own} for name, own in scores.items()},
        "gain": {name: {**asdict(gain), "seeds": seeds[name]} for name, gain in gains.items()},
        "case": case,
        "verdict": verdict(case, gains[METRIC]),
    }


def _f1(own: Counts) -> dict[str, float]:
    return {name: float(value) for name, value in f1(own.sum(axis=1)).items()}


def _standing(task: Downstream, texts: Sequence[str | Path], column: str) -> Mask:
    """Which scored texts stand word for word, apart from blanks, in a line that the encoder was adapted on: ``(rows,)``."""
    wanted = {_bare(row.text) for row in task.score}
    seen = {bare for path in texts for line in lines_of(Path(path), column) if (bare := _bare(line)) in wanted}
    return np.array([_bare(row.text) in seen for row in task.score], dtype=np.bool_)


def _bare(text: str) -> str:
    return "".join(text.split())


def _digest(places: Mapping[str, Sequence[Path]], rows: Sequence[Row]) -> str:
    bundles = {name: [read_manifest(path)["digest"] for path in paths] for name, paths in places.items()}
    return hashlib.sha256(json.dumps([bundles, rows_digest(rows), units_of(rows).tolist()]).encode()).hexdigest()


def _read(place: Path, digest: str) -> dict[str, Any] | None:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("digest") == digest else None
