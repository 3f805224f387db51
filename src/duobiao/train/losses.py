"""Losses that obey the label space. Each returns one value a row, so that batches of any cut add up exactly."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from duobiao.config import LossSettings
from duobiao.errors import DataError
from duobiao.labels import UNASKED, LabelSpace, Targets

_TINY = 1e-8
_NEAR = 1e-2


class LabelLoss(nn.Module):
    """Loss against labels: independent labels by the chosen loss, each group by cross-entropy inside the group.

    A row's loss is the sum over its known decisions, divided by the number of terms of the *space* (independent labels,
    counted once in all for ZLPR, plus groups). That number is the same for every row: a row with unknown cells counts
    less, and the mean over rows does not depend on how they are cut into batches.

    | setting | loss of independent labels |
    |---|---|
    | ``bce`` | ``-w y log p - (1 - y) log(1 - p)``, optional ``w`` = negatives / positives |
    | ``asymmetric`` | ``-y (1 - p)^g+ log p - (1 - y) q^g- log(1 - q)``, ``q = max(p - m, 0)`` (arXiv 2009.14119, eq. 7) |
    | ``zlpr`` | ``log(1 + sum_neg e^s) + log(1 + sum_pos e^-s)`` over the row's known labels (arXiv 2208.02955, eq. 6) |

    Args:
        space: The label space.
        settings: Which loss, and its parameters.
        pos_weight: Weights of positives, shape ``(independent,)``; None for no weights.
    """

    pos_weight: Tensor | None

    def __init__(self, space: LabelSpace, settings: LossSettings, pos_weight: Tensor | None = None) -> None:
        super().__init__()
        self.space = space
        self.settings = settings
        self.register_buffer("pos_weight", pos_weight, persistent=False)
        free = len(space.independent)
        self.terms = (min(free, 1) if settings.independent == "zlpr" else free) + len(space.groups)

    def forward(self, logits: Tensor, cells: Tensor) -> Tensor:
        """Losses of shape ``(rows,)``.

        Args:
            logits: Shape ``(rows, labels)``.
            cells: Truth, shape ``(rows, labels)``; negative cells are left out.
        """
        free = len(self.space.independent)
        total = logits.new_zeros(logits.shape[0])
        if free:
            total = total + self._independent(logits[:, :free], cells[:, :free])
        for group, columns in zip(self.space.groups, self.space.slices, strict=True):
            total = total + group_cross_entropy(logits[:, columns], cells[:, columns], group.at_most_one)
        return total / self.terms

    def _independent(self, logits: Tensor, cells: Tensor) -> Tensor:
        known = (cells >= 0).to(logits.dtype)
        truth = (cells == 1).to(logits.dtype)
        kind = self.settings.independent
        if kind == "zlpr":
            return zlpr(logits, cells)
        if kind == "asymmetric":
            losses = self._asymmetric(logits, truth)
        else:
            losses = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=self.pos_weight, reduction="none")
        return (losses * known).sum(1)

    def _asymmetric(self, logits: Tensor, truth: Tensor) -> Tensor:
        proba = torch.sigmoid(logits)
        shifted = (proba - self.settings.margin).clamp(min=_TINY)  # not 0: a power below 1 has no slope there
        missed = (1 - proba).clamp(min=_TINY)
        positive = truth * missed**self.settings.gamma_positive * functional.logsigmoid(logits)
        negative = (1 - truth) * shifted**self.settings.gamma_negative * torch.log((1 - shifted).clamp(min=_TINY))
        return -(positive + negative)


def zlpr(logits: Tensor, cells: Tensor) -> Tensor:
    """Zero-bounded log-sum-exp pairwise rank loss (arXiv 2208.02955, eq. 6) over known cells, shape ``(rows,)``."""
    zeros = logits.new_zeros(logits.shape[0], 1)
    negative = torch.cat([zeros, logits.masked_fill(cells != 0, -torch.inf)], dim=1)
    positive = torch.cat([zeros, (-logits).masked_fill(cells != 1, -torch.inf)], dim=1)
    return torch.logsumexp(negative, dim=1) + torch.logsumexp(positive, dim=1)


def group_cross_entropy(logits: Tensor, cells: Tensor, at_most_one: bool) -> Tensor:
    """Cross-entropy inside one exclusive group; 0 for rows where the group is unknown or not asked.

    With ``at_most_one``, "none of them" is a further class with logit 0.

    Args:
        logits: Shape ``(rows, labels of the group)``.
        cells: Truth, the same shape.
        at_most_one: Whether none may be true.

    Returns:
        Shape ``(rows,)``.
    """
    known = (cells >= 0).all(dim=1)
    if at_most_one:
        logits = torch.cat([logits, logits.new_zeros(logits.shape[0], 1)], dim=1)
        none = (~(cells == 1).any(dim=1, keepdim=True)).to(cells.dtype)
        cells = torch.cat([cells, none], dim=1)
    answer = (cells == 1).to(logits.dtype)
    return -(functional.log_softmax(logits, dim=1) * answer).sum(1) * known.to(logits.dtype)


class LogitsLoss(nn.Module):
    """Weighted mean squared error to the teacher's logits (after arXiv 1903.12136, eq. 3), over asked cells.

    Where labels are many, nearly all cells are clear negatives, and a plain mean teaches how negative they are before it
    teaches what is true. So the cell of an independent label, student logit ``s``, teacher logit ``t``, weighs as much as the
    sigmoid rises between them, ``w = (sigmoid(t) - sigmoid(s)) / (t - s)``: a difference of logits counts as far as it changes
    the probability. ``w`` is taken as a constant, so the gradient is ``2 (sigmoid(s) - sigmoid(t))``. Cells of groups weigh 1.

    Unknown cells are taught too: the teacher's word is all that there is on them. In a group of which exactly one label is
    true only differences of logits matter, so there both sides are centred first.

    Args:
        space: The label space.
        weighting: ``slope`` as above; ``plain``: every cell weighs 1.
    """

    def __init__(self, space: LabelSpace, weighting: Literal["slope", "plain"] = "slope") -> None:
        super().__init__()
        self.space = space
        self.weighting = weighting

    def forward(self, logits: Tensor, teacher: Tensor, cells: Tensor) -> Tensor:
        """Losses of shape ``(rows,)``: squared differences summed over asked cells, divided by all labels of the space."""
        difference = logits - teacher
        free = slice(0, len(self.space.independent))
        squares = [difference[:, free] ** 2]
        if self.weighting == "slope":
            squares[0] = squares[0] * sigmoid_slope(logits[:, free], teacher[:, free]).detach()
        for group, columns in zip(self.space.groups, self.space.slices, strict=True):
            part = difference[:, columns]
            squares.append((part if group.at_most_one else part - part.mean(1, keepdim=True)) ** 2)
        return (torch.cat(squares, dim=1) * (cells != UNASKED).to(logits.dtype)).sum(1) / len(self.space)


def sigmoid_slope(first: Tensor, second: Tensor) -> Tensor:
    """The sigmoid's mean slope between two logits, in ``(0, 1/4]``; where they meet, its slope there."""
    distance = first - second
    near = distance.abs() < _NEAR
    between = torch.sigmoid((first + second) / 2)
    rise = torch.sigmoid(first) - torch.sigmoid(second)
    return torch.where(near, between * (1 - between), rise / torch.where(near, torch.ones_like(distance), distance))


class SoftLabelLoss(nn.Module):
    """Temperature-scaled Kullback-Leibler divergence to the teacher's probabilities, over asked cells.

    With teacher logits ``t``, student logits ``s`` and temperature ``T``:

    | part | loss |
    |---|---|
    | independent label | ``T^2 KL(sigmoid(t / T) || sigmoid(s / T))``, over both outcomes |
    | exclusive group | ``T^2 KL(softmax(t / T) || softmax(s / T))`` inside the group (arXiv 1503.02531, section 2.1) |

    With ``at_most_one``, "none of them" is a further class with logit 0. Unknown cells are taught too. A row's loss is the sum
    over its decisions, divided by the number of decisions of the space (independent labels plus groups).

    Args:
        space: The label space.
        temperature: ``T``.
    """

    def __init__(self, space: LabelSpace, temperature: float = 1.0) -> None:
        super().__init__()
        self.space = space
        self.temperature = temperature

    def forward(self, logits: Tensor, teacher: Tensor, cells: Tensor) -> Tensor:
        """Losses of shape ``(rows,)``; arguments as in ``LogitsLoss``."""
        free, heat = len(self.space.independent), self.temperature
        asked = (cells != UNASKED).to(logits.dtype)
        logits, teacher = logits / heat, teacher / heat
        total = (binary_divergence(logits[:, :free], teacher[:, :free]) * asked[:, :free]).sum(1)
        for group, columns in zip(self.space.groups, self.space.slices, strict=True):
            pair = [part[:, columns] for part in (logits, teacher)]
            if group.at_most_one:
                pair = [torch.cat([part, part.new_zeros(part.shape[0], 1)], dim=1) for part in pair]
            ours, theirs = (functional.log_softmax(part, dim=1) for part in pair)
            total = total + (theirs.exp() * (theirs - ours)).sum(1) * asked[:, columns.start]
        return total * heat**2 / (free + len(self.space.groups))


def binary_divergence(logits: Tensor, teacher: Tensor) -> Tensor:
    """``KL(sigmoid(teacher) || sigmoid(logits))`` of each cell, over both outcomes."""
    true = torch.sigmoid(teacher) * (functional.logsigmoid(teacher) - functional.logsigmoid(logits))
    false = torch.sigmoid(-teacher) * (functional.logsigmoid(-teacher) - functional.logsigmoid(-logits))
    return true + false


def positive_weights(cells: Targets, space: LabelSpace, most: float) -> Tensor:
    """``negatives / positives`` of each independent label over known cells, clipped to ``[1 / most, most]``."""
    part = cells[:, : len(space.independent)]
    positives, negatives = (part == 1).sum(0), (part == 0).sum(0)
    return torch.tensor(np.clip(negatives / np.maximum(positives, 1), 1 / most, most), dtype=torch.float32)


def require_positives(cells: Targets, space: LabelSpace) -> None:
    """Refuses labels that cannot be learned.

    Raises:
        DataError: Naming every label without a positive training row.
    """
    missing = [name for name, positive in zip(space.names, (cells == 1).any(axis=0), strict=True) if not positive]
    if missing:
        raise DataError(
            f"{len(missing)} labels have no positive row in the training data",
            hint="add rows for them, or remove them from the label space file",
            problems=[f"label {name!r}" for name in missing],
        )


def label_loss(settings: LossSettings, cells: Targets, space: LabelSpace) -> LabelLoss:
    """The loss against labels that the settings ask for; ``cells`` are those of the training rows."""
    weights = positive_weights(cells, space, settings.pos_weight_max) if settings.pos_weight else None
    return LabelLoss(space, settings, weights)


def prior_logits(cells: Targets, space: LabelSpace) -> Tensor:
    """Logits of the labels' frequencies over known cells, ``(labels,)``: log-odds, inside a group log-shares."""
    true, false = (cells == 1).sum(0) + 0.5, (cells == 0).sum(0) + 0.5
    logits = np.log(true / false)
    for group, columns in zip(space.groups, space.slices, strict=True):
        none = ((cells[:, columns] == 0).all(axis=1)).sum() + 0.5
        logits[columns] = np.log(true[columns] / (none if group.at_most_one else true[columns].mean()))
    return torch.tensor(logits, dtype=torch.float32)
