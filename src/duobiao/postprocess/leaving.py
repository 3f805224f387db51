"""When a row may leave a model early: when no decision can still flip, or when its answers are certain enough.

A *decision* is an independent label or a whole group; arrays over decisions have the independent labels first, then the
groups, in the order of the space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from duobiao.labels import LabelSpace, Mask
from duobiao.postprocess.calibration import NO_CALIBRATION, Calibration
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.probabilities import Floats, probabilities

Criterion = Literal["margin", "entropy"]
CRITERIA: tuple[Criterion, ...] = ("margin", "entropy")
_TINY = 1e-6
_ABOVE = 1 + 1e-4


def asked_decisions(asked: Mask, space: LabelSpace) -> Mask:
    """Which decisions are asked, ``(rows, decisions)``, from the cells that are, ``(rows, labels)``."""
    firsts = [columns.start for columns in space.slices]
    return np.concatenate([asked[:, : len(space.independent)], asked[:, firsts]], axis=1)


def margins(logits: Floats, decoder: Decoder, answers: Floats | None = None) -> npt.NDArray[np.float64]:
    """How far each decision is from flipping, in log-odds; shape ``(rows, decisions)``.

    For an independent label with logit ``z`` and threshold ``t`` it is ``|z - logit(t)|``; for a group, the highest logit less
    the second ("none of them" has logit 0 in an ``at_most_one`` group); for one that answers by costs or weights see
    ``GroupWorth.margins``.

    Args:
        logits: Shape ``(rows, labels)``.
        decoder: The thresholds.
        answers: Logits of the same rows that say what was decided, by default the same. The margin is that of *their*
            decisions, so it is negative where ``logits`` decides otherwise.
    """
    space, told = decoder.space, (logits if answers is None else answers)
    free = len(space.independent)
    middle = threshold_logits(decoder)
    distance = logits[:, :free] - middle
    parts = [np.where(told[:, :free] >= middle, distance, -distance).astype(np.float64)]
    for number, (group, columns) in enumerate(zip(space.groups, space.slices, strict=True)):
        own, said = logits[:, columns], told[:, columns]
        if decoder.worth and decoder.worth.counted[number]:
            parts.append(decoder.worth.margins(own, said, number)[:, None])
            continue
        if group.at_most_one:
            own, said = (np.concatenate([part, np.zeros((len(part), 1), part.dtype)], axis=1) for part in (own, said))
        best = said.argmax(axis=1)[:, None]
        rivals = own.copy()
        np.put_along_axis(rivals, best, -np.inf, axis=1)
        parts.append((np.take_along_axis(own, best, axis=1) - rivals.max(axis=1, keepdims=True)).astype(np.float64))
    return np.concatenate(parts, axis=1)


def threshold_logits(decoder: Decoder) -> npt.NDArray[np.float64]:
    """The independent labels' thresholds as logits."""
    values = decoder.thresholds.astype(np.float64)
    found: npt.NDArray[np.float64] = np.log(values) - np.log1p(-values)
    return found


def calibrate(early: Floats, last: Floats, asked: Mask, decoder: Decoder, speed: float) -> Floats:
    """The error of each decision at each exit, ``(exits, 2, decisions)``; a row leaves when each margin is above its error.

    With ``m`` the margin of what the exit decides and ``m'`` the margin that the last layer leaves to the same decision
    (negative where it flips), over the dev rows that are asked it:

    - ``s_j = (mean |m_j - m'_j| + mean over decisions of the same) / 2`` is how far decision ``j`` still moves; the second
      half is there because labels that are rare have little of their own.
    - A row's distance from flipping is ``d = min_j m_j / s_j`` over the decisions that it is asked.
    - ``c`` is the ``ceil((n + 1) (1 - speed))``-th smallest of the ``n`` values ``d * [some decision flips]``, infinite if
      that is more than ``n``. So at most a share ``speed`` of such rows leaves and flips (split conformal prediction, arXiv
      1604.04173, on the score that counts flips, as in risk control, arXiv 2208.02814).
    - The error of decision ``j`` is ``c s_j``, and a ten-thousandth more: the row that ``c`` comes from would else stand on the
      edge, and leave or stay by what its company in a batch rounds to.

    ``c`` is found apart for rows that the exit gives an independent label, and for rows that it gives none: an early layer sees
    little in a row whose label it does not know yet, and is sure of that.

    Args:
        early: Logits of each exit, ``(exits, rows, labels)``.
        last: Logits of the last layer, ``(rows, labels)``.
        asked: Which cells are asked, ``(rows, labels)``.
        decoder: The thresholds.
        speed: The share of rows that may leave an exit although a decision flips; at 0 all errors are infinite.

    Returns:
        Errors in log-odds; at ``[:, 0]`` those of rows with an independent label, at ``[:, 1]`` those of rows without.
    """
    counts = asked_decisions(asked, decoder.space)
    found = np.zeros((len(early), 2, counts.shape[1]), dtype=np.float32)
    for number, logits in enumerate(early):
        margin, kept = margins(logits, decoder), margins(last, decoder, answers=logits)
        moves = (np.abs(margin - kept) * counts).sum(0) / np.maximum(counts.sum(0), 1)
        scale = np.maximum((moves + moves.mean()) / 2, _TINY)
        distance = np.where(counts, margin / scale, np.inf).min(axis=1, initial=np.inf)
        flips = ((kept < 0) & counts).any(axis=1)
        score, bare = np.where(flips, distance, 0.0), answers_nothing(logits, decoder)
        for sort in (0, 1):
            found[number, sort] = _quantile(score[bare == bool(sort)], speed) * scale * _ABOVE
    return found


def errors_to_list(errors: Floats) -> list[Any]:
    """The form stored in an operating point: nested lists with null for infinite."""
    values = errors.astype(object)
    values[~np.isfinite(errors)] = None
    found: list[Any] = values.tolist()
    return found


def errors_from_list(values: list[Any]) -> Floats:
    """Reads ``errors_to_list``."""
    found = np.array(values, dtype=np.float32)  # null becomes NaN
    found[np.isnan(found)] = np.inf
    return found


def answers_nothing(logits: Floats, decoder: Decoder) -> Mask:
    """Rows that reach no independent label's threshold, ``(rows,)``; none where the space has no independent labels."""
    free = len(decoder.space.independent)
    found: Mask = np.all(logits[:, :free] < threshold_logits(decoder), axis=1)
    return found if free else np.zeros_like(found)


def _quantile(values: npt.NDArray[np.float64], share: float) -> float:
    place = math.ceil((len(values) + 1) * (1 - share))
    return math.inf if place > len(values) else float(np.partition(values, max(place, 1) - 1)[max(place, 1) - 1])


def uncertainty(proba: Floats, asked: Mask, space: LabelSpace) -> npt.NDArray[np.float64]:
    """Normalised entropy of each row's answers, in [0, 1]; the mean over the decisions that it is asked.

    For a group of ``N`` answers it is ``sum_i p_i log p_i / log(1 / N)`` (arXiv 2004.02178, "Adaptive inference"); "none of
    them" is an answer of an ``at_most_one`` group, and an independent label has the two answers yes and no. So for a space that
    is one exclusive group it is the paper's. A row that is asked nothing has 0.

    Args:
        proba: Probabilities, shape ``(rows, labels)``.
        asked: Which cells are asked, shape ``(rows, labels)``.
        space: The label space.
    """
    free = len(space.independent)
    values = proba.astype(np.float64)
    parts = [(_plogp(values[:, :free]) + _plogp(1 - values[:, :free])) / math.log(2)]
    for group, columns in zip(space.groups, space.slices, strict=True):
        own = values[:, columns]
        if group.at_most_one:
            own = np.concatenate([own, np.clip(1 - own.sum(1, keepdims=True), 0, 1)], axis=1)
        parts.append(_plogp(own).sum(1, keepdims=True) / math.log(own.shape[1]))
    entropy, counts = -np.concatenate(parts, axis=1), asked_decisions(asked, space)
    found: npt.NDArray[np.float64] = (entropy * counts).sum(1) / np.maximum(counts.sum(1), 1)
    return found


def _plogp(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = values * np.log(np.where(values > 0, values, 1.0))
    return found


@dataclass(frozen=True)
class Leaving:
    """When rows leave.

    Attributes:
        decoder: Thresholds and rules of the decisions.
        criterion: ``margin`` or ``entropy``.
        speed: The dial: 0, nobody leaves early. margin: the share of rows that may leave an exit although a decision flips;
            entropy: rows below this uncertainty leave.
        errors: margin: the calibrated errors, ``(exits, 2, decisions)``.
        exits: Which of the model's exits are used, by number from 0; at the others no row leaves.
        calibration: What makes a model's logits the ones that are decided on; thresholds and errors are in their terms.
    """

    decoder: Decoder
    criterion: Criterion
    speed: float
    errors: Floats
    exits: tuple[int, ...]
    calibration: Calibration = NO_CALIBRATION

    @property
    def is_full(self) -> bool:
        """Whether every row runs through all layers."""
        return self.speed <= 0 or not self.exits

    def leaves(self, number: int, logits: Floats, asked: Mask) -> Mask:
        """Which rows leave at an exit, ``(rows,)``.

        Args:
            number: The exit.
            logits: What it answers, not calibrated, shape ``(rows, labels)``.
            asked: Which cells are asked, shape ``(rows, labels)``; the others hold no row back.
        """
        if self.is_full or number not in self.exits:
            return np.zeros(len(logits), dtype=np.bool_)
        logits = self.calibration.apply(logits, self.decoder.space)
        if self.criterion == "entropy":
            space = self.decoder.space
            return uncertainty(probabilities(logits, space), asked, space) < self.speed
        errors = self.errors[number][answers_nothing(logits, self.decoder).astype(np.int64)]
        holds = (margins(logits, self.decoder) > errors) | ~asked_decisions(asked, self.decoder.space)
        found: Mask = holds.all(axis=1) & self._keeps_order(logits, errors)
        return found

    def _keeps_order(self, logits: Floats, errors: Floats) -> Mask:
        """Whether the rules pick the same labels even if each label's logit moves by its error.

        Where no label flips at its threshold, only rules that look at the order of the distances can still change something.
        """
        rules, free = self.decoder.rules, len(self.decoder.space.independent)
        if not free:
            return np.ones(len(logits), dtype=np.bool_)
        distance, own = logits[:, :free] - threshold_logits(self.decoder), errors[:, :free]
        above = distance >= 0
        order = np.argsort(-distance, axis=1, kind="stable")
        low, high = (np.take_along_axis(values, order, axis=1) for values in (distance - own, distance + own))
        low = np.minimum.accumulate(low, axis=1)[:, :-1]  # of the first k, k = 1, 2, ...
        high = np.maximum.accumulate(high[:, ::-1], axis=1)[:, ::-1][:, 1:]  # of all others
        apart = np.concatenate([np.ones((len(logits), 1), np.bool_), low > high, np.ones((len(logits), 1), np.bool_)], axis=1)
        settings, count = rules.settings, above.sum(axis=1)
        if rules.is_simple:
            result = np.ones(len(logits), dtype=np.bool_)
            if settings.min_k:
                result &= (count >= settings.min_k) | apart[:, min(settings.min_k, free)]
            if settings.max_k is not None:
                result &= (count <= settings.max_k) | apart[:, min(settings.max_k, free)]
            return result
        # No order matters if all labels above their thresholds may stand together, and are neither too many nor too few.
        together = (above[:, :, None] & rules.implied[None]).any(axis=1) if len(logits) else above
        clash = ((above @ rules.excluded.astype(np.int64)) > 0) & together
        size = together.sum(axis=1)
        free_of_order = ~clash.any(axis=1) & (size >= settings.min_k) & (size <= (settings.max_k or free))
        among = np.arange(free + 1)[None, :] > count[:, None] if not settings.min_k else np.zeros((1, free + 1), np.bool_)
        found: Mask = free_of_order | (apart | among).all(axis=1)
        return found
