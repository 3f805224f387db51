"""Whether an exported bundle decides as the torch bundle does, on real rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao.builtin import DATASETS, folder
from duobiao.classifier import Classifier
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, model_inputs
from duobiao.errors import BundleError
from duobiao.labels import LabelSpace, Mask
from duobiao.postprocess.probabilities import Floats

TOLERANCE = 1e-3
"""Largest difference of a probability."""
MOST_ROWS = 2000
Answers = Mapping[str, tuple[Floats, Mask]]
"""Probabilities and decisions by operating point, each ``(rows, labels)``."""


@dataclass(frozen=True)
class Agreement:
    """Two systems on the same rows.

    Attributes:
        rows: Number of rows.
        cells: Number of decisions on labels that were asked.
        largest: Largest difference of a probability.
        flips: How often each label was decided otherwise; labels that were not are left out.
    """

    rows: int
    cells: int
    largest: float
    flips: dict[str, int]

    @property
    def flipped(self) -> int:
        """Decisions that differ."""
        return sum(self.flips.values())

    def to_dict(self) -> dict[str, Any]:
        """The form stored in a bundle."""
        return {"rows": self.rows, "cells": self.cells, "largest": self.largest, "flipped": self.flipped, "flips": self.flips}

    def __str__(self) -> str:
        return (
            f"on {self.rows} rows probabilities differ by at most {self.largest:.2g}, and {self.flipped} of {self.cells} "
            "decisions flip"
        )


def compared(space: LabelSpace, first: tuple[Floats, Mask], second: tuple[Floats, Mask]) -> Agreement:
    """Agreement of (probabilities, decisions), each ``(rows, labels)``, NaN where not asked."""
    asked = ~np.isnan(first[0])
    gap = np.abs(np.where(asked, first[0] - second[0], 0))
    gap[np.isnan(gap)] = np.inf
    counts = ((first[1] != second[1]) & asked).sum(0)
    flips = {name: int(count) for name, count in zip(space.names, counts, strict=True) if count}
    return Agreement(len(gap), int(asked.sum()), float(gap.max(initial=0)), flips)


def answers(system: Classifier, inputs: dict[str, Any]) -> Answers:
    """What a system says of rows at each of its operating points.

    Logits are computed once, but for models whose thresholds decide how far a row runs.
    """
    if system.leaves_early:
        return {point: system.at(point).decide(**inputs) for point in system.operating_points}
    logits = system.logits(**inputs)
    return {point: system.at(point).decided(logits, inputs["context"]) for point in system.operating_points}


def check_agreement(torch: Classifier, own: Answers, exported: Answers) -> Agreement:
    """Compares an export with what it was made from, at every operating point.

    Args:
        torch: What it was made from.
        own: Its answers.
        exported: Those of the export to the same rows.

    Returns:
        The agreement at the default point.

    Raises:
        BundleError: If probabilities differ by more than ``TOLERANCE``, or a decision flips; with the numbers.
    """
    found = {point: compared(torch.space, own[point], exported[point]) for point in own}
    off = {point: one for point, one in found.items() if one.largest > TOLERANCE or one.flipped}
    if off:
        raise BundleError(
            f"{torch.bundle.name}: the export does not agree with PyTorch and is not written: {next(iter(off.values()))}",
            hint=f"probabilities may differ by {TOLERANCE:g}; please report this with the kind of the bundle",
            problems=[f"{p}: {name}: {count} decisions flip" for p, one in off.items() for name, count in one.flips.items()],
        )
    return found[torch.point]


def inputs_of(system: Classifier, rows: Sequence[Row] | None, most: int | None = MOST_ROWS) -> dict[str, Any]:
    """What both are asked: the first of the given rows, or built-in texts under every context that the label space knows."""
    if rows is not None:
        return model_inputs(rows[:most], system.columns)
    texts = [row.text for name in DATASETS for row in read_rows(folder(name) / "test.jsonl", labelled=False)]
    contexts = [None, *sorted({context for group in system.space.groups for context in group.contexts or ()})]
    found: dict[str, Any] = {"texts": texts, "context": [contexts[place % len(contexts)] for place in range(len(texts))]}
    return {**found, "numeric": {name: [None] * len(texts) for name in system.columns}} if system.columns else found
