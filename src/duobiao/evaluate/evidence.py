"""The scores that a bundle carries along: with intervals, for the rows and the thresholds that they were measured with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from duobiao.bundle import read_bundle, write_metrics
from duobiao.card import CARD
from duobiao.card.licences import check_licence
from duobiao.card.stamp import stamp
from duobiao.classifier import Classifier
from duobiao.data.files import decode
from duobiao.data.rows import Row, rows_digest
from duobiao.errors import ConfigError, DataError
from duobiao.evaluate.evaluation import judge, scored
from duobiao.labels import LabelSpace, Mask, Targets
from duobiao.outputs import is_same

How = Literal["dev", "held_out", "test"]
SHOWN = ("micro_f1", "macro_f1", "samples_f1", "subset_accuracy", "group_accuracy", "hamming_loss")
"""Metrics with an interval."""
DEV = ("rows", "micro_f1", "macro_f1", "samples_f1", "subset_accuracy", "hamming_loss", "groups", "group_accuracy")
"""What a bundle has as its dev scores, besides the evidence for its card."""


def evidence(
    cells: Targets, decided: Mask, rows: Sequence[Row], space: LabelSpace, thresholds: Mapping[str, Any], how: How
) -> dict[str, Any]:
    """What a bundle keeps of its scores.

    Args:
        cells: Truth, ``(rows, labels)``.
        decided: Decisions, ``(rows, labels)``.
        rows: The scored rows; those of one ``group_id`` are drawn together.
        space: The label space.
        thresholds: As the bundle stores them; scores count for these alone.
        how: ``dev`` where the thresholds were chosen on the rows, ``held_out`` where each row was decided by those of other
            folds, ``test`` for rows that had no part in making the bundle.

    Returns:
        The keys of ``metrics.score``, ``how``, ``of`` (a name for the thresholds), ``digest`` (of the rows), ``unit``,
        ``units``, ``intervals.{metric}`` and ``per_label.{label}.interval``: see ``intervals.intervals``.
    """
    return {**sheet(cells, decided, rows, space), "how": how, "of": stamp(thresholds)}


def sheet(cells: Targets, decided: Mask, rows: Sequence[Row], space: LabelSpace) -> dict[str, Any]:
    """``evidence`` without what it belongs to."""
    found, bounds = scored(cells, decided, rows, space)
    shown = {name: bounds["metrics"][name] for name in SHOWN if bounds["metrics"][name] is not None}
    return {**found, "digest": rows_digest(rows), "intervals": shown}


def describe(
    path: str | Path,
    rows: Sequence[Row] | None = None,
    *,
    license_name: str | None = None,
    notes: str | Path | None = None,
) -> dict[str, Any] | None:
    """Writes a bundle's card anew, with scores on test rows if there are any; what is left out stays as it is.

    Args:
        path: The bundle; its answers and its digest do not change.
        rows: Labelled rows that had no part in making it.
        license_name: The licence's name on the Hub, such as ``apache-2.0``; empty takes it away.
        notes: Words of one's own (Markdown), or the path of a file of them: what the model is for, who answers for it.

    Returns:
        The test scores as the bundle keeps them; None without rows.

    Raises:
        BundleError: If it is no bundle, is damaged, or cannot be written.
        DataError: If the rows do not fit the label space, or the notes cannot be read.
        ConfigError: If the rows are the bundle's own training or dev rows, or the Hub knows no such licence.
    """
    if license_name is not None:
        check_licence(license_name)
    changes: dict[str, Any] = {}
    if isinstance(notes, Path):
        if is_same(notes, Path(path) / CARD):
            raise DataError(f"{notes}: is the card itself", hint="put your own words into another file")
        notes = _read(notes)
    if rows is None:
        bundle = read_bundle(path)  # words need no model
    else:
        system = Classifier.load(path)
        bundle = system.bundle
        changes["test"] = on_test_rows(system, rows)
    own = dict(bundle.metrics.get("card", {}))
    own |= {} if license_name is None else {"license": license_name}
    own |= {} if notes is None else {"notes": notes.strip()}
    write_metrics(path, {**changes, "card": {key: value for key, value in own.items() if value} or None})
    return changes.get("test")


def _read(path: Path) -> str:
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}", hint="give a text file in Markdown") from error


def on_test_rows(system: Classifier, rows: Sequence[Row]) -> dict[str, Any]:
    """Scores of a bundle on test rows, bound to its digest.

    Raises:
        DataError: If the rows do not fit the label space.
        ConfigError: If the rows are the bundle's own training or dev rows.
    """
    own = own_rows(system.bundle.metrics).get(rows_digest(rows))
    if own is not None:
        raise ConfigError(
            f"{system.name}: these are its own {own} rows, whose scores are no test scores",
            hint="give rows that had no part in making it",
        )
    judged = judge(system, rows)
    return {**sheet(judged.cells, judged.decided, rows, system.space), "how": "test", "of": system.bundle.digest}


def own_rows(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What a bundle was made from: the names of its rows by their digests, those of bundles that it grew from too."""
    data = metrics.get("data", {})
    digests = {name: block.get("digest") for name, block in data.items() if isinstance(block, Mapping)}
    return {**data.get("seen", {}), **{digest: name for name, digest in digests.items() if isinstance(digest, str)}}
