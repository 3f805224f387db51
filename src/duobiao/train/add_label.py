"""A further label for a finished model: from few rows, without training anew, and without an old label falling unnoticed.

The story of ``duobiao add-label``: read the rows for the grown label space, give the output layer further rows, fit them (or
train the whole model on), tune the new labels' thresholds, and let the release gate compare the result with the old bundle.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from duobiao.bundle import write_bundle
from duobiao.data.rows import Row
from duobiao.evaluate.diff import Diff, Limits, diff
from duobiao.train.add_label_rows import NewLabels
from duobiao.train.add_label_work import Settings, Work, rejected

__all__ = ["Added", "Settings", "add_label"]


@dataclass(frozen=True)
class Added:
    """What became of it.

    Attributes:
        place: The bundle that was written: ``out``, or ``out.rejected``.
        accepted: Whether the gate let it pass, or drops were accepted.
        labels: A line a new label: ``label, positives, f1, low, high, threshold``, F1 held out on dev rows.
        gate: The comparison with the old bundle.
        seconds: All of it.
    """

    place: Path
    accepted: bool
    labels: list[dict[str, Any]]
    gate: Diff
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For a report."""
        told = {"bundle": str(self.place), "accepted": self.accepted, "seconds": self.seconds, "labels": self.labels}
        return {**told, "gate": self.gate.found}


def add_label(
    path: str | Path,
    asked: NewLabels,
    train: Sequence[Row],
    dev: Sequence[Row],
    out: str | Path,
    *,
    replay: Sequence[Row] = (),
    settings: Settings | None = None,
    limits: Limits | None = None,
    force: bool = False,
) -> Added:
    """Adds labels to a bundle; see ``Known`` for what rows are taken to say.

    Args:
        path: The old bundle.
        asked: The new labels.
        train: Rows of the new labels: some with, some without.
        dev: Labelled rows for the new thresholds and for the gate. If none carries a new label, a fifth of ``train`` is held
            back for its threshold.
        out: Where the new bundle goes; what the gate refuses goes to ``out.rejected``.
        replay: Rows that the old bundle was trained on.
        settings: How.
        limits: What may be lost; see ``diff``.
        force: Begin anew where an interrupted run was left, and replace a bundle at ``out``.

    Raises:
        ConfigError: If the new labels do not fit the label space, or the settings the bundle.
        BundleError: If the bundle cannot be given a label, or ``out`` is taken.
        DataError: If rows do not fit, or do not say enough of a new label.
    """
    began, settings, out = time.monotonic(), settings or Settings(), Path(out)
    work = Work.begin(path, asked, train, dev, replay, settings, out, force)
    bundle, logits = work.fit()
    labels, system = work.decided(bundle, logits, time.monotonic() - began)
    allowed = replace(limits or Limits(), removed=(limits or Limits()).removed or asked.remove)
    gate = diff(work.old, system, work.dev, allowed)
    accepted = gate.passed or settings.accept_drops
    place = out if accepted else rejected(out)
    metrics = system.bundle.metrics
    story = {**metrics["add_label"], "passed": gate.passed}
    write_bundle(place, replace(system.bundle, metrics={**metrics, "add_label": story}))
    work.clear()
    return Added(place, accepted, labels, gate, time.monotonic() - began)
