"""What a cascade gains: how many rows go on to the better model, what that does for quality, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duobiao.cascade import Cascade
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, check_texts, model_inputs, targets
from duobiao.data.write import write_text
from duobiao.evaluate.latency import measure
from duobiao.evaluate.metrics import score
from duobiao.labels import Mask

BANDS = (0.05, 0.1, 0.2, 0.3, 0.4)
ROUNDS = {32: 10}
TIMED_ROWS = 320


def cascade_table(
    first: Classifier,
    second: Classifier,
    rows: Sequence[Row],
    bands: Sequence[float] = BANDS,
    *,
    rounds: dict[int, int] | None = None,
    json_out: Path | None = None,
) -> dict[str, Any]:
    """Scores and times two models alone, and the first with the second behind it, for several abstain bands.

    Args:
        first: The fast model.
        second: The better one.
        rows: Labelled rows that neither was made with, nor tuned on.
        bands: Half widths; see ``duobiao.postprocess.band``.
        rounds: Rounds of timing by batch size.
        json_out: Where the table goes.

    Returns:
        ``rows`` and ``table``, a line a system: ``name``, ``band``, ``sent`` (share of the rows), ``micro_f1``, ``macro_f1``,
        ``samples_f1``, ``group_accuracy``, ``rows_per_s``, ``speedup`` (against the second model, within rounds), and of the
        rows that were sent ``first_right`` and ``second_right``, the shares that are right in every known cell.

    Raises:
        BundleError: If the label spaces differ.
        ConfigError: If a band is none.
        DataError: If the rows do not fit the label space.
    """
    systems: list[Classifier | Cascade] = [first.with_band(0), *(Cascade(first.with_band(band), second) for band in bands)]
    systems.append(second)
    check_texts(rows, "the cascade")
    cells = targets(rows, first.space)
    own, better = (one.decide(**model_inputs(rows, one.columns), label=f"score {one.name}")[1] for one in (first, second))
    none = np.zeros(len(rows), dtype=np.bool_)
    sent = [none, *(_unsure(first.with_band(band), rows) for band in bands), ~none]
    order = np.random.default_rng(0).permutation(len(rows))[:TIMED_ROWS].tolist()
    times = measure(systems, rows, len(systems) - 1, rounds or ROUNDS, order=order)
    table = []
    for system, band, gone, speed in zip(systems, [0.0, *bands, None], sent, times, strict=True):
        scores = score(cells, np.where(gone[:, None], better, own), first.space)
        line = {"name": system.name, "band": band, "sent": float(gone.mean())}
        line |= {key: scores[key] for key in ("micro_f1", "macro_f1", "samples_f1", "group_accuracy")}
        line |= {"first_right": _right(cells, own, gone), "second_right": _right(cells, better, gone)}
        table.append({**line, "rows_per_s": speed["rows_per_s"], "speedup": speed["speedup"]})
    found = {"rows": len(rows), "table": table}
    if json_out is not None:
        write_text(json_out, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    return found


def _unsure(system: Classifier, rows: Sequence[Row]) -> Mask:
    found: Mask = np.array([one.review for one in system.predict(**model_inputs(rows, system.columns))], dtype=np.bool_)
    return found


def _right(cells: Any, decided: Mask, rows: Mask) -> float | None:
    right = ((decided == (cells == 1)) | (cells < 0)).all(axis=1)
    return float(right[rows].mean()) if rows.any() else None
