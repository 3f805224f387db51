"""Several bundles on the same rows: quality, size, speed, and which of them to deploy."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from duobiao.bundle import HISTORY
from duobiao.card import CARD
from duobiao.card.words import NO_TEACHER
from duobiao.classifier import Classifier
from duobiao.data.rows import Row
from duobiao.data.write import write_text
from duobiao.data.write_rows import check_jsonl, write_records
from duobiao.errors import BundleError, ConfigError
from duobiao.evaluate.advice import summary
from duobiao.evaluate.against import against
from duobiao.evaluate.bootstrap import units_of
from duobiao.evaluate.budget import Budget, best_of, chosen
from duobiao.evaluate.cases import doubted, look_at
from duobiao.evaluate.cooccurrence import cooccurrence, differing_pairs, most_together
from duobiao.evaluate.cuts import check_columns
from duobiao.evaluate.evaluation import Judged, evaluate, judge
from duobiao.evaluate.front import dominators, quality_time_size
from duobiao.evaluate.latency import measure
from duobiao.evaluate.report import render_html, render_markdown
from duobiao.evaluate.sections import LEAST_SHOWN
from duobiao.evaluate.suspects import suspect_records
from duobiao.evaluate.wording import Language
from duobiao.label_difference import difference
from duobiao.labels import LabelSpace
from duobiao.machine import cores
from duobiao.outputs import check_outputs
from duobiao.postprocess.reliability import brier, ece, reliability_bins

FILES = ("compare.json", "compare.md", "report.html")
TIMED_ROWS = 512
MOST_LABELS = 16
"""Of the table of labels that stand together."""


@dataclass(frozen=True)
class View:
    """How a comparison is shown.

    Attributes:
        language: Language of the sentences and of the report.
        title: Title of the report.
        budget: What systems may cost and must reach.
        slices: Columns of the rows to slice by, beside length and node.
        examine: The system that is looked at closely, by name; see ``examined_name``.
        texts: Whether the report shows texts of rows.
        suspects: Where rows whose labels may be wrong go, as JSONL.
        command: What was typed, for the report.
    """

    language: Language = "zh"
    title: str = ""
    budget: Budget = field(default_factory=Budget)
    slices: tuple[str, ...] = ()
    examine: str | None = None
    texts: bool = True
    suspects: Path | None = None
    command: str = ""


def check_places(out: Path, suspects: Path | None = None, sources: Sequence[Path] = ()) -> None:
    """Refuses places where a comparison cannot be written, or would replace what it reads, before anything is read.

    Args:
        out: Folder of the three files.
        suspects: Where rows whose labels may be wrong go.
        sources: Files of rows, and bundles.

    Raises:
        DataError: Naming the place.
    """
    if suspects is not None:
        check_jsonl(suspects)
    check_outputs([*(("--out", out / file) for file in FILES), ("--suspects", suspects)], sources)


def compare(
    bundles: Sequence[str | Path],
    rows: Sequence[Row],
    out: str | Path,
    *,
    train: Sequence[Row] | None = None,
    rounds: dict[int, int] | None = None,
    view: View | None = None,
) -> list[dict[str, Any]]:
    """Measures bundles side by side and writes ``compare.json``, ``compare.md`` and ``report.html``.

    The reference of the speed-ups is the first encoder among the bundles, else the first bundle.

    Args:
        bundles: Folders.
        rows: Labelled rows that none of them was made with.
        out: Folder of the three files.
        train: The training rows, for scores on unseen text.
        rounds: Rounds of timing for each batch size.
        view: How it is shown.

    Returns:
        One mapping a system, as in ``compare.json``: what ``evaluate`` returns, speed, size, and

        - ``dominated_by``: names of systems that are no worse in micro-F1, p95 at batch 1 and size, and better in one; empty
            for systems on the front;
        - ``against.{name}``: what ``against.against`` tells of this and another system;
        - ``calibration``: ``ece`` and ``brier`` over all known cells, and the ``bins`` of the reliability diagram, over those
            with a probability of 0.02 or more;
        - ``cooccurrence``: ``pairs`` of labels, ``true`` and ``decided``, and the ``table`` of those with the most company.

    Raises:
        BundleError: If a bundle cannot be read or is given twice, or their label spaces differ in more than their order.
        ConfigError: If no system has the name of ``view.examine``.
        DataError: If the rows do not fit the label space or have no such column, or a file cannot be written.
    """
    view = view or View()
    _none_twice(bundles)
    check_columns(rows, view.slices)
    systems = [Classifier.load(path) for path in bundles]
    _same_space(systems, bundles)
    names = _names(systems, bundles)
    _check(view, names)
    reference = next((number for number, system in enumerate(systems) if system.bundle.kind == "encoder"), 0)
    space = systems[0].space
    judged = [judge(system, rows, space) for system in systems]
    scores = [
        evaluate(system, rows, train, judged=said, slices=view.slices, space=space)
        for system, said in zip(systems, judged, strict=True)
    ]
    order = np.random.default_rng(0).permutation(len(rows))[:TIMED_ROWS].tolist()
    speeds = measure(systems, rows, reference, rounds, order=order)
    found = [
        {
            "name": name,
            "kind": system.bundle.kind,
            "parameters": system.backend.parameters,
            "mb": round(megabytes(Path(path)), 3),
            **speed,
            **{key: value for key, value in scored.items() if key not in ("name", "kind")},
            "notes": _notes(system),
            "reference": number == reference,
        }
        for number, (name, system, path, speed, scored) in enumerate(zip(names, systems, bundles, speeds, scores, strict=True))
    ]
    _add_comparisons(found, judged, rows, space)
    _write(Path(out), found, systems, judged, rows, {row.text.strip() for row in train or ()}, view)
    return found


def _check(view: View, names: Sequence[str]) -> None:
    if view.examine is not None and view.examine not in names:
        raise ConfigError(f"--examine {view.examine!r}: no such system", hint=f"one of {', '.join(names)}")
    if view.suspects is not None:
        check_jsonl(view.suspects)


def _add_comparisons(found: list[dict[str, Any]], judged: Sequence[Judged], rows: Sequence[Row], space: LabelSpace) -> None:
    beaten = dominators([quality_time_size(system) for system in found])
    gaps = against(judged, units_of(rows))
    names = [system["name"] for system in found]
    for number, (system, said) in enumerate(zip(found, judged, strict=True)):
        system["dominated_by"] = [names[other] for other in beaten[number]]
        system["against"] = {name: gap for name, gap in zip(names, gaps[number], strict=True) if name != system["name"]}
        system["calibration"] = _calibration(said)
        true, decided = cooccurrence(said.cells, said.decided)
        kept = most_together(true, decided, MOST_LABELS)
        system["cooccurrence"] = {
            "pairs": differing_pairs(true, decided, space),
            "table": {
                "labels": [space.names[label] for label in kept],
                "true": true[np.ix_(kept, kept)].tolist(),
                "decided": decided[np.ix_(kept, kept)].tolist(),
            },
        }


def _calibration(judged: Judged) -> dict[str, Any]:
    known = judged.cells >= 0
    proba, truth = judged.probabilities[known], judged.cells[known] == 1
    shown = proba >= LEAST_SHOWN
    bins = reliability_bins(proba[shown], truth[shown])
    return {"ece": ece(proba, truth), "brier": brier(proba, truth), "bins": bins}


def _write(
    out: Path,
    found: Sequence[dict[str, Any]],
    systems: Sequence[Classifier],
    judged: Sequence[Judged],
    rows: Sequence[Row],
    seen: set[str],
    view: View,
) -> None:
    space = systems[0].space
    name = view.examine or examined_name(found, view.budget)
    at = next(number for number, system in enumerate(found) if system["name"] == name)
    doubts = doubted(judged, rows, seen, space)
    cases = look_at(name, systems[at], judged[at], rows, doubts, view.texts, space)
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": cores(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    lines = summary(found, view.language, view.budget)
    html = render_html(
        found,
        space,
        machine,
        language=view.language,
        title=view.title,
        lines=lines,
        cases=cases,
        command=view.command,
    )
    markdown = render_markdown(found, machine, lines)
    for file, text in zip(FILES, (json.dumps(found, ensure_ascii=False, indent=1) + "\n", markdown, html), strict=True):
        write_text(out / file, text)
    if view.suspects is not None:
        write_records(view.suspects, suspect_records(rows, doubts))


def examined_name(found: Sequence[dict[str, Any]], budget: Budget) -> str:
    """What is looked at closely: the answer to a budget; else the best student that a teacher taught; else the best."""
    picked = chosen(found, budget) if budget else []
    if picked:
        return str(picked[0][1]["name"])
    students = [system for system in found if any(_taught(note) for note in system["notes"])]
    return str(best_of(students or found)["name"])


def _taught(note: str) -> bool:
    return note.startswith("teacher=") and note != f"teacher={NO_TEACHER}"


def _none_twice(bundles: Sequence[str | Path]) -> None:
    places = [Path(path).resolve() for path in bundles]
    twice = [f"{path}: given twice" for at, path in enumerate(bundles) if places[at] in places[:at]]
    if twice:
        raise BundleError("a system is compared with others, not with itself", hint="give each bundle once", problems=twice)


def _same_space(systems: Sequence[Classifier], bundles: Sequence[str | Path]) -> None:
    """Labels may stand in another order: ``judge`` brings all answers into that of the first bundle."""
    for system, path in zip(systems[1:], bundles[1:], strict=True):
        if not systems[0].space.matches(system.space):
            raise BundleError(
                f"{bundles[0]} (the first) and {path} (the second) have different label spaces",
                hint="compare bundles that were trained with the same label space file",
                problems=difference(systems[0].space, system.space),
            )


def _names(systems: Sequence[Classifier], bundles: Sequence[str | Path]) -> list[str]:
    """Names of the bundles; where two would be the same, as much of the end of their paths as tells all of them apart."""
    own = [system.bundle.name for system in systems]
    paths = [Path(path).resolve().parts for path in bundles]
    doubled = {name for name in own if own.count(name) > 1}
    for length in range(1, max(map(len, paths)) + 1):
        found = ["/".join(parts[-length:]) if name in doubled else name for name, parts in zip(own, paths, strict=True)]
        if len(set(found)) == len(found):
            return found
    return [str(path) for path in bundles]


def _notes(system: Classifier) -> list[str]:
    metrics = system.bundle.metrics
    notes = [f"{key}={metrics[key]}" for key in ("start", "teacher") if key in metrics]
    for extra in ("transfer_rows", "synthetic_rows"):
        if metrics.get(extra):
            notes.append(f"{extra}={metrics[extra]}")
    return notes


def megabytes(path: Path) -> float:
    """What must be shipped: all files of the bundle but its training history and its card."""
    return sum(file.stat().st_size for file in path.iterdir() if file.name not in (HISTORY, CARD)) / 1e6
