"""How exclusive groups answer where they do not give their likeliest label: by costs, or by weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
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
GROUP_COSTS, GROUP_WEIGHTS = "group_costs", "group_weights"
"""Where an operating point stores them."""


@dataclass(frozen=True)
class GroupWorth:
    """What the answers of groups are worth; a group gives the label that is worth most, of equals the earlier.

    Label ``d`` of probability ``p_d`` is worth ``a_d p_d - b_d``, and "none of them" ``a_0 p_0``, which an ``at_most_one``
    group answers with unless a label is worth more. Where nothing is said of a group, all ``a`` are 1 and all ``b`` are 0: it
    answers with its likeliest label.

    - **Costs.** A wrong answer is the false positive of the label that is given and the false negative of the one that is
      true; "none of them" costs nothing of its own. So answering ``d`` is expected to cost
      ``fp_d (1 - p_d) + sum over t other than d of fn_t p_t``: less than "none" by ``(fp_d + fn_d) p_d - fp_d``. With ``a_d``
      that sum, ``b_d`` the false positive and ``a_0`` 0, the answer is the one that costs least (Elkan, "The Foundations of
      Cost-Sensitive Learning", 2001, section 1). Equal costs leave the likeliest label where one must be given.
    - **Weights.** ``a_d`` is the label's weight, 1 if it has none, ``b_d`` 0 and ``a_0`` 1. The label is given where its
      probability, weighted, is above that of its strongest rival; a greater weight gives it to more rows and takes it from
      none.

    Attributes:
        space: The label space.
        costs: By label: of all labels of a group, or of none of them.
        weights: By label of groups without costs; those of 1 are left out.
    """

    space: LabelSpace
    costs: Mapping[str, Costs] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, space: LabelSpace, costs: Mapping[str, Costs] | None = None, weights: Mapping[str, float] | None = None
    ) -> GroupWorth:
        """Costs of the groups all of whose labels have some, and weights other than 1 in the other groups."""
        costs, weights = costs or {}, weights or {}
        whole = [group for group in space.groups if all(label in costs for label in group.labels)]
        others = [label for group in space.groups if group not in whole for label in group.labels]
        return cls(
            space,
            {label: costs[label] for group in whole for label in group.labels},
            {label: weights[label] for label in others if weights.get(label, 1.0) != 1.0},
        )

    @classmethod
    def from_dict(cls, point: Mapping[str, Any], space: LabelSpace) -> GroupWorth:
        """Reads what a stored operating point says of groups; empty where it says nothing.

        Raises:
            BundleError: If a group has costs for some of its labels only, or costs and weights, or what stands there is none.
        """
        try:
            costs = {str(label): Costs.model_validate(entry) for label, entry in (point.get(GROUP_COSTS) or {}).items()}
        except ValidationError as error:
            problems = [f"{one['loc']}: {one['msg']}" for one in error.errors()]
            raise BundleError("the costs of groups in the bundle are damaged", hint=_AGAIN, problems=problems) from error
        weights = dict(point.get(GROUP_WEIGHTS) or {})
        problems = [f"{label!r}: {value!r} is no weight above 0" for label, value in weights.items() if not _is_weight(value)]
        found = cls.of(space, costs, weights)
        problems += [
            f"{label!r} is no label of a group without costs"
            for label, value in weights.items()
            if label not in found.weights and value != 1.0
        ]
        if problems:
            raise BundleError("the weights of groups in the bundle are damaged", hint=_AGAIN, problems=problems)
        foreign = [
            f"{label!r} is no label of a group all of whose labels have costs" for label in costs if label not in found.costs
        ]
        if foreign:
            raise BundleError("the costs of groups in the bundle are damaged", hint=_AGAIN, problems=foreign)
        return found

    def to_dict(self) -> dict[str, Any]:
        """What an operating point stores: plain numbers; nothing where all groups answer with their likeliest label."""
        costs = {GROUP_COSTS: {label: own.model_dump(mode="json") for label, own in self.costs.items()}} if self.costs else {}
        return {**costs, **({GROUP_WEIGHTS: dict(self.weights)} if self.weights else {})}

    def __bool__(self) -> bool:
        return bool(self.costs or self.weights)

    @cached_property
    def counted(self) -> Mask:
        """Which groups are answered by costs or weights, ``(groups,)``."""
        named = [any(label in self.costs or label in self.weights for label in group.labels) for group in self.space.groups]
        return np.array(named, dtype=np.bool_)

    @cached_property
    def none(self) -> Doubles:
        """``a_0`` of each group: 0 where there are costs, else 1; ``(groups,)``."""
        return np.array([0.0 if group.labels[0] in self.costs else 1.0 for group in self.space.groups])

    @cached_property
    def _price(self) -> Doubles:
        """``b`` by column of a group, ``(group labels,)``."""
        labels = self.space.names[len(self.space.independent) :]
        return np.array([self.costs[label].false_positive if label in self.costs else 0.0 for label in labels])

    @cached_property
    def _weight(self) -> Doubles:
        """``a`` by column of a group, ``(group labels,)``."""
        labels = self.space.names[len(self.space.independent) :]
        both = [self.costs.get(label) for label in labels]
        priced = np.array([0.0 if own is None else own.false_positive + own.false_negative for own in both])
        return np.where(priced > 0, priced, [self.weights.get(label, 1.0) for label in labels])

    def of_labels(self, part: Floats) -> Doubles:
        """What each label is worth; where nothing is said of a group the probabilities themselves.

        Args:
            part: Probabilities of the columns of groups, ``(rows, group labels)``.
        """
        found: Doubles = part.astype(np.float64) * self._weight - self._price
        return found

    def margins(self, own: Floats, said: Floats, number: int) -> Doubles:
        """How far the logit of a group's answer lies above the value at which a rival takes over, ``(rows,)``.

        The other logits stay as they are. Where all costs or weights are equal and a label must be given, that is the distance
        from the next logit. No margin is above ``FURTHEST``: where no rival ever takes over, it is that.

        Args:
            own: Calibrated logits of the group's columns, ``(rows, labels of the group)``.
            said: Those that say what was decided, of the same shape; the margin is negative where ``own`` decides otherwise.
            number: The group, one that is counted.
        """
        group, columns = self.space.groups[number], self.space.slices[number]
        places = slice(columns.start - len(self.space.independent), columns.stop - len(self.space.independent))
        price, weight = self._price[places], self._weight[places]
        values, told = own.astype(np.float64), said.astype(np.float64)
        if group.at_most_one:  # "none of them": logit 0, and no price
            values, told = (np.concatenate([part, np.zeros((len(part), 1))], axis=1) for part in (values, told))
            price, weight = np.append(price, 0.0), np.append(weight, self.none[number])
        gain = weight - price
        powers = np.exp(told - told.max(axis=1, keepdims=True))
        best = (powers * weight - price * powers.sum(axis=1, keepdims=True)).argmax(axis=1)
        top = values.max(axis=1)
        powers = np.exp(values - top[:, None])
        rows = np.arange(len(values))
        others = powers.copy()
        others[rows, best] = 0.0
        # Answer d, of power x, leads r while a_d x - b_d s >= a_r e_r - b_r s, with s = x + others.
        rivals = others.sum(axis=1)[:, None] * (price[best][:, None] - price) + others * weight
        lead = gain[best][:, None] + price
        lead[rows, best] = 1.0
        rivals[rows, best] = 0.0
        highest = (rivals / lead).max(axis=1)
        distance = values[rows, best] - top - np.log(np.maximum(highest, np.finfo(np.float64).tiny))
        found: Doubles = np.where(highest > 0, np.minimum(distance, FURTHEST), FURTHEST)
        return found


def _is_weight(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


_AGAIN = "run duobiao tune again"
