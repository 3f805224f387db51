"""Leaving early, whatever computes the layers: rows that are done leave after a stage, the rest are regrouped and go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from duobiao import progress
from duobiao.bundle import Bundle
from duobiao.data.encode import TOKEN_BUDGET, Encoded, Ids, RowEncoder
from duobiao.labels import Mask
from duobiao.postprocess.calibration import Calibration
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.leaving import Leaving, errors_from_list
from duobiao.postprocess.probabilities import Floats

POOL_TOKENS = 16 * TOKEN_BUDGET
"""Padded tokens that go through the layers together, so that what is left of several batches makes a full one."""


@dataclass
class Part:
    """Rows on their way, the longest first.

    Attributes:
        rows: Their places in the result.
        lengths: Tokens of each.
        states: What the next stage reads, ``(rows, length, width)``; before the first stage whatever ``Stages.start`` gives.
        mask: What the stages take as mask; as ``Stages.mask`` gives it.
        features: Numbers beside the text, ``(rows, width)``.
    """

    rows: Ids
    lengths: Ids
    states: Any
    mask: Any
    features: npt.NDArray[np.float32] | None = None


class Stages(Protocol):
    """An encoder cut at its exits. Arrays on the way are of its own kind."""

    exits: tuple[int, ...]
    """Layers after which rows may leave, counted from 1."""
    layers: int

    def plan(self, lengths: Ids, token_budget: int, max_rows: int) -> list[Ids]:
        """Row numbers cut into batches, the longest rows first."""
        ...

    def room(self, tokens: int, token_budget: int) -> int:
        """Padded tokens that neighbours may have to become one part, where so many are left in all."""
        ...

    def start(self, padded: dict[str, npt.NDArray[Any]]) -> Any:
        """What the first stage reads, from a padded batch."""
        ...

    def mask(self, states: Any, lengths: Ids) -> Any:
        """What the stages take as mask for rows of these lengths."""
        ...

    def advance(self, parts: Sequence[Part], begin: int, number: int) -> list[Floats]:
        """Runs the layers after layer ``begin`` up to the exit ``number``; returns its logits of each part."""
        ...

    def finish(self, parts: Sequence[Part], begin: int) -> list[Floats]:
        """Runs the layers after layer ``begin`` to the end; returns the last exit's logits of each part."""
        ...

    def pick(self, states: Any, rows: Ids, length: int) -> Any:
        """Some rows of states, the first ``length`` tokens."""
        ...

    def join(self, first: Any, second: Any) -> Any:
        """States of two parts below each other, the second padded to the length of the first."""
        ...


class EarlyRun:
    """One pass over many rows.

    Args:
        stages: The model, cut at its exits.
        rule: When rows leave.
        labels: Number of labels.
        token_budget: Padded tokens a forward pass.
        max_rows: Rows a forward pass.
    """

    def __init__(
        self, stages: Stages, rule: Leaving, labels: int, token_budget: int = TOKEN_BUDGET, max_rows: int = 256
    ) -> None:
        self.stages, self.rule, self.labels = stages, rule, labels
        self.token_budget, self.max_rows = token_budget, max_rows

    def __call__(self, encoder: RowEncoder, encoded: Encoded, asked: Mask, label: str = "") -> tuple[Floats, Ids]:
        """Logits ``(rows, labels)`` and the layers that each row ran through ``(rows,)``, both in the order of the rows.

        Args:
            encoder: Pads.
            encoded: The rows.
            asked: Which cells are asked, ``(rows, labels)``.
            label: Name of a progress bar; none by default.
        """
        self.asked = asked
        self.logits = np.zeros((len(encoded), self.labels), dtype=np.float32)
        self.depths = np.zeros(len(encoded), dtype=np.int64)
        plan = self.stages.plan(encoded.lengths, self.token_budget, self.max_rows) if len(encoded) else []
        with progress.task(label, len(encoded)) if label else nullcontext() as task:
            for pool in _pools(plan, encoded.lengths):
                self._run([self._start(encoder, encoded, rows) for rows in pool])
                if task:
                    task.advance(sum(len(rows) for rows in pool))
        return self.logits, self.depths

    def _run(self, parts: list[Part]) -> None:
        begin = 0
        for number, layer in enumerate(self.stages.exits):
            if number not in self.rule.exits or not parts:
                continue
            answers = self.stages.advance(parts, begin, number)
            begin = layer
            left = [self._without_done(part, number, logits) for part, logits in zip(parts, answers, strict=True)]
            parts = self._regrouped(left)
        if parts:
            for part, logits in zip(parts, self.stages.finish(parts, begin), strict=True):
                self._answer(part.rows, logits, self.stages.layers)

    def _start(self, encoder: RowEncoder, encoded: Encoded, rows: Ids) -> Part:
        padded = encoder.pad(encoded, rows)
        features = padded.pop("features", None)
        states, lengths = self.stages.start(padded), encoded.lengths[rows]
        return Part(rows, lengths, states, self.stages.mask(states, lengths), features)

    def _without_done(self, part: Part, number: int, logits: Floats) -> Part | None:
        """The rows that go on; None if there are none."""
        leaves = self.rule.leaves(number, logits, self.asked[part.rows])
        if not leaves.any():
            return part
        self._answer(part.rows[leaves], logits[leaves], self.stages.exits[number])
        stay = np.flatnonzero(~leaves)
        return self._picked(part, stay) if len(stay) else None

    def _picked(self, part: Part, stay: Ids) -> Part:
        """Some rows of a part, with no more padding than they need."""
        lengths = part.lengths[stay]
        states = self.stages.pick(part.states, stay, int(lengths[0]))
        features = None if part.features is None else part.features[stay]
        return Part(part.rows[stay], lengths, states, self.stages.mask(states, lengths), features)

    def _regrouped(self, left: Sequence[Part | None]) -> list[Part]:
        """Neighbours that fit into one forward pass together become one part."""
        parts: list[Part] = []
        tokens = sum(int(part.lengths.sum()) for part in left if part is not None)
        room = self.stages.room(tokens, self.token_budget)
        for part in left:
            if part is None:
                continue
            size = len(part.rows) + (len(parts[-1].rows) if parts else 0)
            if parts and size <= self.max_rows and size * parts[-1].states.shape[1] <= room:
                parts[-1] = self._merged(parts[-1], part)
            else:
                parts.append(part)
        return parts

    def _merged(self, first: Part, second: Part) -> Part:
        features = None
        if first.features is not None and second.features is not None:
            features = np.concatenate([first.features, second.features])
        rows, lengths = np.concatenate([first.rows, second.rows]), np.concatenate([first.lengths, second.lengths])
        states = self.stages.join(first.states, second.states)
        return Part(rows, lengths, states, self.stages.mask(states, lengths), features)

    def _answer(self, rows: Ids, logits: Floats, depth: int) -> None:
        self.logits[rows] = logits
        self.depths[rows] = depth


def _pools(plan: Sequence[Ids], lengths: Ids) -> Iterator[list[Ids]]:
    """Batches that go through the layers together."""
    pool: list[Ids] = []
    tokens = 0
    for rows in plan:
        size = len(rows) * int(lengths[rows].max())
        if pool and tokens + size > POOL_TOKENS:
            yield pool
            pool, tokens = [], 0
        pool.append(rows)
        tokens += size
    if pool:
        yield pool


def stored_rule(bundle: Bundle, errors: Floats) -> Leaving:
    """The rule that a bundle's dial asks for."""
    dial: dict[str, Any] = dict(bundle.model["dial"])
    decoder = Decoder.from_dict(bundle.thresholds, bundle.space)
    calibration = Calibration.from_dict(bundle.thresholds.get("calibration", {}), bundle.space)
    return Leaving(decoder, dial["criterion"], float(dial["speed"]), errors, tuple(dial["exits"]), calibration)


def rule_at(rule: Leaving, point: Mapping[str, Any]) -> Leaving:
    """The rule at another operating point; no row leaves early if the point holds no errors of its own."""
    errors = point.get("errors")
    found = replace(rule, decoder=Decoder.from_dict(point, rule.decoder.space))
    return replace(found, speed=0.0) if errors is None else replace(found, errors=errors_from_list(errors))
