"""Several bundles on the same rows: quality, size, speed, in one table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duobiao.bundle import HISTORY
from duobiao.card import CARD
from duobiao.classifier import Classifier
from duobiao.data.rows import Row
from duobiao.data.write import write_text
from duobiao.errors import BundleError
from duobiao.evaluate.evaluation import evaluate
from duobiao.evaluate.latency import measure
from duobiao.evaluate.report import Language, render_html, render_markdown

TIMED_ROWS = 512


def compare(
    bundles: Sequence[str | Path],
    rows: Sequence[Row],
    out: str | Path,
    *,
    train: Sequence[Row] | None = None,
    language: Language = "zh",
    rounds: dict[int, int] | None = None,
    title: str = "",
) -> list[dict[str, Any]]:
    """Measures bundles side by side and writes ``compare.json``, ``compare.md`` and ``report.html``.

    The reference of the speed-ups is the first encoder among the bundles, else the first bundle.

    Args:
        bundles: Folders.
        rows: Labelled rows that none of them was made with.
        out: Folder of the three files.
        train: The training rows, for scores on unseen text.
        language: Language of the report.
        rounds: Rounds of timing for each batch size.
        title: Title of the report.

    Returns:
        One mapping a system, as in ``compare.json``.

    Raises:
        BundleError: If a bundle cannot be read, or their label spaces differ.
        DataError: If the rows do not fit the label space, or ``out`` cannot be written.
    """
    systems = [Classifier.load(path) for path in bundles]
    _same_space(systems, bundles)
    reference = next((number for number, system in enumerate(systems) if system.bundle.kind == "encoder"), 0)
    scores = [evaluate(system, rows, train) for system in systems]
    order = np.random.default_rng(0).permutation(len(rows))[:TIMED_ROWS]
    speeds = measure(systems, [rows[number] for number in order], reference, rounds)
    names = _names(systems, bundles)
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
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "system": platform.system()}
    space = systems[0].space
    files = {
        "compare.json": json.dumps(found, ensure_ascii=False, indent=1) + "\n",
        "compare.md": render_markdown(found, machine),
        "report.html": render_html(found, space, machine, language=language, title=title),
    }
    for name, text in files.items():
        write_text(Path(out) / name, text)
    return found


def _same_space(systems: Sequence[Classifier], bundles: Sequence[str | Path]) -> None:
    for system, path in zip(systems[1:], bundles[1:], strict=True):
        difference = systems[0].space.difference(system.space)
        if difference:
            raise BundleError(
                f"{path} and {bundles[0]} have different label spaces",
                hint="compare bundles that were trained with the same label space file",
                problems=difference,
            )


def _names(systems: Sequence[Classifier], bundles: Sequence[str | Path]) -> list[str]:
    """Names of the bundles; the folder's name where two would be the same."""
    own = [system.bundle.name for system in systems]
    folders = [Path(path).resolve().name for path in bundles]
    if len(set(own)) == len(own):
        return own
    return folders if len(set(folders)) == len(folders) else [str(path) for path in bundles]


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
