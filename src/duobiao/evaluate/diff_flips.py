"""Two models' answers to the same rows, and the rows that they answer otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.data.rows import Row
from duobiao.labels import LabelSpace, Mask, Targets
from duobiao.postprocess.probabilities import Floats


@dataclass(frozen=True)
class Sides:
    """Truth and both answers, on the labels that both models have.

    Attributes:
        rows: The rows.
        units: The unit of each row, ``(rows,)``.
        names: The common labels.
        cells: Their truth, ``(rows, common labels)``; UNASKED where one of the models is not asked.
        proba: Probabilities of the old and of the new model, each ``(rows, common labels)``.
        decided: Their decisions, in the same form.
        given: All decisions of the new model, ``(rows, labels of the new model)``.
        truth: Truth of all labels, ``(rows, labels of space)``.
        space: All labels of both.
    """

    rows: Sequence[Row]
    units: npt.NDArray[np.int64]
    names: tuple[str, ...]
    cells: Targets
    proba: tuple[Floats, Floats]
    decided: tuple[Mask, Mask]
    given: Mask
    truth: Targets
    space: LabelSpace

    @cached_property
    def flipped(self) -> Mask:
        """Cells that both are asked and decide otherwise, ``(rows, common labels)``."""
        both = ~np.isnan(self.proba[0]) & ~np.isnan(self.proba[1])
        found: Mask = (self.decided[0] != self.decided[1]) & both
        return found

    @cached_property
    def broken(self) -> Mask:
        """Flips from right to wrong."""
        found: Mask = self.flipped & (self.cells >= 0) & (self.decided[0] == (self.cells == 1))
        return found

    @cached_property
    def fixed(self) -> Mask:
        """Flips from wrong to right."""
        found: Mask = self.flipped & (self.cells >= 0) & (self.decided[1] == (self.cells == 1))
        return found

    def moved(self, place: int) -> dict[str, int]:
        """Flips of one label: broken, fixed, and those whose truth is not known."""
        broken, fixed = int(self.broken[:, place].sum()), int(self.fixed[:, place].sum())
        return {"broken": broken, "fixed": fixed, "open": int(self.flipped[:, place].sum()) - broken - fixed}

    def joint(self, name: str) -> Targets:
        """Truth of any label, ``(rows,)``."""
        return self.truth[:, self.space.index[name]]

    def group_answers(self, labels: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
        """Right answers of each unit in an exclusive group and twice its known rows, ``(2, units)``, of the old and the new.

        An answer is right if it is so in all common labels of the group: where the truth is a label that only one model has,
        the other does best to give none of them. None if there is no common label, or nothing is known of them.
        """
        columns = [self.names.index(name) for name in labels if name in self.names]
        if not columns:
            return None
        known = (self.cells[:, columns] >= 0).all(axis=1)
        if not known.any():
            return None
        found = []
        for decided in self.decided:
            right = (decided[:, columns] == (self.cells[:, columns] == 1)).all(axis=1) & known
            sums = np.zeros((2, int(self.units.max()) + 1), dtype=np.int64)
            np.add.at(sums[0], self.units, right)
            np.add.at(sums[1], self.units, 2 * known)
            found.append(sums)
        return found[0], found[1]


def flip_totals(sides: Sides) -> dict[str, Any]:
    """How many rows and decisions flip."""
    rows = int(sides.flipped.any(axis=1).sum())
    cells, broken, fixed = int(sides.flipped.sum()), int(sides.broken.sum()), int(sides.fixed.sum())
    per_label = {name: sides.moved(place) for place, name in enumerate(sides.names) if sides.flipped[:, place].any()}
    return {
        "rows": rows,
        "share": rows / max(len(sides.rows), 1),
        "decisions": cells,
        "broken": broken,
        "fixed": fixed,
        "open": cells - broken - fixed,
        "labels": per_label,
    }


def flip_records(sides: Sides) -> list[dict[str, Any]]:
    """A record for each row with a flip.

    The worst come first: those with most decisions broken, less those fixed; of equals those whose probabilities moved most.
    """
    moves = np.abs(np.nan_to_num(sides.proba[1]) - np.nan_to_num(sides.proba[0]))
    places = np.flatnonzero(sides.flipped.any(axis=1))
    balance = sides.broken[places].sum(axis=1) - sides.fixed[places].sum(axis=1)
    distance = np.where(sides.flipped[places], moves[places], 0).sum(axis=1)
    return [_record(sides, int(place)) for place in places[np.lexsort((-distance, -balance))]]


def _record(sides: Sides, place: int) -> dict[str, Any]:
    row = sides.rows[place]

    def named(chosen: Mask) -> list[str]:
        return [name for name, yes in zip(sides.names, chosen, strict=True) if yes]

    record: dict[str, Any] = {"id": row.id, "text": row.text}
    record |= {} if row.context is None else {"context": row.context}
    record |= {} if row.labels is None else {"labels": list(row.labels)}
    record |= {} if not row.unknown else {"unknown": list(row.unknown)}
    flipped = np.flatnonzero(sides.flipped[place]).tolist()
    scores = {sides.names[at]: [round(float(own[place, at]), 6) for own in sides.proba] for at in flipped}
    record |= {"old": named(sides.decided[0][place]), "new": named(sides.decided[1][place])}
    return record | {"broken": named(sides.broken[place]), "fixed": named(sides.fixed[place]), "scores": scores}
