"""Fitting a calibration on dev rows: which map each decision gets is chosen on rows that the map was not fitted on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from duobiao.labels import LabelSpace, Targets
from duobiao.postprocess.calibration import FURTHEST, Calibration, Steps, columns_of, decisions_of
from duobiao.postprocess.probabilities import Floats

ISOTONIC_ROWS = 100
"""An isotonic map needs so many true and so many false rows of a label. Its steps are means of neighbouring rows, so it has as
many parameters as the rows carry; below some hundreds of them it mostly does worse than a map of one parameter (Niculescu-Mizil
and Caruana, "Predicting Good Probabilities with Supervised Learning", 2005, section 5). Held-out rows then choose."""
REACH = math.log(20.0)
"""Temperatures lie in [1/20, 20]."""
KINDS = ("shared", "own", "isotonic")
"""What is tried for a decision, besides leaving it alone: the temperature of all decisions, its own, an isotonic map."""
Ids = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def fit(logits: Floats, cells: Targets, space: LabelSpace, folds: Ids, shrink: float) -> Calibration:
    """Chooses and fits a map for each decision.

    Each kind is fitted on all folds but one and scored there, in turn. A decision gets the kind with the lowest log-loss over
    its held-out cells, fitted on all rows, and none if that is not lower than without.

    Args:
        logits: Shape ``(rows, labels)``, not calibrated.
        cells: Truth, shape ``(rows, labels)``; cells that are not 0 or 1 are left out.
        space: The label space.
        folds: The fold of each row, ``(rows,)``.
        shrink: A decision's own temperature counts as much as the shared one, in logarithms, at so many rows of its rarer side.
    """
    return Fits(logits, cells, space, folds, shrink).fit()


@dataclass(frozen=True)
class Fits:
    """``fit`` on rows, and on the same rows without some of their folds; whatever several of these need is fitted once.

    Attributes:
        logits: See ``fit``, as the others.
        cells: Truth.
        space: The label space.
        folds: The fold of each row.
        shrink: The weight of the shared temperature.
    """

    logits: Floats
    cells: Targets
    space: LabelSpace
    folds: Ids
    shrink: float
    _found: dict[frozenset[int], Mapping[str, Calibration]] = field(default_factory=dict, repr=False, compare=False)
    _losses: dict[tuple[frozenset[int], int], Mapping[str, Doubles]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The folds."""
        return tuple(np.unique(self.folds).tolist())

    def fit(self, without: frozenset[int] = frozenset()) -> Calibration:
        """What ``fit`` finds on the rows of all folds but some; rows of those play no part, neither in maps nor in choices."""
        inside = [fold for fold in self.numbers if fold not in without]
        if len(inside) < 2:
            return Calibration()
        losses = [self._losses_on(fold, without | {fold}) for fold in inside]
        summed = {kind: np.sum([one[kind] for one in losses], axis=0) for kind in ("none", *KINDS)}
        maps = self._maps(without)
        temperatures: dict[str, float] = {}
        steps: dict[str, Steps] = {}
        for number, name in enumerate(decisions_of(self.space)):
            kind = min(("none", *KINDS), key=lambda kind: float(summed[kind][number]))
            if kind == "none" or summed[kind][number] >= summed["none"][number] - 1e-9:
                continue
            if name in maps[kind].steps:
                steps[name] = maps[kind].steps[name]
            elif name in maps[kind].temperatures:
                temperatures[name] = maps[kind].temperatures[name]
        return Calibration(temperatures, steps)

    def _maps(self, without: frozenset[int]) -> Mapping[str, Calibration]:
        if without not in self._found:
            rows = ~np.isin(self.folds, list(without))
            self._found[without] = _maps(self.logits[rows], self.cells[rows], self.space, self.shrink)
        return self._found[without]

    def _losses_on(self, fold: int, without: frozenset[int]) -> Mapping[str, Doubles]:
        """For each kind, the loss of every decision on a fold, by maps fitted without some folds, ``(decisions,)``."""
        if (without, fold) not in self._losses:
            rows, names = self.folds == fold, decisions_of(self.space)
            logits, cells = self.logits[rows], self.cells[rows]
            values = {"none": logits} | {kind: one.apply(logits, self.space) for kind, one in self._maps(without).items()}
            self._losses[without, fold] = {
                kind: np.array([loss_of(own, cells, self.space, name) for name in names]) for kind, own in values.items()
            }
        return self._losses[without, fold]


def loss_of(logits: Floats, cells: Targets, space: LabelSpace, name: str, temperature: float = 1.0) -> float:
    """The summed log-loss of a decision: of a label's cells, or of a group's answers. Logits ``(rows, labels)``."""
    return _loss(*_answers(logits, cells, space, name), temperature)


def rarer_rows(cells: Targets, columns: slice) -> int:
    """Rows of a label's rarer side; for a group, its known rows without those of its commonest answer."""
    own = cells[:, columns]
    known = own[(own >= 0).all(axis=1)]
    counts = (known == 1).sum(axis=0).tolist()
    counts.append(len(known) - sum(counts))
    return int(len(known) - max(counts))


def _maps(logits: Floats, cells: Targets, space: LabelSpace, shrink: float) -> Mapping[str, Calibration]:
    """Every kind of map, fitted on rows; a decision that a kind does not fit is left out of it."""
    parts = {
        name: _answers(logits, cells, space, name) for name in decisions_of(space) if rarer_rows(cells, columns_of(name, space))
    }
    common = _coolest(list(parts.values()))
    own = {}
    for name, (values, truth) in parts.items():
        rows = rarer_rows(cells, columns_of(name, space))
        own[name] = math.exp((rows * _coolest([(values, smoothed(truth))]) + shrink * common) / (rows + shrink))
    steps = {}
    for name in set(parts) & set(space.independent):
        values, truth = parts[name]
        if truth.sum(axis=0).min() >= ISOTONIC_ROWS:
            steps[name] = isotonic(values[:, 0], truth[:, 0] == 1)
    shared = Calibration({name: math.exp(common) for name in parts})
    return {"shared": shared, "own": Calibration(own), "isotonic": Calibration({}, steps)}


def isotonic(logits: Doubles, truth: npt.NDArray[np.bool_]) -> Steps:
    """The rising step function nearest to the smoothed truth, as lines between the ends of its steps."""
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(np.clip(logits, -FURTHEST, FURTHEST), truth)
    positives = int(truth.sum())
    low, high = 1 / (len(truth) - positives + 2), (positives + 1) / (positives + 2)
    return Steps(tuple(model.X_thresholds_.tolist()), tuple((low + (high - low) * model.y_thresholds_).tolist()))


def smoothed(truth: Doubles) -> Doubles:
    """Truth as far as its rows can vouch for it, ``(rows, answers)``, rows adding up to 1.

    Of A answers, one that is true n times counts ``(n + 1) / (n + A)`` where it is, and ``1 / (n + A)`` goes to each of the
    others; for a label these are the targets of Platt, "Probabilistic Outputs for Support Vector Machines" (1999), section 2.2.
    Without them, a label whose few rows are all right would be made as certain as its temperature goes, and its next error
    would cost more than all that was gained.
    """
    answers = truth.shape[1]
    counts = truth.sum(axis=0)
    sizes = (truth @ counts)[:, None] + answers
    found: Doubles = (1 + truth * (sizes - answers)) / sizes
    return found


def _coolest(parts: list[tuple[Doubles, Doubles]]) -> float:
    """The logarithm of the temperature with the lowest log-loss over decisions together.

    The loss is convex in ``1 / T``, so it has one minimum over ``log T`` too.
    """
    if not parts:
        return 0.0

    def loss(log: float) -> float:
        return sum(_loss(*part, math.exp(log)) for part in parts)

    found = float(minimize_scalar(loss, bounds=(-REACH, REACH), method="bounded", options={"xatol": 1e-4}).x)
    return found if loss(found) < loss(0.0) else 0.0


def _answers(logits: Floats, cells: Targets, space: LabelSpace, name: str) -> tuple[Doubles, Doubles]:
    """Logits and truth of a decision's answers in the rows of which it is known, each ``(rows, answers)``.

    "None of them" is the last answer, with logit 0, of ``at_most_one`` groups, and of a label (its "no").
    """
    columns = columns_of(name, space)
    own = cells[:, columns]
    known = (own >= 0).all(axis=1)
    values, truth = logits[known, columns].astype(np.float64), own[known].astype(np.float64)
    if name in space.independent or any(group.name == name and group.at_most_one for group in space.groups):
        values = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
        truth = np.concatenate([truth, 1 - truth.sum(axis=1, keepdims=True)], axis=1)
    return values, truth


def _loss(logits: Doubles, truth: Doubles, temperature: float) -> float:
    """Summed cross-entropy over a decision's answers."""
    if not len(logits):
        return 0.0
    values = logits / temperature
    top = values.max(axis=1, keepdims=True)
    norm = np.log(np.exp(values - top).sum(axis=1, keepdims=True)) + top
    return float(((norm - values) * truth).sum())
