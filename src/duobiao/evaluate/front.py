"""Which systems are worth having: the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Point = tuple[float, ...]
"""What a system costs, each number better when it is smaller."""


def dominates(one: Point, other: Point) -> bool:
    """Whether ``one`` is nowhere worse than ``other`` and somewhere better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def dominators(points: Sequence[Point]) -> list[list[int]]:
    """For each point, the points of the front that dominate it; the front is those that nothing dominates.

    Equal points don't dominate each other, so both are on the front or neither is. A point off the front is always dominated by
    one on it: "dominates" is transitive and never circular, and points are finitely many.
    """
    front = [at for at, point in enumerate(points) if not any(dominates(other, point) for other in points)]
    return [[at for at in front if dominates(points[at], point)] for point in points]


def quality_time_size(system: Mapping[str, Any]) -> Point:
    """What is weighed when a system is chosen: micro-F1, ms for a row alone (95th percentile), megabytes."""
    return -float(system["micro_f1"]), p95(system), float(system["mb"])


def quality_time(system: Mapping[str, Any]) -> Point:
    """What the picture shows: micro-F1 and ms for a row alone (95th percentile)."""
    return -float(system["micro_f1"]), p95(system)


def p95(system: Mapping[str, Any]) -> float:
    """Milliseconds within which 95 % of rows are answered, one at a time."""
    return float(system["p95_ms"]["1"])
