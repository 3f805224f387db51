"""Whether a teacher helped: students beside their controls, with intervals, size, speed, and a verdict in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duobiao import progress
from duobiao.bundle import HISTORY, read_manifest
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, check_texts, model_inputs, rows_digest, targets
from duobiao.data.write import write_text
from duobiao.evaluate.bootstrap import DRAWS, METRICS, Counts, Gain, Metric, counts, f1, paired_bootstrap, units_of
from duobiao.evaluate.compare import TIMED_ROWS, megabytes
from duobiao.evaluate.latency import measure
from duobiao.evaluate.proof_wording import Case, render, verdict
from duobiao.evaluate.wording import Language
from duobiao.labels import Mask, Targets
from duobiao.machine import cores

FILES = RESULT, REPORT = "proof.json", "proof.md"


@dataclass(frozen=True)
class Entry:
    """One student's bundles.

    Attributes:
        name: Its name.
        students: Its bundles, one a training seed; the first is the one to use.
        controls: The controls, in the same order; none if they were left out.
    """

    name: str
    students: tuple[Path, ...]
    controls: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Taught:
    """What the students learned from.

    Attributes:
        name: Its name.
        members: The teachers' bundles; the first is the reference of speed.
        seconds: What training them took; None where a bundle does not say.
        pass_seconds: What their pass over the rows took.
        decided: What all of them together decide on the scored rows, ``(rows, labels)``; None for a single teacher.
        scores: Dev scores of several teachers, of each and of all together.
        left_out: Students that could not be made, with the reason.
    """

    name: str
    members: tuple[Classifier, ...]
    seconds: float | None = None
    pass_seconds: float = 0.0
    decided: Mask | None = None
    scores: Mapping[str, Any] | None = None
    left_out: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Sheet:
    """The scored rows: truth, and the unit of each row."""

    rows: Sequence[Row]
    cells: Targets
    units: Any

    def count(self, system: Classifier) -> Counts:
        """Counts of a system's decisions."""
        inputs = model_inputs(self.rows, system.columns)
        return counts(self.cells, system.decide(**inputs, label=f"score {system.bundle.name}")[1], self.units)


def prove(
    entries: Sequence[Entry],
    taught: Taught,
    rows: Sequence[Row],
    out: str | Path,
    *,
    on_dev: bool = False,
    metric: Metric = "macro_f1",
    again: bool = False,
    rounds: dict[int, int] | None = None,
    draws: int = DRAWS,
    language: Language = "zh",
) -> dict[str, Any]:
    """Scores, times and judges; writes ``proof.json`` and ``proof.md``.

    A proof of the very same bundles and rows that is there already is not measured anew, but written in ``language``.

    Args:
        entries: Students with their controls.
        taught: Their teachers.
        rows: Labelled rows to score on.
        out: Folder of the two files.
        on_dev: Whether thresholds were tuned on these rows; the result then says so.
        metric: What the verdict is about.
        again: Measure anew in any case.
        rounds: Rounds of timing for each batch size.
        draws: Draws of the bootstrap.
        language: Of ``proof.md``.

    Returns:
        What ``proof.json`` holds.

    Raises:
        DataError: If the rows are empty, unlabelled or foreign to the label space.
    """
    check_texts(rows, "scoring")
    place = Path(out) / RESULT
    digest = _digest(entries, taught, rows, on_dev)
    found = None if again else _read(place, digest, metric)
    if found is None:
        found = _measure(entries, taught, rows, metric, rounds, draws)
        found |= {"scored_on": "dev" if on_dev else "score", "digest": digest}
        write_text(place, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    else:
        progress.say(f"{place}: measured before, of the same bundles and rows (--measure-again repeats it)")
    write_text(Path(out) / REPORT, render(found, language))
    return found


def _measure(
    entries: Sequence[Entry], taught: Taught, rows: Sequence[Row], metric: Metric, rounds: dict[int, int] | None, draws: int
) -> dict[str, Any]:
    main = taught.members[0]
    sheet = Sheet(rows, targets(rows, main.space), units_of(rows))
    own = counts(sheet.cells, taught.decided, sheet.units) if taught.decided is not None else sheet.count(main)
    best = _f1(own)
    students = [Classifier.load(entry.students[0]) for entry in entries]
    lines = [_line(entry, sheet, best, metric, draws) for entry in entries]
    order = np.random.default_rng(0).permutation(len(rows))[:TIMED_ROWS].tolist()
    first, *speeds = measure([main, *students], rows, 0, rounds, order=order)
    for line, student, speed in zip(lines, students, speeds, strict=True):
        line |= {"parameters": student.backend.parameters, **speed}
    spent = [line["seconds"] for line in lines]
    total = None if None in spent else sum(spent) + taught.pass_seconds
    return {
        "rows": len(rows),
        "units": int(sheet.units.max()) + 1,
        "metric": metric,
        "draws": draws,
        "cores": cores(),
        "teacher": {"name": taught.name, **best, **_size(taught), "seconds": taught.seconds, **first},
        "teachers": dict(taught.scores) if taught.scores else None,
        "students": lines,
        "left_out": dict(taught.left_out or {}),
        "seconds": {"teacher": taught.seconds, "pass": taught.pass_seconds, "students": total},
    }


def _size(taught: Taught) -> dict[str, Any]:
    """All teachers together; a loaded bundle no longer knows its folder, so its arrays and texts are counted."""
    size = 0
    for one in taught.members:
        size += sum(array.nbytes for array in one.bundle.weights.values())
        size += sum(len(text.encode()) for name, text in one.bundle.files.items() if name != HISTORY)
    return {"mb": round(size / 1e6, 3), "parameters": sum(one.backend.parameters for one in taught.members)}


def _line(entry: Entry, sheet: Sheet, best: Mapping[str, float], metric: Metric, draws: int) -> dict[str, Any]:
    """One student: scores are means over its seeds."""
    manifests = [read_manifest(path) for path in entry.students]
    ours = [sheet.count(Classifier.load(path)) for path in entry.students]
    theirs = [sheet.count(Classifier.load(path)) for path in entry.controls]
    scores, against = _mean([_f1(one) for one in ours]), _mean([_f1(one) for one in theirs]) if theirs else None
    gains = paired_bootstrap(ours, theirs, draws=draws) if theirs else None
    seeds = [
        {name: value - _f1(control)[name] for name, value in _f1(student).items()}
        for student, control in zip(ours, theirs, strict=bool(theirs))
    ]
    case, words = judge(gains[metric] if gains else None, [one[metric] for one in seeds], metric)
    return {
        "name": entry.name,
        "kind": manifests[0]["kind"],
        "bundle": entry.students[0].name,
        "seeds": [one["config"]["train"]["seed"] for one in manifests],
        **scores,
        "control": against,
        "gain": {name: _gain(gain, [one[name] for one in seeds]) for name, gain in gains.items()} if gains else None,
        "share": {name: scores[name] / best[name] if best[name] else None for name in METRICS},
        "mb": round(megabytes(entry.students[0]), 3),
        "seconds": manifests[0]["metrics"].get("seconds"),
        "control_seconds": read_manifest(entry.controls[0])["metrics"].get("seconds") if theirs else None,
        "case": case,
        "verdict": words,
    }


def judge(gain: Gain | None, seeds: Sequence[float], metric: Metric) -> tuple[Case, dict[str, str]]:
    """What a gain proves, as a case and in words of both languages.

    ``gained`` asks that the interval over rows lies above 0 and that every seed gained; ``lost`` that it lies below 0 and every
    seed lost; otherwise the rows show no difference. Without a control nothing is proven.
    """
    case: Case = "unknown"
    if gain is not None:
        case = "none"
        if gain.low > 0 and min(seeds) > 0:
            case = "gained"
        elif gain.high < 0 and max(seeds) < 0:
            case = "lost"
    points = (100 * gain.gain, 50 * (gain.high - gain.low)) if gain else (0.0, 0.0)
    return case, verdict(case, *points, metric)


def _gain(gain: Gain, seeds: Sequence[float]) -> dict[str, Any]:
    spread = float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None
    return {**asdict(gain), "seeds": list(seeds), "spread": spread}


def _f1(own: Counts) -> dict[str, float]:
    return {name: float(value) for name, value in f1(own.sum(axis=1)).items()}


def _mean(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in scores])) for name in METRICS}


def _digest(entries: Sequence[Entry], taught: Taught, rows: Sequence[Row], on_dev: bool) -> str:
    """Names what is measured: the bundles, which row belongs to which group, and the rows with their truth."""
    bundles = [
        [entry.name, [read_manifest(path)["digest"] for path in (*entry.students, *entry.controls)]] for entry in entries
    ]
    teachers = [one.bundle.digest for one in taught.members]
    described = [bundles, teachers, rows_digest(rows), units_of(rows).tolist(), on_dev, sorted(taught.left_out or {})]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def _read(place: Path, digest: str, metric: Metric) -> dict[str, Any] | None:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(found, dict) and found.get("digest") == digest and found.get("metric") == metric
    return found if same else None
