"""Speed of systems side by side: text in, decisions out, interleaved on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from duobiao import progress
from duobiao.classifier import Prediction
from duobiao.data.rows import Contexts, Numeric, Row, model_inputs

BATCHES = (1, 32)
ROUNDS = {1: 120, 32: 30}


class Answers(Protocol):
    """What can be timed: a classifier, or several in a row."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of numbers that it reads."""
        ...

    def predict(
        self, texts: Sequence[str], context: Contexts = None, label: str = "", numeric: Numeric | None = None
    ) -> list[Prediction]:
        """Decisions, one a row."""
        ...


def measure(
    systems: Sequence[Answers],
    rows: Sequence[Row],
    reference: int = 0,
    rounds: dict[int, int] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    order: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """Times every system on the same rows in turn, so that a noisy machine disturbs all alike.

    In each round every system answers the same batch, one after the other, the order turning from round to round. Speed-ups
    are the median over rounds of the ratio within a round.

    Args:
        systems: Loaded bundles.
        rows: All rows, whose columns of numbers the systems read.
        reference: Which system speed-ups are against.
        rounds: Rounds for each batch size.
        clock: Seconds.
        order: Numbers of the rows to take batches from, all of them if left out; taken again from the start where there are
            too few.

    Returns:
        For each system ``rows_per_s``, ``p50_ms``, ``p95_ms``, ``speedups`` by batch size (as text), and ``speedup``, the
        one at the largest batch.
    """
    plan, order = rounds or ROUNDS, range(len(rows)) if order is None else order
    whole = [model_inputs(rows, system.columns) for system in systems]
    found: list[dict[str, Any]] = [{"rows_per_s": {}, "p50_ms": {}, "p95_ms": {}, "speedups": {}} for _ in systems]
    with progress.task("timing", sum(plan.values())) as task:
        for size, count in plan.items():
            times = np.zeros((count, len(systems)))
            for number in range(-2, count):  # two rounds to warm up
                batch = [order[(max(number, 0) * size + offset) % len(order)] for offset in range(size)]
                inputs = [_picked(own, batch) for own in whole]
                for place in range(len(systems)):
                    which = (place + number) % len(systems)
                    began = clock()
                    systems[which].predict(**inputs[which])
                    if number >= 0:
                        times[number, which] = clock() - began
                if number >= 0:
                    task.advance()
            for which, result in enumerate(found):
                own = times[:, which]
                result["rows_per_s"][str(size)] = float(size / np.median(own))
                result["p50_ms"][str(size)] = float(np.median(own) * 1000)
                result["p95_ms"][str(size)] = float(np.quantile(own, 0.95) * 1000)
                result["speedups"][str(size)] = float(np.median(times[:, reference] / own))
    for result in found:
        result["speedup"] = result["speedups"][str(max(plan))]
    return found


def _picked(inputs: Mapping[str, Any], batch: Sequence[int]) -> dict[str, Any]:
    """What a system is given of some of the rows."""
    return {
        name: {column: [own[row] for row in batch] for column, own in values.items()}
        if name == "numeric"
        else [values[row] for row in batch]
        for name, values in inputs.items()
    }
