"""Fitting a calibration on dev rows: which map each decision gets is chosen on rows that the map was not fitted on."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
    numbers = np.unique(folds)
    if len(numbers) < 2:
        return Calibration()
    names = decisions_of(space)
    losses = {kind: np.zeros(len(names)) for kind in ("none", *KINDS)}
    for fold in numbers:
        inside, outside = folds != fold, folds == fold
        maps = _maps(logits[inside], cells[inside], space, shrink)
        for kind, found in {"none": Calibration(), **maps}.items():
            values = found.apply(logits[outside], space)
            losses[kind] += [loss_of(values, cells[outside], space, name) for name in names]
    maps = _maps(logits, cells, space, shrink)
    temperatures: dict[str, float] = {}
    steps: dict[str, Steps] = {}
    for number, name in enumerate(names):
        kind = min(("none", *KINDS), key=lambda kind: float(losses[kind][number]))
        if kind == "none" or losses[kind][number] >= losses["none"][number] - 1e-9:
            continue
        if name in maps[kind].steps:
            steps[name] = maps[kind].steps[name]
        elif name in maps[kind].temperatures:
            temperatures[name] = maps[kind].temperatures[name]
    return Calibration(temperatures, steps)


def loss_of(logits: Floats, cells: Targets, space: LabelSpace, name: str, temperature: float = 1.0) -> float:
    """The summed log-loss of a decision: of a label's cells, or of a group's answers. Logits ``(rows, labels)``."""
    columns = columns_of(name, space)
    return _loss(*_cells_of(logits, cells, columns), _with_none(name, space), temperature)


def rarer_rows(cells: Targets, columns: slice) -> int:
    """Rows of a label's rarer side; for a group, its known rows without those of its commonest answer."""
    own = cells[:, columns]
    known = own[(own >= 0).all(axis=1)]
    counts = (known == 1).sum(axis=0).tolist()
    counts.append(len(known) - sum(counts))
    return int(len(known) - max(counts))


def _maps(logits: Floats, cells: Targets, space: LabelSpace, shrink: float) -> Mapping[str, Calibration]:
    """Every kind of map, fitted on rows; a decision that a kind does not fit is left out of it."""
    names = decisions_of(space)
    parts = {
        name: (*_cells_of(logits, cells, columns_of(name, space)), _with_none(name, space))
        for name in names
        if rarer_rows(cells, columns_of(name, space))
    }
    common = _coolest(list(parts.values()))
    shared = {name: math.exp(common) for name in parts}
    own = {}
    for name, part in parts.items():
        rows = rarer_rows(cells, columns_of(name, space))
        own[name] = math.exp((rows * _coolest([part]) + shrink * common) / (rows + shrink))
    steps = {}
    for name in set(parts) & set(space.independent):
        values, truth, _ = parts[name]
        if min(int(truth.sum()), int((~truth.astype(bool)).sum())) >= ISOTONIC_ROWS:
            steps[name] = isotonic(values[:, 0], truth[:, 0] == 1)
    return {"shared": Calibration(shared), "own": Calibration(own), "isotonic": Calibration({}, steps)}


def isotonic(logits: Doubles, truth: npt.NDArray[np.bool_]) -> Steps:
    """The rising step function nearest to the truth, as lines between the ends of its steps."""
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(np.clip(logits, -FURTHEST, FURTHEST), truth)
    return Steps(tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist()))


def _coolest(parts: list[tuple[Doubles, Doubles, bool]]) -> float:
    """The logarithm of the temperature with the lowest log-loss over decisions together.

    The loss is convex in ``1 / T``, so it has one minimum over ``log T`` too.
    """
    if not parts:
        return 0.0

    def loss(log: float) -> float:
        return sum(_loss(*part, math.exp(log)) for part in parts)

    found = float(minimize_scalar(loss, bounds=(-REACH, REACH), method="bounded", options={"xatol": 1e-4}).x)
    return found if loss(found) < loss(0.0) else 0.0


def _cells_of(logits: Floats, cells: Targets, columns: slice) -> tuple[Doubles, Doubles]:
    """Logits and truth of the rows of which the decision is known, each ``(rows, columns)``."""
    own = cells[:, columns]
    known = (own >= 0).all(axis=1)
    return logits[known, columns].astype(np.float64), own[known].astype(np.float64)


def _with_none(name: str, space: LabelSpace) -> bool:
    """Whether "none of them" is an answer with logit 0: of ``at_most_one`` groups, and of a label (its "no")."""
    return name in space.independent or any(group.name == name and group.at_most_one for group in space.groups)


def _loss(logits: Doubles, truth: Doubles, with_none: bool, temperature: float) -> float:
    """Summed cross-entropy over a decision's answers."""
    if not len(logits):
        return 0.0
    values = logits / temperature
    if with_none:
        values = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
        truth = np.concatenate([truth, 1 - truth.sum(axis=1, keepdims=True)], axis=1)
    top = values.max(axis=1, keepdims=True)
    norm = np.log(np.exp(values - top).sum(axis=1, keepdims=True)) + top
    return float(((norm - values) * truth).sum())
