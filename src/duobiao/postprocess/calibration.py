"""Calibrated logits: temperatures and monotone maps that make probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.errors import BundleError
from duobiao.labels import LabelSpace
from duobiao.postprocess.probabilities import Floats

MIX = 0.01
"""The share of the uncalibrated probability in an isotonic one, which keeps it away from 0 and 1, and strictly rising."""
FURTHEST = 30.0
"""Logits of isotonic labels are cut there; their probability is 0 or 1 in single precision long before."""


@dataclass(frozen=True)
class Steps:
    """An isotonic map of one independent label: a line through knots, level outside.

    Attributes:
        logits: Places of the knots, rising.
        values: The share of true rows at each, never falling.
    """

    logits: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Calibrated logits: ``logit((1 - MIX) iso(z) + MIX sigmoid(z))``."""
        cut = np.clip(logits, -FURTHEST, FURTHEST)
        proba, share = 1 / (1 + np.exp(-cut)), np.interp(cut, self.logits, self.values)
        mixed, left = (1 - MIX) * share + MIX * proba, (1 - MIX) * (1 - share) + MIX / (1 + np.exp(cut))
        found: npt.NDArray[np.float64] = np.log(mixed) - np.log(left)
        return found


@dataclass(frozen=True)
class Calibration:
    """What stands between the logits of a model and its probabilities.

    Every map is strictly rising, so it changes probabilities and never the order of a label's rows, nor the likeliest label of
    a group.

    Attributes:
        temperatures: By decision (an independent label, or a group by its name); logits are divided by them (Guo et al., "On
            Calibration of Modern Neural Networks", arXiv 1706.04599, section 4.2). In an ``at_most_one`` group "none of them"
            keeps its logit of 0.
        steps: Isotonic maps of independent labels (Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass
            probability estimates", 2002), which then have no temperature.
    """

    temperatures: Mapping[str, float] = field(default_factory=dict)
    steps: Mapping[str, Steps] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.temperatures or self.steps)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], space: LabelSpace) -> Calibration:
        """Reads the form stored in a bundle; nothing is calibrated without one.

        Raises:
            BundleError: If it names what the label space lacks, or holds numbers that make no rising map.
        """
        temperatures = {str(name): float(value) for name, value in data.get("temperature", {}).items()}
        steps = {
            str(name): Steps(tuple(map(float, entry["logits"])), tuple(map(float, entry["values"])))
            for name, entry in data.get("isotonic", {}).items()
        }
        known = {*space.independent, *(group.name for group in space.groups)}
        problems = [f"{name!r} is no label and no group" for name in {**temperatures, **steps} if name not in known]
        problems += [f"{name!r}: temperature {value}" for name, value in temperatures.items() if not 0 < value < np.inf]
        problems += [f"{name!r}: the steps do not rise" for name, own in steps.items() if not _rises(own)]
        if problems:
            raise BundleError("the calibration of the bundle is damaged", hint="run duobiao tune again", problems=problems)
        return cls(temperatures, steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        steps = {name: {"logits": list(own.logits), "values": list(own.values)} for name, own in self.steps.items()}
        return {"temperature": dict(self.temperatures), "isotonic": steps}

    def apply(self, logits: Floats, space: LabelSpace) -> Floats:
        """Calibrated logits, shape ``(rows, labels)``; the very same array where nothing is calibrated."""
        if not self:
            return logits
        values = np.asarray(logits, dtype=np.float64).copy()
        for name, temperature in self.temperatures.items():
            values[:, columns_of(name, space)] /= temperature
        for name, steps in self.steps.items():
            column = space.index[name]
            values[:, column] = steps(values[:, column])
        return values.astype(np.float32)

    def without(self, names: set[str]) -> Calibration:
        """The same but for some decisions, which stay as they were."""
        return replace(
            self,
            temperatures={name: value for name, value in self.temperatures.items() if name not in names},
            steps={name: value for name, value in self.steps.items() if name not in names},
        )


NO_CALIBRATION = Calibration()


def columns_of(name: str, space: LabelSpace) -> slice:
    """The columns of a decision: an independent label's own, or those of a group."""
    for group, columns in zip(space.groups, space.slices, strict=True):
        if group.name == name:
            return columns
    return slice(space.index[name], space.index[name] + 1)


def decisions_of(space: LabelSpace) -> tuple[str, ...]:
    """The names of the decisions: independent labels, then groups."""
    return (*space.independent, *(group.name for group in space.groups))


def _rises(steps: Steps) -> bool:
    rising = len(steps.logits) == len(steps.values) > 0 and bool(np.all(np.diff(steps.logits) > 0))
    return rising and bool(np.all(np.diff(steps.values) >= 0)) and 0 <= steps.values[0] <= steps.values[-1] <= 1
