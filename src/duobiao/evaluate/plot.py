"""Where things stand in the picture of quality against time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from duobiao.evaluate.front import dominators, p95, quality_time

System = Mapping[str, Any]
COLORS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d", "#475569", "#a16207")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 380, 60, 30, 30, 50
_LINE = 15


def color(number: int) -> str:
    """The colour of a system, by its place in the table."""
    return COLORS[number % len(COLORS)]


def plot(systems: Sequence[System]) -> dict[str, Any]:
    """Coordinates of the scatter plot: ms of a row alone (logarithmic) against micro-F1 with its interval, and the front."""
    times, values = [p95(system) for system in systems], [float(system["micro_f1"]) for system in systems]
    bounds = [
        system.get("intervals", {}).get("micro_f1") or [value, value] for system, value in zip(systems, values, strict=True)
    ]
    across = _powers(min(times), max(times))
    up = _steps(min(low for low, _ in bounds), max(high for _, high in bounds))

    def x(time: float) -> float:
        span = math.log10(across[-1] / across[0])
        return round(_LEFT + math.log10(time / across[0]) / span * (_WIDTH - _LEFT - _RIGHT), 2)

    def y(value: float) -> float:
        return round(_TOP + (up[-1] - value) / (up[-1] - up[0]) * (_HEIGHT - _TOP - _BOTTOM), 2)

    beaten = dominators([quality_time(system) for system in systems])
    points = [
        {
            "x": x(time),
            "y": y(value),
            "low": y(low),
            "high": y(high),
            "name": system["name"],
            "color": color(number),
            "front": not beaten[number],
        }
        for number, (system, time, value, (low, high)) in enumerate(zip(systems, times, values, bounds, strict=True))
    ]
    _place_names(points, _WIDTH - _RIGHT, (_TOP + _HEIGHT - _BOTTOM) / 2)
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "bottom": _HEIGHT - _BOTTOM,
        "right": _WIDTH - _RIGHT,
        "top": _TOP,
        "points": points,
        "front": _staircase([(point["x"], point["y"]) for point in points if point["front"]]),
        "x_ticks": [(x(tick), f"{tick:,g}" if tick < 1 else f"{tick:,.0f}") for tick in across],
        "y_ticks": [(y(tick), f"{tick:.3f}") for tick in up],
    }


def _staircase(points: Sequence[tuple[float, float]]) -> str:
    """The edge of what is reached, as the points of a line: level until something better, then up to it."""
    ordered = sorted(points)
    places = [ordered[0]]
    for place in ordered[1:]:
        places += [(place[0], places[-1][1]), place]
    places.append((_WIDTH - _RIGHT, places[-1][1]))
    return " ".join(f"{across:g},{down:g}" for across, down in places)


def _powers(low: float, high: float) -> list[float]:
    """Ticks 1, 2, 5, 10, ... around the values; powers of ten alone where they span more than two of them."""
    first, last = math.floor(math.log10(low)), math.floor(math.log10(high)) + 1
    digits = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = [digit * 10.0**power for power in range(first, last) for digit in digits] + [10.0**last]
    start = max(number for number, tick in enumerate(ticks[:-1]) if tick <= low)
    stop = min(number for number, tick in enumerate(ticks) if tick >= high and number > start)
    return ticks[start : stop + 1]


def _steps(low: float, high: float) -> list[float]:
    """Some six evenly spaced ticks around the values, inside [0, 1]."""
    step = next(step for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if step * 6 >= high - low)
    first = max(math.floor((low - step * 0.2) / step), 0)
    last = min(math.ceil((high + step * 0.2) / step), round(1 / step))
    return [number * step for number in range(first, last + 1)]


def _place_names(points: list[dict[str, Any]], right: float, middle: float) -> None:
    """Puts each name to the right of its point, else to the left, else higher or lower (toward the middle)."""
    taken: list[tuple[float, float, float]] = [(point["y"] + 4, point["x"] - 8, point["x"] + 8) for point in points]

    def covers(level: float, start: float, stop: float) -> bool:
        return any(abs(level - other) < _LINE and start < end and begin < stop for other, begin, end in taken)

    for point in sorted(points, key=lambda point: -abs(point["y"] - middle)):
        length = sum(12.0 if ord(character) > 0x2E7F else 7.2 for character in point["name"])
        level, starts = point["y"] + 4, [point["x"] + 10, point["x"] - 10 - length]
        inside = [start for start in starts if start > 0 and start + length <= right] or starts[:1]
        start = next((start for start in inside if not covers(level, start, start + length)), inside[0])
        while covers(level, start, start + length):
            level += 2 if point["y"] < middle else -2
        taken.append((level, start, start + length))
        flip = start < point["x"]
        point.update(anchor="end" if flip else "start", name_x=point["x"] + (-10 if flip else 10), name_y=level)
