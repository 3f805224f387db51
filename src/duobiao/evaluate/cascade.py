"""What a cascade gains: how many rows go on to the better model, what that does for quality, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duobiao.cascade import Cascade
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, check_texts, model_inputs
from duobiao.data.write import write_text
from duobiao.evaluate.bootstrap import Ids, units_of
from duobiao.evaluate.evaluation import Judged, judge
from duobiao.evaluate.latency import measure
from duobiao.evaluate.metrics import score
from duobiao.evaluate.paired import paired
from duobiao.labels import LabelSpace, Mask
from duobiao.outputs import check_outputs

SCORES = ("micro_f1", "macro_f1", "samples_f1", "group_accuracy")
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
        ``rows``, ``units`` (rows, or all rows of a ``group_id``, that are drawn together) and ``table``, a line a system:
        ``name``, ``band``, ``sent`` (share of the rows), ``micro_f1``, ``macro_f1``, ``samples_f1``, ``group_accuracy``,
        ``gains.{metric}`` (``gain, low, high`` over sending nothing, of those of the four that are defined; a paired bootstrap,
        see ``paired.paired``, and with fewer than 10 units ``low`` and ``high`` are None), ``rows_per_s``, ``speedup`` (against
        the second model, within rounds), and of the rows that were sent ``first_right`` and ``second_right``, the shares that
        are right in every known cell.

    Raises:
        BundleError: If the label spaces differ.
        ConfigError: If a band is none.
        DataError: If the rows do not fit the label space.
    """
    check_outputs([("--json", json_out)])
    systems: list[Classifier | Cascade] = [first.with_band(0), *(Cascade(first.with_band(band), second) for band in bands)]
    systems.append(second)
    check_texts(rows, "the cascade")
    own, better = (judge(one, rows) for one in (first, second))
    units = units_of(rows)
    none = np.zeros(len(rows), dtype=np.bool_)
    sent = [none, *(_unsure(first.with_band(band), rows) for band in bands), ~none]
    order = np.random.default_rng(0).permutation(len(rows))[:TIMED_ROWS].tolist()
    times = measure(systems, rows, len(systems) - 1, rounds or ROUNDS, order=order)
    table = []
    for system, band, gone, speed in zip(systems, [0.0, *bands, None], sent, times, strict=True):
        there = gone[:, None]
        decided = np.where(there, better.decided, own.decided)
        answered = Judged(own.cells, np.where(there, better.probabilities, own.probabilities), decided)
        scores = score(own.cells, decided, first.space)
        line = {"name": system.name, "band": band, "sent": float(gone.mean()), **{key: scores[key] for key in SCORES}}
        line["gains"] = _gains(answered, own, units, first.space)
        line |= {"first_right": _right(own, gone), "second_right": _right(better, gone)}
        table.append({**line, "rows_per_s": speed["rows_per_s"], "speedup": speed["speedup"]})
    found = {"rows": len(rows), "units": int(units.max()) + 1, "table": table}
    if json_out is not None:
        write_text(json_out, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    return found


def _unsure(system: Classifier, rows: Sequence[Row]) -> Mask:
    found: Mask = np.array([one.review for one in system.predict(**model_inputs(rows, system.columns))], dtype=np.bool_)
    return found


def _gains(ours: Judged, theirs: Judged, units: Ids, space: LabelSpace) -> dict[str, dict[str, float | None]]:
    bounds = paired(ours, theirs, units, space)
    scores = [score(one.cells, one.decided, space) for one in (ours, theirs)]
    return {
        key: {
            "gain": scores[0][key] - scores[1][key],
            "low": bounds[key].low if bounds else None,
            "high": bounds[key].high if bounds else None,
        }
        for key in SCORES
        if scores[0][key] is not None
    }


def _right(judged: Judged, rows: Mask) -> float | None:
    right = ((judged.decided == (judged.cells == 1)) | (judged.cells < 0)).all(axis=1)
    return float(right[rows].mean()) if rows.any() else None
