"""Label thresholds that are best together: for micro-F1, and for samples-F1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duobiao.labels import LabelSpace, Mask, Targets
from duobiao.postprocess.cuts import Cuts, Doubles, sums_below
from duobiao.postprocess.probabilities import Floats
from duobiao.postprocess.thresholds import best_threshold

ROUNDS = 50


@dataclass(frozen=True)
class Tables:
    """Independent labels on dev rows, and what the groups add to the same sums.

    Attributes:
        values: Probabilities, ``(rows, independent labels)``.
        truth: Which cells are true, of the same shape.
        known: Which are known.
        group_hits: Right answers of the groups in each row, ``(rows,)``.
        group_labels: Given and true labels of the groups in each row, together, ``(rows,)``.
    """

    values: Doubles
    truth: Mask
    known: Mask
    group_hits: Doubles
    group_labels: Doubles

    @classmethod
    def of(cls, proba: Floats, cells: Targets, space: LabelSpace, decided: Mask) -> Tables:
        free = len(space.independent)
        own, guess = cells[:, free:], decided[:, free:] & (cells[:, free:] >= 0)
        hits, labels = ((own == 1) & guess).sum(axis=1), (own == 1).sum(axis=1) + guess.sum(axis=1)
        return cls(
            proba[:, :free].astype(np.float64),
            cells[:, :free] == 1,
            cells[:, :free] >= 0,
            hits.astype(np.float64),
            labels.astype(np.float64),
        )

    def column(self, label: int) -> tuple[Doubles, Mask]:
        """Values and truth of a label's known rows."""
        known = self.known[:, label]
        return self.values[known, label], self.truth[known, label]


def micro_thresholds(tables: Tables) -> Doubles:
    """The thresholds with the highest micro-F1, ``(independent labels,)``; 0.5 for labels without known rows.

    Micro-F1 is a fraction of sums over labels, ``2 sum hits / sum (predicted + true)``. Dinkelbach's method ("On Nonlinear
    Fractional Programming", 1967) finds its highest value: for a guess F, each label alone takes the threshold with the most
    ``2 hits - F predicted``; what they reach together is the next F, until it rises no more.
    """
    count = tables.values.shape[1]
    cuts = [Cuts.of(*tables.column(label)) if tables.known[:, label].any() else None for label in range(count)]
    true = int(tables.truth.sum())
    result = np.full(count, best_threshold(tables.values[tables.known], tables.truth[tables.known]))
    best = -1.0
    for _ in range(ROUNDS):
        guess = (tables.values >= result) & tables.known
        whole = float(guess.sum()) + true + float(tables.group_labels.sum())
        reached = 2 * (float((guess & tables.truth).sum()) + float(tables.group_hits.sum())) / whole if whole else 0.0
        if reached <= best + 1e-12:
            break
        best = reached
        result = np.array([0.5 if own is None else own.best(2 * own.hits - best * own.predicted) for own in cuts])
    return result


def samples_thresholds(tables: Tables, start: Doubles) -> Doubles:
    """Thresholds with a high samples-F1, ``(independent labels,)``: none of them can be bettered alone.

    Label by label, in turn, until a round changes nothing: with the other labels as they are, each row knows what its F1 would
    be with the label and without it, so the sum of the differences above a cut says what the cut is worth.
    """
    result = start.copy()
    guess = (tables.values >= result) & tables.known
    hits = (guess & tables.truth).sum(axis=1) + tables.group_hits
    labels = guess.sum(axis=1) + (tables.truth & tables.known).sum(axis=1) + tables.group_labels
    for _ in range(ROUNDS):
        changed = False
        for label in range(len(result)):
            known = tables.known[:, label]
            if not known.any():
                continue
            values, truth = tables.column(label)
            own = guess[known, label]
            others, size = hits[known] - (own & truth), labels[known] - own
            gain = 2 * (others + truth) / (size + 1) - 2 * others / np.maximum(size, 1)
            cuts = Cuts.of(values, truth)
            worth = gain.sum() - sums_below(values, gain, cuts.thresholds)[1]
            now = float(gain[own].sum())
            if worth.max() <= now + 1e-9:
                continue
            result[label], changed = cuts.best(worth), True
            then = values >= result[label]
            hits[known] = others + (then & truth)
            labels[known] = size + then
            guess[known, label] = then
        if not changed:
            break
    return result
