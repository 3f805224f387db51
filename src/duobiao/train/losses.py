"""Losses that obey the label space. Each returns one value a row, so that batches of any cut add up exactly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from duobiao.config import LossSettings
from duobiao.errors import DataError
from duobiao.labels import UNASKED, LabelSpace, Targets

_TINY = 1e-8


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
    teaches what is true. So a cell of an independent label counts ``1 + (positive_weight - 1) * sigmoid(teacher)``: cells
    that the teacher holds true, or nearly so, weigh up to ``positive_weight`` times as much. Cells of groups count 1.

    Unknown cells are taught too: the teacher's word is all that there is on them. In a group of which exactly one label is
    true only differences of logits matter, so there both sides are centred first.

    Args:
        space: The label space.
        positive_weight: 1 gives the plain mean squared error.
    """

    def __init__(self, space: LabelSpace, positive_weight: float = 1.0) -> None:
        super().__init__()
        self.space = space
        self.positive_weight = positive_weight

    def forward(self, logits: Tensor, teacher: Tensor, cells: Tensor) -> Tensor:
        """Losses of shape ``(rows,)``: squared differences summed over asked cells, divided by all labels of the space."""
        difference = logits - teacher
        free = slice(0, len(self.space.independent))
        weights = 1.0 + (self.positive_weight - 1.0) * torch.sigmoid(teacher[:, free])
        parts = [difference[:, free] * weights.sqrt()]
        for group, columns in zip(self.space.groups, self.space.slices, strict=True):
            part = difference[:, columns]
            parts.append(part if group.at_most_one else part - part.mean(1, keepdim=True))
        squared = torch.cat(parts, dim=1) ** 2
        return (squared * (cells != UNASKED).to(logits.dtype)).sum(1) / len(self.space)


def overall_positive_weight(cells: Targets, space: LabelSpace, most: float = 100.0) -> float:
    """``negatives / positives`` over the known cells of all independent labels, clipped to ``[1, most]``."""
    part = cells[:, : len(space.independent)]
    positives, negatives = int((part == 1).sum()), int((part == 0).sum())
    return float(min(max(negatives / max(positives, 1), 1.0), most))


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
