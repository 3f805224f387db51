"""What wrong answers inside exclusive groups cost, and the answer that costs least."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from duobiao.config.points import Costs
from duobiao.errors import BundleError
from duobiao.labels import LabelSpace, Mask
from duobiao.postprocess.calibration import FURTHEST
from duobiao.postprocess.probabilities import Floats

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GroupCosts:
    """The costs of groups that are answered by costs; the others answer with their likeliest label.

    A wrong answer is the false positive of the label that is given and the false negative of the one that is true; "none of
    them" costs nothing of its own. So with probabilities ``p``, answering ``d`` is expected to cost
    ``fp_d (1 - p_d) + sum over t other than d of fn_t p_t``: less than "none" by the gain ``(fp_d + fn_d) p_d - fp_d``. The
    answer is the label with the highest gain; in an ``at_most_one`` group none if no gain is above 0 (Elkan, "The Foundations
    of Cost-Sensitive Learning", 2001, section 1). Equal costs leave the likeliest label where one must be given.

    Attributes:
        space: The label space.
        costs: By label: of all labels of a group, or of none of them.
    """

    space: LabelSpace
    costs: Mapping[str, Costs]

    @classmethod
    def of(cls, costs: Mapping[str, Costs], space: LabelSpace) -> GroupCosts:
        """Those of the groups all of whose labels have costs; others, and independent labels, are left out."""
        whole = [group for group in space.groups if all(label in costs for label in group.labels)]
        return cls(space, {label: costs[label] for group in whole for label in group.labels})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], space: LabelSpace) -> GroupCosts:
        """Reads the form stored in a bundle.

        Raises:
            BundleError: If a group has costs for some of its labels only, or what stands there is no cost.
        """
        try:
            found = cls.of({str(label): Costs.model_validate(entry) for label, entry in data.items()}, space)
        except ValidationError as error:
            problems = [f"{one['loc']}: {one['msg']}" for one in error.errors()]
            raise BundleError(_DAMAGED, hint=_AGAIN, problems=problems) from error
        foreign = [
            f"{label!r} is no label of a group all of whose labels have costs" for label in data if label not in found.costs
        ]
        if foreign:
            raise BundleError(_DAMAGED, hint=_AGAIN, problems=foreign)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {label: own.model_dump(mode="json") for label, own in self.costs.items()}

    def __bool__(self) -> bool:
        return bool(self.costs)

    @cached_property
    def counted(self) -> Mask:
        """Which groups are answered by costs, ``(groups,)``."""
        return np.array([group.labels[0] in self.costs for group in self.space.groups], dtype=np.bool_)

    @cached_property
    def _false_positive(self) -> Doubles:
        """By column of a group, 0 where there are no costs, ``(group labels,)``."""
        labels = self.space.names[len(self.space.independent) :]
        return np.array([self.costs[label].false_positive if label in self.costs else 0.0 for label in labels])

    @cached_property
    def _weight(self) -> Doubles:
        """``fp + fn`` by column of a group, 1 where there are no costs, ``(group labels,)``."""
        labels = self.space.names[len(self.space.independent) :]
        both = [self.costs.get(label) for label in labels]
        return np.array([1.0 if own is None else own.false_positive + own.false_negative for own in both])

    def gains(self, part: Floats) -> Doubles:
        """What each answer saves against "none"; in groups without costs the probabilities themselves.

        Args:
            part: Probabilities of the columns of groups, ``(rows, group labels)``.
        """
        found: Doubles = part.astype(np.float64) * self._weight - self._false_positive
        return found

    def margins(self, own: Floats, said: Floats, number: int) -> Doubles:
        """How far the logit of a group's answer lies above the value at which a rival takes over, ``(rows,)``.

        The other logits stay as they are. Where all costs are equal and a label must be given, that is the distance from the
        next logit. No margin is above ``FURTHEST``: where no rival ever takes over, it is that.

        Args:
            own: Calibrated logits of the group's columns, ``(rows, labels of the group)``.
            said: Those that say what was decided, of the same shape; the margin is negative where ``own`` decides otherwise.
            number: The group, one with costs.
        """
        group, columns = self.space.groups[number], self.space.slices[number]
        places = slice(columns.start - len(self.space.independent), columns.stop - len(self.space.independent))
        positive, weight = self._false_positive[places], self._weight[places]
        values, told = own.astype(np.float64), said.astype(np.float64)
        if group.at_most_one:  # "none of them": logit 0, and nothing to pay
            values, told = (np.concatenate([part, np.zeros((len(part), 1))], axis=1) for part in (values, told))
            positive, weight = np.append(positive, 0.0), np.append(weight, 0.0)
        negative = weight - positive
        powers = np.exp(told - told.max(axis=1, keepdims=True))
        best = (powers * weight - positive * powers.sum(axis=1, keepdims=True)).argmax(axis=1)
        top = values.max(axis=1)
        powers = np.exp(values - top[:, None])
        rows = np.arange(len(values))
        others = powers.copy()
        others[rows, best] = 0.0
        # Answer d, of power a, leads r while (fp + fn)_d a - fp_d s >= (fp + fn)_r e_r - fp_r s, with s = a + others.
        rivals = others.sum(axis=1)[:, None] * (positive[best][:, None] - positive) + others * weight
        lead = negative[best][:, None] + positive
        lead[rows, best] = 1.0
        rivals[rows, best] = 0.0
        highest = (rivals / lead).max(axis=1)
        distance = values[rows, best] - top - np.log(np.maximum(highest, np.finfo(np.float64).tiny))
        found: Doubles = np.where(highest > 0, np.minimum(distance, FURTHEST), FURTHEST)
        return found


_DAMAGED = "the costs of groups in the bundle are damaged"
_AGAIN = "run duobiao tune again"
