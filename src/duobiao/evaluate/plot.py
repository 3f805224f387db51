"""Where things stand in the picture of quality against time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from duobiao.evaluate.front import dominators, p95, quality_time

System = Mapping[str, Any]
COLORS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d", "#475569", "#a16207")
WIDE, NARROW = (720, 380), (330, 340)
"""Width and height of the picture on a large and on a small screen."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 30, 50
_LONGEST = 28
"""Characters of a name."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def color(number: int) -> str:
    """The colour of a system, by its place in the table."""
    return COLORS[number % len(COLORS)]


def plot(systems: Sequence[System], size: tuple[int, int] = WIDE) -> dict[str, Any]:
    """Coordinates of the scatter plot: ms of a row alone (logarithmic) against micro-F1 with its interval, and the front."""
    width, height = size
    right, bottom = width - _RIGHT, height - _BOTTOM
    times, values = [p95(system) for system in systems], [float(system["micro_f1"]) for system in systems]
    bounds = [_bounds(system) for system in systems]
    across = _powers(min(times), max(times))
    up = _steps(min(low for low, _ in bounds), max(high for _, high in bounds))

    def x(time: float) -> float:
        return round(_LEFT + math.log10(time / across[0]) / math.log10(across[-1] / across[0]) * (right - _LEFT), 2)

    def y(value: float) -> float:
        return round(_TOP + (up[-1] - value) / (up[-1] - up[0]) * (bottom - _TOP), 2)

    beaten = dominators([quality_time(system) for system in systems])
    points: list[dict[str, Any]] = [
        {
            "x": x(time),
            "y": y(value),
            "low": y(low),
            "high": y(high),
            "name": _short(system["name"]),
            "color": color(number),
            "front": not beaten[number],
        }
        for number, (system, time, value, (low, high)) in enumerate(zip(systems, times, values, bounds, strict=True))
    ]
    _place_names(points, (0, _TOP - 20, width, bottom + 4))
    sides = {"left": _LEFT, "top": _TOP, "right": right, "bottom": bottom}
    return {
        **{"width": width, "height": height, "points": points, **sides},
        "front": _staircase([(point["x"], point["y"]) for point in points if point["front"]], right),
        "x_ticks": [(x(tick), f"{tick:,g}" if tick < 1 else f"{tick:,.0f}") for tick in across],
        "y_ticks": [(y(tick), f"{tick:.3f}") for tick in up],
    }


def _bounds(system: System) -> tuple[float, float]:
    low, high = system.get("intervals", {}).get("micro_f1") or (system["micro_f1"],) * 2
    return float(low), float(high)


def _staircase(points: Sequence[tuple[float, float]], right: float) -> str:
    """The edge of what is reached, as the points of a line: level until something better, then up to it."""
    ordered = sorted(points)
    places = [ordered[0]]
    for place in ordered[1:]:
        places += [(place[0], places[-1][1]), place]
    places.append((right, places[-1][1]))
    return " ".join(f"{across:g},{down:g}" for across, down in places)


def _short(name: str) -> str:
    """A name that fits; of a long one the end, which tells bundles apart."""
    return name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]


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


def _place_names(points: list[dict[str, Any]], inside: Box) -> None:
    """Puts each name beside its point, above or below it, or further away, where it covers no name, point or interval."""
    taken: list[Box] = [(point["x"] - 7, point["y"] - 7, point["x"] + 7, point["y"] + 7) for point in points]
    taken += [
        (point["x"] - 1, point["high"], point["x"] + 1, point["low"]) for point in points if point["low"] != point["high"]
    ]
    for point in points:
        length = sum(12.0 if ord(character) > 0x2E7F else 7.2 for character in point["name"])
        places = [(place, _box(place, length)) for place in _candidates(point["x"], point["y"])]
        fitting = [one for one in places if _holds(inside, one[1])] or places
        place, box = next((one for one in fitting if not any(_meet(one[1], other) for other in taken)), fitting[0])
        taken.append(box)
        point["name_x"], point["name_y"], point["anchor"] = place


def _candidates(x: float, y: float) -> list[tuple[float, float, str]]:
    """Where a name may stand: base line and anchor; the nearest first."""
    found: list[tuple[float, float, str]] = []
    for shift in range(0, 400, 5):
        for level in (y + 4 + shift, y + 4 - shift)[: 1 + bool(shift)]:
            found += [(x + 10, level, "start"), (x - 10, level, "end")]
            if shift >= 15:
                found.append((x, level, "middle"))
    return found


def _box(place: tuple[float, float, str], length: float) -> Box:
    x, y, anchor = place
    start = x - {"start": 0.0, "middle": length / 2, "end": length}[anchor]
    return start, y - 11, start + length, y + 3


def _holds(outer: Box, box: Box) -> bool:
    return outer[0] <= box[0] and outer[1] <= box[1] and box[2] <= outer[2] and box[3] <= outer[3]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
