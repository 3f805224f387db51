"""One teacher, or several of different kinds that speak with one voice: calibrated and weighted on dev rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from duobiao import progress
from duobiao.classifier import Classifier
from duobiao.config import ThresholdSettings
from duobiao.data.rows import Row
from duobiao.errors import BundleError
from duobiao.evaluate.metrics import score
from duobiao.label_difference import difference
from duobiao.labels import UNASKED, LabelSpace, Targets
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.probabilities import probabilities
from duobiao.postprocess.thresholds import tune
from duobiao.train.distillation import backend_of
from duobiao.train.soft_labels import soft_labels

Logits = npt.NDArray[np.float32]
Exact = npt.NDArray[np.float64]
DIGITS = 3
"""Decimals of a weight; one that rounds to 0 leaves its teacher out."""


@dataclass(frozen=True)
class Scale:
    """How a teacher's scores become log-odds.

    Attributes:
        slope: What scores of independent labels are multiplied by.
        offset: What is added to them then.
        group_slope: What scores of all groups are multiplied by.
    """

    slope: float = 1.0
    offset: float = 0.0
    group_slope: float = 1.0

    def apply(self, logits: npt.NDArray[np.floating], space: LabelSpace) -> Exact:
        """Calibrated logits, ``(rows, labels)``."""
        found = np.array(logits, dtype=np.float64)
        free = len(space.independent)
        found[:, :free] = found[:, :free] * self.slope + self.offset
        found[:, free:] *= self.group_slope
        return found


@dataclass(frozen=True)
class Teachers:
    """Those who teach.

    A single teacher hands on its raw logits. Of several, with the logits ``z_k`` of teacher ``k`` on a row, students learn

        ``sum over k of w_k * (slope_k * z_k + offset_k)``,  ``w_k >= 0``, ``sum of w_k = 1``

    (inside groups ``group_slope_k * z_k``). Each teacher's slopes and offset minimise the log-loss of its own probabilities on
    dev rows (Platt's scaling; the margins of support vector machines are no log-odds, and two encoders may be unequally sure
    of themselves). Then the weights minimise the log-loss of the sum on the same rows, which is convex in them.

    Attributes:
        members: All of them.
        main: The first encoder among them: its input, tokenizer and embedding are the students' too.
        scales: One a member.
        weights: One a member.
        scores: On dev rows: micro-F1 and macro-F1 of each member and of all together; None for a single teacher.
    """

    members: tuple[Classifier, ...]
    main: Classifier
    scales: tuple[Scale, ...] = ()
    weights: tuple[float, ...] = (1.0,)
    scores: dict[str, Any] | None = None

    @classmethod
    def load(cls, teachers: str | Path | Classifier | Sequence[str | Path | Classifier]) -> Teachers:
        """Loads them.

        Raises:
            BundleError: If none is an encoder, or naming how their label spaces differ.
        """
        given = [teachers] if isinstance(teachers, (str, Path, Classifier)) else list(teachers)
        members = [one if isinstance(one, Classifier) else Classifier.load(one) for one in given]
        problems = []
        for one in members[1:]:
            names = f"{members[0].bundle.name} (first) and {one.bundle.name} (second)"
            problems += [f"{names}: {text}" for text in difference(members[0].space, one.space)]
        if problems:
            raise BundleError(
                "the teachers have different label spaces",
                hint="train them with the same label space file (duobiao train --labels)",
                problems=problems,
            )
        return cls(tuple(members), _first_encoder(members))

    def weigh(self, rows: Sequence[Row], cells: Targets, folder: Path) -> Teachers:
        """Several teachers with scales and weights; a single one, or teachers that have them already, as they are.

        Args:
            rows: Labelled dev rows.
            cells: Their truth, ``(rows, labels)``.
            folder: The cache of soft labels.
        """
        if len(self.members) == 1 or self.scales:
            return self
        space = self.main.space
        raw = [soft_labels(one, rows, folder) for one in self.members]
        scales = tuple(calibrate(logits, cells, space) for logits in raw)
        scaled = [scale.apply(logits, space) for scale, logits in zip(scales, raw, strict=True)]
        weights = weigh(scaled, cells, space)
        found = replace(self, scales=scales, weights=weights)
        together = sum(weight * logits for weight, logits in zip(weights, scaled, strict=True))
        each = [
            {
                "name": one.bundle.name,
                "digest": one.bundle.digest,
                "weight": weight,
                **asdict(scale),
                **_quality(own, cells, space),
            }
            for one, weight, scale, own in zip(self.members, weights, scales, scaled, strict=True)
        ]
        all_of_them = _quality(np.asarray(together), cells, space)
        shown = [f"{one['name']} {one['micro_f1']:.4f} (weight {one['weight']:.2f})" for one in each]
        progress.say(f"micro-F1 on dev rows: {', '.join(shown)}; together {all_of_them['micro_f1']:.4f}")
        return replace(found, scores={"teachers": each, "together": all_of_them})

    @property
    def space(self) -> LabelSpace:
        return self.main.space

    @property
    def name(self) -> str:
        """For tables."""
        return " + ".join(one.bundle.name for one in self.members)

    @property
    def digest(self) -> str:
        """Names what they say: a single teacher's own digest, or one over all with their scales and weights."""
        if len(self.members) == 1:
            return self.main.bundle.digest
        scales = [[round(value, 4) for value in asdict(scale).values()] for scale in self.scales]
        said = [[one.bundle.digest for one in self.members], self.main.bundle.digest, scales, self.weights]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def soft(self, rows: Sequence[Row], folder: Path) -> Logits:
        """What students learn from, ``(rows, labels)``; each teacher's own logits are computed once and kept in ``folder``."""
        if len(self.members) == 1:
            return soft_labels(self.main, rows, folder)
        total = np.zeros((len(rows), len(self.space)))
        for one, scale, weight in zip(self.members, self.scales, self.weights, strict=True):
            if weight:
                total += weight * scale.apply(soft_labels(one, rows, folder), self.space)
        return total.astype(np.float32)


def calibrate(logits: Logits, cells: Targets, space: LabelSpace) -> Scale:
    """The slopes and the offset that minimise ``log_loss``; slopes stay between 1/50 and 50, and 1 where nothing is known."""
    free = len(space.independent)

    def loss(parts: Exact) -> tuple[float, Exact]:
        scale = _scale(parts)
        value, slope = log_loss(scale.apply(logits, space), cells, space)
        first = float((slope[:, :free] * logits[:, :free]).sum()) * scale.slope
        groups = float((slope[:, free:] * logits[:, free:]).sum()) * scale.group_slope
        return value, np.array([first, float(slope[:, :free].sum()), groups])

    edge = float(np.log(50.0))
    found = minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B", bounds=[(-edge, edge), (-20.0, 20.0), (-edge, edge)])
    return _scale(found.x)


def weigh(logits: Sequence[Exact], cells: Targets, space: LabelSpace) -> tuple[float, ...]:
    """The weights on the simplex whose weighted sum of logits has the least ``log_loss``, rounded to ``DIGITS``."""
    stack = np.stack(logits)

    def loss(weights: Exact) -> tuple[float, Exact]:
        value, slope = log_loss(np.tensordot(weights, stack, 1), cells, space)
        return value, np.tensordot(stack, slope, 2)

    start = np.full(len(stack), 1 / len(stack))
    simplex = {"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": np.ones_like}
    found = minimize(
        loss, start, jac=True, method="SLSQP", bounds=[(0, 1)] * len(stack), constraints=[simplex], options={"ftol": 1e-10}
    )
    rounded = np.round(np.clip(found.x, 0, 1) / np.clip(found.x, 0, 1).sum(), DIGITS)
    rounded[rounded.argmax()] += 1 - rounded.sum()
    return tuple(round(float(weight), DIGITS) for weight in rounded)


def log_loss(logits: Exact, cells: Targets, space: LabelSpace) -> tuple[float, Exact]:
    """Minus the mean log-probability of the truth over known decisions, and its slope in the logits.

    Known decisions are known cells of independent labels, and groups all of whose cells are known.

    Returns:
        The loss, and an array of shape ``(rows, labels)``: ``(probability - truth) / decisions`` where known, else 0.
    """
    known = cells >= 0
    truth = (cells == 1).astype(np.float64)
    slope = np.zeros_like(logits)
    free = slice(0, len(space.independent))
    own, said = known[:, free], logits[:, free]
    surprise = float((np.logaddexp(0.0, said) - truth[:, free] * said)[own].sum())
    slope[:, free] = np.where(own, expit(said) - truth[:, free], 0.0)
    count = int(own.sum())
    for group, columns in zip(space.groups, space.slices, strict=True):
        rows = np.flatnonzero(known[:, columns].all(axis=1))
        part, answer = logits[rows, columns], truth[rows, columns]
        none = np.zeros((len(rows), int(group.at_most_one)))  # "none of them" has logit 0
        total = logsumexp(np.hstack([part, none]), axis=1)
        surprise += float((total - (part * answer).sum(axis=1)).sum())
        slope[rows, columns] = np.exp(part - total[:, None]) - answer
        count += len(rows)
    return surprise / max(count, 1), slope / max(count, 1)


def _scale(parts: Exact) -> Scale:
    return Scale(float(np.exp(parts[0])), float(parts[1]), float(np.exp(parts[2])))


def _quality(logits: Exact, cells: Targets, space: LabelSpace) -> dict[str, float]:
    """Micro-F1 and macro-F1 on dev rows, thresholds tuned there as for any bundle."""
    rules = ThresholdSettings()
    proba = probabilities(logits, space)
    found = score(cells, Decoder(space, tune(proba, cells, space, rules), rules).decide(proba, cells != UNASKED), space)
    return {"micro_f1": found["micro_f1"], "macro_f1": found["macro_f1"] or 0.0}


def _first_encoder(members: Sequence[Classifier]) -> Classifier:
    for one in members:
        try:
            backend_of(one)
        except BundleError:
            continue
        return one
    backend_of(members[0])  # says why
    raise AssertionError
