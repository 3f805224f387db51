"""What the linear baseline says of rows that it did not learn from: each row is answered by the fold that left it out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from duobiao import progress
from duobiao.config import LinearConfig
from duobiao.data.encode import Pair
from duobiao.data.rows import Row, numeric_columns
from duobiao.data.stratify import stratified_folds
from duobiao.data.units import tied_units
from duobiao.errors import ConfigError, DataError
from duobiao.features.apply import Features
from duobiao.labels import UNASKED, UNKNOWN, LabelSpace, Mask, Targets
from duobiao.models.linear import fit_linear
from duobiao.postprocess.probabilities import Floats, probabilities

MIN_POSITIVES = 2
"""A label of which a fold's training rows hold fewer positives is not judged there."""


def folds_of(rows: Sequence[Row], space: LabelSpace, count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """The fold of each row, ``(rows,)``: stratified by label, rows of one ``group_id`` or with the same text kept together.

    Raises:
        ConfigError: If there are fewer than two folds.
        DataError: If there are fewer dialogues and different texts than folds.
    """
    if count < 2:
        raise ConfigError(f"--folds {count}: nothing would be left out", hint="use 2 or more; 5 is usual")
    units = tied_units(rows)
    parts = int(units.max(initial=-1)) + 1
    if parts < count:
        raise DataError(
            f"{len(rows)} rows hold {parts} different texts and dialogues, fewer than {count} folds",
            hint="give more rows, or fewer --folds",
        )
    return stratified_folds(rows, units, space, count, seed)


def out_of_fold(
    config: LinearConfig, rows: Sequence[Row], cells: Targets, space: LabelSpace, folds: npt.NDArray[np.int64]
) -> Floats:
    """Probabilities of each row from the fold that it was left out of.

    Margins become probabilities on the left-out rows themselves, as ``train`` does on dev rows: two numbers for all independent
    labels and one for all groups, too few to learn a single answer. Labels that there is too little to learn from take no part:
    their margins say nothing, and would flatten the probabilities of all others.

    Args:
        config: The baseline.
        rows: Labelled rows.
        cells: Their cells, ``(rows, labels)``.
        space: The label space.
        folds: The fold of each row, ``(rows,)``.

    Returns:
        ``(rows, labels)``; NaN in cells that are not asked, and where a fold's training rows hold fewer than two positives of
        the label; a group's labels are judged together, if two of them have enough.

    Raises:
        DataError: If the texts hold no n-grams.
    """
    pairs: list[Pair] = [(row.text, row.context or None) for row in rows]
    found = np.full(cells.shape, np.nan, dtype=np.float32)
    for fold in range(int(folds.max(initial=-1)) + 1):
        progress.say(f"fold {fold + 1} of {int(folds.max()) + 1}")
        sides = [[int(at) for at in np.flatnonzero(mask)] for mask in (folds != fold, folds == fold)]
        features = Features.fit(config.features, config.input, [rows[at] for at in sides[0]], space)
        vectors = [_numbers(features, pairs, rows, side) for side in sides]
        train, held = (([pairs[at] for at in side], cells[side]) for side in sides)
        enough = (train[1] == 1).sum(axis=0) >= MIN_POSITIVES
        judged = _judged(enough, space)
        held[1][:, ~(enough & judged)] = UNKNOWN
        model = fit_linear(config, space, train, held, features, (vectors[0], vectors[1]))
        proba = probabilities(model.logits(held[0], features=vectors[1]), space)
        proba[:, ~judged] = np.nan
        found[sides[1]] = proba
    found[cells == UNASKED] = np.nan
    return found


def _numbers(
    features: Features, pairs: Sequence[Pair], rows: Sequence[Row], side: Sequence[int]
) -> npt.NDArray[np.float32] | None:
    if not features.width:
        return None
    numbers = numeric_columns(rows, features.columns)  # of all: a column may be blank throughout one side
    own = {name: [values[at] for at in side] for name, values in numbers.items()}
    return features.vectors([pairs[at] for at in side], own)


def _judged(enough: Mask, space: LabelSpace) -> Mask:
    """Which labels are judged, ``(labels,)``, given those with enough positives: a group's all together, or none of them."""
    judged = enough.copy()
    for columns in space.slices:
        judged[columns] = enough[columns].sum() >= min(2, columns.stop - columns.start)
    return judged
