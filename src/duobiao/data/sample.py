"""A few rows of every label or every dialogue node, for looking at or for annotating."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.write_rows import check_jsonl, write_rows
from duobiao.errors import DataError
from duobiao.labels import LabelSpace, node_of
from duobiao.outputs import check_outputs

Per = Literal["label", "node", "all"]
NO_NODE = "(no context)"
ALL = "(all rows)"


@dataclass(frozen=True)
class Sample:
    """Rows that were drawn.

    Attributes:
        rows: The rows, in file order, none twice.
        report: ``categories``: for each label or node how many rows there are, how many were drawn, and how many are short.
    """

    rows: list[Row]
    report: dict[str, Any]


def sample_rows(rows: Sequence[Row], n: int, per: Per = "label", seed: int = 0, space: LabelSpace | None = None) -> Sample:
    """Draws ``n`` rows of each label or node, or ``n`` rows in all.

    A row with several labels counts for each of them: rare labels are drawn first, and what they bring along is not drawn
    again, so a common label may come to more than ``n`` rows.

    Args:
        rows: The rows.
        n: How many of each.
        per: What is counted.
        seed: The same seed draws the same rows.
        space: Labels that are expected, so that one without any row is told.

    Raises:
        DataError: If ``n`` is below 1, or no row can be drawn.
    """
    if n < 1:
        raise DataError(f"--n {n}: draw at least one row", hint="give --n 50")
    members: dict[str, list[int]] = {label: [] for label in (space.names if space is not None and per == "label" else ())}
    outside = 0
    for number, row in enumerate(rows):
        found = _categories(row, per)
        outside += not found
        for name in found:
            members.setdefault(name, []).append(number)
    if not any(members.values()):
        raise DataError(f"no row can be drawn per {per}", hint="give labelled rows" if per == "label" else "give rows")
    lots = np.random.default_rng(seed).permutation(len(rows)).tolist()
    chosen = set[int]()
    for name in sorted(members, key=lambda name: (len(members[name]), name)):
        waiting = sorted((number for number in members[name] if number not in chosen), key=lots.__getitem__)
        chosen.update(waiting[: max(n - (len(members[name]) - len(waiting)), 0)])
    taken = Counter(name for number in chosen for name in _categories(rows[number], per))
    report = {
        "per": per,
        "n": n,
        "seed": seed,
        "rows": len(rows),
        "drawn": len(chosen),
        "without_category": outside,
        "categories": {
            name: {"rows": len(found), "drawn": taken[name], "short": max(n - len(found), 0)} for name, found in members.items()
        },
    }
    return Sample([rows[number] for number in sorted(chosen)], report)


def _categories(row: Row, per: Per) -> tuple[str, ...]:
    if per == "label":
        return row.labels or ()
    return (ALL,) if per == "all" else (node_of(row.context) or NO_NODE,)


def sample_file(
    path: Path | str,
    output: Path,
    *,
    n: int,
    per: Per = "label",
    seed: int = 0,
    labels: Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Sample:
    """Reads rows, draws a sample, and writes it as JSONL.

    Raises:
        DataError: If the rows cannot be read, nothing can be drawn, or the output is the input.
    """
    check_jsonl(output)
    check_outputs([("--output", output)], [path, labels])
    space = LabelSpace.from_yaml(labels) if labels is not None else None
    rows = read_rows(path, space=space, columns=columns, separator=separator)
    sample = sample_rows(rows, n, per, seed, space)
    write_rows(output, sample.rows)
    return sample
