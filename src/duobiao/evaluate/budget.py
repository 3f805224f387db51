"""Which system to deploy under limits of time, size and quality."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duobiao.errors import ConfigError
from duobiao.evaluate.front import p95

KEEP = 0.98
System = Mapping[str, Any]


@dataclass(frozen=True)
class Budget:
    """What a system may cost and must reach; None sets no limit.

    Attributes:
        max_ms: Milliseconds for a row alone, 95th percentile.
        max_mb: Megabytes of the bundle.
        min_micro_f1: Lowest micro-F1.
        keep: Lowest share of the best system's micro-F1.
    """

    max_ms: float | None = None
    max_mb: float | None = None
    min_micro_f1: float | None = None
    keep: float | None = None

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value:g}, which no system can meet"
            for name, value in (("--max-ms", self.max_ms), ("--max-mb", self.max_mb))
            if value is not None and not (value > 0 and math.isfinite(value))
        ]
        problems += [
            f"{name} is {value:g}; it goes from above 0 to 1"
            for name, value in (("--min-micro-f1", self.min_micro_f1), ("--keep", self.keep))
            if value is not None and not 0 < value <= 1
        ]
        if problems:
            raise ConfigError("the budget cannot be used", hint="see duobiao compare --help", problems=problems)

    def __bool__(self) -> bool:
        return any(limit is not None for limit in (self.max_ms, self.max_mb, self.min_micro_f1, self.keep))

    @property
    def limits_cost(self) -> bool:
        """Whether time or size is limited, so that quality is what is left to choose by."""
        return self.max_ms is not None or self.max_mb is not None

    def floor(self, systems: Sequence[System]) -> float:
        """The lowest micro-F1 that is good enough among these systems."""
        share = 0.0 if self.keep is None else self.keep * float(best_of(systems)["micro_f1"])
        return max(share, self.min_micro_f1 or 0.0)

    def fitting(self, systems: Sequence[System]) -> list[System]:
        """The systems that meet every limit; a limit itself is still met."""
        floor = self.floor(systems)
        return [
            system
            for system in systems
            if (self.max_ms is None or p95(system) <= self.max_ms)
            and (self.max_mb is None or system["mb"] <= self.max_mb)
            and system["micro_f1"] >= floor
        ]


def best_of(systems: Sequence[System]) -> System:
    """The highest micro-F1; of equals the fastest, then the smallest, then the first."""
    return min(systems, key=lambda system: (-system["micro_f1"], p95(system), system["mb"]))


def smallest_of(systems: Sequence[System]) -> System:
    """The fewest megabytes; of equals the best, then the fastest, then the first."""
    return min(systems, key=lambda system: (system["mb"], -system["micro_f1"], p95(system)))


def fastest_of(systems: Sequence[System]) -> System:
    """The fewest milliseconds for a row alone (95th percentile); of equals the best, then the smallest, then the first."""
    return min(systems, key=lambda system: (p95(system), -system["micro_f1"], system["mb"]))


def chosen(systems: Sequence[System], budget: Budget) -> list[tuple[str, System]]:
    """What to deploy.

    With a limit of time or size: the best of the systems that meet all limits. With a limit of quality alone: the smallest and
    the fastest of those that meet it. Without any: the same with ``keep`` at 98 %.

    Returns:
        ``best``, or ``smallest`` and ``fastest`` (``both`` where they are one system); nothing if no system meets all limits.
    """
    fitting = (budget or Budget(keep=KEEP)).fitting(systems)
    if not fitting:
        return []
    if budget.limits_cost:
        return [("best", best_of(fitting))]
    small, fast = smallest_of(fitting), fastest_of(fitting)
    return [("both", small)] if small is fast else [("smallest", small), ("fastest", fast)]


def nearest(systems: Sequence[System], budget: Budget) -> list[tuple[str, float, System, bool]]:
    """For each limit its name, its value, the system that does best by it, and whether that one meets it."""
    found: list[tuple[str, float, System, bool]] = []
    costs: tuple[tuple[str, float | None, Callable[[Sequence[System]], System], Callable[[System], float]], ...] = (
        ("ms", budget.max_ms, fastest_of, p95),
        ("mb", budget.max_mb, smallest_of, lambda system: float(system["mb"])),
    )
    for name, limit, pick, cost in costs:
        if limit is not None:
            system = pick(systems)
            found.append((name, limit, system, cost(system) <= limit))
    floor = budget.floor(systems)
    if floor:
        system = best_of(systems)
        found.append(("micro_f1", floor, system, system["micro_f1"] >= floor))
    return found
