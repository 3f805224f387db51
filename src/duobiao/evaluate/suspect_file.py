"""Suspect labels of a file of rows, for people to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duobiao.config import LinearConfig
from duobiao.data.frozen import has_own_ids
from duobiao.data.read import read_rows
from duobiao.data.rows import check_texts, targets
from duobiao.data.write_rows import check_jsonl, write_records
from duobiao.evaluate.out_of_fold import folds_of, out_of_fold
from duobiao.evaluate.suspects import Suspect, find_suspects, suspect_records
from duobiao.labels import LabelSpace
from duobiao.outputs import check_outputs

FOLDS = 5


@dataclass(frozen=True)
class SuspectFile:
    """What was written.

    Attributes:
        rows: Rows that were looked at.
        found: Rows with a suspect answer.
        written: Rows in the file.
        decisions: How many answers are suspect, by label or group, the most first.
        not_judged: Labels with too few positives.
        own_ids: Whether rows have ids of their own; without them they are called by their number in the file.
    """

    rows: int
    found: int
    written: int
    decisions: dict[str, int]
    not_judged: tuple[str, ...]
    own_ids: bool


def write_suspects(
    data: str | Path,
    labels: Path,
    out: Path,
    *,
    folds: int = FOLDS,
    most: int | None = None,
    config: LinearConfig | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    seed: int = 0,
) -> SuspectFile:
    """Writes the rows whose labels the linear baseline doubts when it has not learned from them.

    The file is JSONL, the most suspect row first, and can be given to ``duobiao annotate export``; what comes back is merged
    into ``data`` by ``duobiao annotate import --base``. See ``suspects.suspect_records`` for its columns.

    Args:
        data: Labelled rows.
        labels: The label space.
        out: The file.
        folds: How many; every row is judged by a model of the others.
        most: Of so many rows at most.
        config: The baseline.
        columns: Own column names.
        separator: What parts labels in a cell.
        seed: Of the folds.

    Raises:
        DataError: If rows cannot be read, have no text or labels, or are fewer than folds; if ``out`` is the input or no JSONL.
        ConfigError: If there are fewer than two folds.
        LabelSpaceError: If the label space cannot be read.
    """
    check_jsonl(out)
    check_outputs([("--output", out)], [data, labels])
    space = LabelSpace.from_yaml(labels)
    rows = read_rows(data, space=space, columns=columns, separator=separator)
    check_texts(rows, "finding suspect labels")
    cells = targets(rows, space)
    proba = out_of_fold(config or LinearConfig(kind="linear"), rows, cells, space, folds_of(rows, space, folds, seed))
    found = find_suspects(cells, proba, space)
    records = suspect_records(rows, found, most)
    write_records(out, records)
    silent = np.isnan(np.where(cells >= 0, proba, 0.0)).any(axis=0)
    return SuspectFile(
        rows=len(rows),
        found=len({one.row for one in found}),
        written=len(records),
        decisions=_by_decision(found),
        not_judged=tuple(space.names[label] for label in np.flatnonzero(silent)),
        own_ids=has_own_ids(rows),
    )


def _by_decision(found: Sequence[Suspect]) -> dict[str, int]:
    return dict(Counter(one.decision for one in found).most_common())
