"""What leaving early costs and saves, worked out from the logits of every exit without running the model again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.errors import ConfigError
from duobiao.evaluate.metrics import score
from duobiao.labels import UNASKED, Mask, Targets
from duobiao.models.flops import Cost
from duobiao.postprocess.calibration import NO_CALIBRATION, Calibration
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.leaving import Criterion, Leaving, calibrate
from duobiao.postprocess.probabilities import Floats, probabilities

SPEEDS: dict[Criterion, tuple[float, ...]] = {
    "margin": (
        *(0.001, 0.0015, 0.002, 0.0025, 0.003, 0.004, 0.005, 0.006, 0.007, 0.0085, 0.01, 0.012, 0.015, 0.02, 0.025, 0.03),
        *(0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3),
    ),
    "entropy": (
        *(5e-4, 1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 7e-3, 0.01, 0.012, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.07, 0.085),
        *(0.1, 0.12, 0.15, 0.2, 0.3, 0.5),
    ),
}
"""The settings that are tried; speed 0, full depth, always comes first."""
FOLDS = 5


@dataclass(frozen=True)
class Exits:
    """What a model with exits says of labelled rows.

    Attributes:
        early: Logits of each exit, ``(exits, rows, labels)``.
        last: Logits of the last layer, ``(rows, labels)``.
        cells: Truth, ``(rows, labels)``.
        lengths: Tokens of each row, ``(rows,)``.
        decoder: Thresholds and rules.
        cost: What layers and exits cost.
        calibration: What stands between the logits, which are the model's own, and the thresholds.
    """

    early: Floats
    last: Floats
    cells: Targets
    lengths: npt.NDArray[np.int64]
    decoder: Decoder
    cost: Cost
    calibration: Calibration = NO_CALIBRATION

    @property
    def asked(self) -> Mask:
        found: Mask = self.cells != UNASKED
        return found

    def rule(self, criterion: Criterion, speed: float, exits: Sequence[int]) -> Leaving:
        """The rule of a setting, calibrated on all rows."""
        if criterion == "margin":
            early = np.stack([self._calibrated(logits) for logits in self.early])
            errors = calibrate(early, self._calibrated(self.last), self.asked, self.decoder, speed)
        else:
            errors = np.full((len(self.early), 2, self.decoder.space.decisions), np.inf, dtype=np.float32)
        return Leaving(self.decoder, criterion, speed, errors, tuple(exits), self.calibration)

    def _calibrated(self, logits: Floats) -> Floats:
        return self.calibration.apply(logits, self.decoder.space)

    def places(self, rule: Leaving) -> npt.NDArray[np.int64]:
        """The exit at which each row leaves, ``(rows,)``; the number of exits for the last layer."""
        leaves = [rule.leaves(number, logits, self.asked) for number, logits in enumerate(self.early)]
        return first_exits(np.stack(leaves), rule.exits)

    def decided(self, places: npt.NDArray[np.int64]) -> Mask:
        """Decisions on rows that leave there, ``(rows, labels)``."""
        logits = np.concatenate([self.early, self.last[None]])[places, np.arange(len(places))]
        told = self._calibrated(logits)
        return self.decoder.decide(probabilities(told, self.decoder.space), self.asked, told)

    def scored(self, places: npt.NDArray[np.int64]) -> dict[str, Any]:
        """The metrics of rows that leave there, as ``metrics.score`` gives them."""
        return score(self.cells, self.decided(places), self.decoder.space)

    def under(self, setting: Setting) -> Mask:
        """Decisions at a setting, calibrated on all rows, ``(rows, labels)``."""
        return self.decided(self.places(self.rule(setting.criterion, setting.speed, setting.exits)))


@dataclass(frozen=True)
class Setting:
    """A setting of the dial, and what it does on dev rows.

    Attributes:
        criterion: ``margin`` or ``entropy``.
        speed: The dial.
        exits: The exits in use, by number.
        macro_f1: On dev rows.
        micro_f1: On dev rows.
        lost: Macro-F1 points that leaving early costs there.
        layers: Mean share of the layers that a row runs through.
        flops_gain: Operations of the whole model over those of this setting.
        left: Share of the rows that leave at each exit of the model, the last layer at the end.
    """

    criterion: Criterion
    speed: float
    exits: tuple[int, ...]
    macro_f1: float
    micro_f1: float
    lost: float
    layers: float
    flops_gain: float
    left: tuple[float, ...]

    @property
    def dial(self) -> dict[str, Any]:
        """What a bundle's model keeps of it."""
        return {"criterion": self.criterion, "speed": self.speed, "exits": list(self.exits)}

    def to_dict(self) -> dict[str, Any]:
        """For tables and bundles."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def first_exits(leaves: npt.NDArray[np.bool_], used: Sequence[int]) -> npt.NDArray[np.int64]:
    """The exit at which each row leaves, ``(rows,)``, from ``leaves`` ``(exits, rows)``; the number of exits if at none."""
    allowed = np.zeros(len(leaves), dtype=np.bool_)
    allowed[list(used)] = True
    found = leaves & allowed[:, None]
    return np.where(found.any(axis=0), found.argmax(axis=0), len(leaves)).astype(np.int64)


def settings_of(found: Exits, criterion: Criterion, speeds: Sequence[float] | None = None) -> list[Setting]:
    """What each speed does, full depth first.

    Margins are calibrated on four fifths of the rows and tried on the fifth, in turn, so that no row is judged by an error that
    it helped to find. Exits that cost more than they spare are left out (``worth_it``).
    """
    asked = found.asked
    whole = _setting(found, criterion, 0.0, (), np.full(len(found.last), len(found.early)), None)
    result = [whole]
    for speed in speeds if speeds is not None else SPEEDS[criterion]:
        if speed <= 0:
            continue
        leaves = np.zeros(found.early.shape[:2], dtype=np.bool_)
        everywhere = tuple(range(len(found.early)))
        for fold in _folds(len(found.last)) if criterion == "margin" else [np.arange(len(found.last))]:
            rest = np.setdiff1d(np.arange(len(found.last)), fold) if criterion == "margin" else fold
            rule = _part(found, rest).rule(criterion, speed, everywhere)
            for number in everywhere:
                leaves[number, fold] = rule.leaves(number, found.early[number, fold], asked[fold])
        used = worth_it(leaves, found.lengths, found.cost)
        result.append(_setting(found, criterion, speed, used, first_exits(leaves, used), whole))
    return result


def worth_it(leaves: npt.NDArray[np.bool_], lengths: npt.NDArray[np.int64], cost: Cost) -> tuple[int, ...]:
    """The exits that spare more than they cost: those that cost most are taken out one by one while that helps."""
    used = tuple(range(len(leaves)))

    def total(exits: tuple[int, ...]) -> float:
        return float(cost.of_rows(first_exits(leaves, exits), lengths, exits, with_overhead=True).sum())

    best = total(used)
    while used:
        fewer = [tuple(number for number in used if number != gone) for gone in used]
        totals = [total(exits) for exits in fewer]
        if min(totals) > best:
            break
        best, used = min(totals), fewer[int(np.argmin(totals))]
    return used


def lose_at_most(settings: Sequence[Setting], points: float) -> Setting:
    """The fastest setting that costs at most so many macro-F1 points, and all slower ones of the same criterion too.

    The second condition keeps a lucky outlier from being chosen.

    Raises:
        ConfigError: If ``points`` is negative.
    """
    if points < 0:
        raise ConfigError(f"{points} points cannot be lost", hint="give 0 or more; 0.5 is half a macro-F1 point")
    best = settings[0]
    for setting in sorted(settings, key=lambda one: one.speed):
        if setting.lost > points + 1e-9:
            break
        if setting.flops_gain >= best.flops_gain:
            best = setting
    return best


def _part(found: Exits, rows: npt.NDArray[np.int64]) -> Exits:
    return replace(
        found, early=found.early[:, rows], last=found.last[rows], cells=found.cells[rows], lengths=found.lengths[rows]
    )


def _folds(rows: int) -> list[npt.NDArray[np.int64]]:
    order = np.random.default_rng(0).permutation(rows)
    return [np.sort(order[start::FOLDS]) for start in range(min(FOLDS, rows))]


def _setting(
    found: Exits,
    criterion: Criterion,
    speed: float,
    used: tuple[int, ...],
    places: npt.NDArray[np.int64],
    whole: Setting | None,
) -> Setting:
    scores = found.scored(places)
    macro = scores["macro_f1"] or 0.0
    spent = found.cost.of_rows(places, found.lengths, used).sum()
    full = found.cost.of_rows(np.full_like(places, len(found.early)), found.lengths, ()).sum()
    depths = np.array([*found.cost.exits, found.cost.layers])
    return Setting(
        criterion=criterion,
        speed=speed,
        exits=used,
        macro_f1=macro,
        micro_f1=scores["micro_f1"],
        lost=100 * (whole.macro_f1 - macro) if whole else 0.0,
        layers=float(depths[places].mean() / found.cost.layers),
        flops_gain=float(full / spent),
        left=tuple(float(share) for share in np.bincount(places, minlength=len(depths)) / max(len(places), 1)),
    )
