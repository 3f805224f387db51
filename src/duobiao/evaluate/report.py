"""The comparison for people: a Markdown table and one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from duobiao.evaluate.wording import TEXTS, summary
from duobiao.labels import LabelSpace
from duobiao.page import render_page

Language = Literal["zh", "en"]
System = Mapping[str, Any]
COLORS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d", "#475569", "#a16207")


def render_markdown(systems: Sequence[System], machine: Mapping[str, Any]) -> str:
    """The table of all systems in Markdown."""
    has_groups = any(system["group_accuracy"] is not None for system in systems)
    unseen = any("unseen_text" in system for system in systems)
    head = ["system", "kind", "parameters", "MB", "micro-F1", "macro-F1"]
    head += ["group accuracy"] * has_groups + ["micro-F1 on unseen text"] * unseen
    head += ["rows/s (1)", "rows/s (32)", "p50 ms (1)", "p95 ms (1)", "p50 ms (32)", "p95 ms (32)", "speed-up (32)", "notes"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for system in systems:
        cells = [system["name"], system["kind"], f"{system['parameters']:,}", _number(system["mb"])]
        cells += [_ratio(system["micro_f1"]), _ratio(system["macro_f1"])]
        cells += [_ratio(system["group_accuracy"])] * has_groups
        cells += [_ratio(_unseen(system))] * unseen
        cells += [_number(system["rows_per_s"][size]) for size in ("1", "32")]
        cells += [_number(system[key][size]) for size in ("1", "32") for key in ("p50_ms", "p95_ms")]
        cells += [f"{system['speedup']:.1f}x", "; ".join(system["notes"])]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    first = systems[0]
    reference = next(system["name"] for system in systems if system["reference"])
    lines += [
        "",
        f"{first['rows']} rows scored. Timed in turn in one run, text in, decisions out, on {machine['cores']} cores; "
        f"speed-up is the median ratio to {reference} within a round.",
        "",
    ]
    return "\n".join(lines)


def render_html(
    systems: Sequence[System], space: LabelSpace, machine: Mapping[str, Any], *, language: Language = "zh", title: str = ""
) -> str:
    """The report: one file, no outside resource, light and dark.

    Args:
        systems: As in ``compare.json``.
        space: The label space.
        machine: Where it was measured.
        language: ``zh`` or ``en``.
        title: Title of the page.
    """
    values = {
        "t": TEXTS[language],
        "language": language,
        "title": title or TEXTS[language]["title"],
        "systems": systems,
        "colors": COLORS,
        "summary": summary(systems, language),
        "plot": _plot(systems),
        "best": _best(systems),
        "independent": space.independent,
        "groups": space.groups,
        "machine": machine,
    }
    return render_page(
        "duobiao.evaluate", "report.html", values, filters={"ratio": _ratio, "number": _number, "unseen": _unseen}
    )


def _best(systems: Sequence[System]) -> dict[str, Any]:
    """The best value of each column, to be printed bold."""
    best: dict[str, Any] = {}
    for key in ("micro_f1", "macro_f1", "group_accuracy"):
        best[key] = max((system[key] for system in systems if system[key] is not None), default=None)
    best["mb"] = min(system["mb"] for system in systems)
    best["rows_per_s"] = max(system["rows_per_s"]["32"] for system in systems)
    return best


def _plot(systems: Sequence[System]) -> dict[str, Any]:
    """Coordinates of the scatter plot: rows/s at batch 32 (logarithmic) against micro-F1."""
    width, height, left, right, top, bottom = 720, 350, 60, 30, 30, 50
    speeds = [system["rows_per_s"]["32"] for system in systems]
    values = [system["micro_f1"] for system in systems]
    across, up = _powers(min(speeds), max(speeds)), _steps(min(values), max(values))

    def x(speed: float) -> float:
        span = math.log10(across[-1] / across[0])
        return round(left + math.log10(speed / across[0]) / span * (width - left - right), 2)

    def y(value: float) -> float:
        return round(top + (up[-1] - value) / (up[-1] - up[0]) * (height - top - bottom), 2)

    points = []
    for number, (system, speed, value) in enumerate(zip(systems, speeds, values, strict=True)):
        points.append({"x": x(speed), "y": y(value), "name": system["name"], "color": COLORS[number % len(COLORS)]})
    _place_names(points, width - right, (top + height - bottom) / 2)
    return {
        "width": width,
        "height": height,
        "left": left,
        "bottom": height - bottom,
        "right": width - right,
        "top": top,
        "points": points,
        "x_ticks": [(x(tick), f"{tick:,g}" if tick < 1 else f"{tick:,.0f}") for tick in across],
        "y_ticks": [(y(tick), f"{tick:.3f}") for tick in up],
    }


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
        return any(abs(level - other) < 14 and start < end and begin < stop for other, begin, end in taken)

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


def _unseen(system: System) -> float | None:
    """Micro-F1 on unseen text, where there is any."""
    block = system.get("unseen_text", {})
    return block["micro_f1"] if block.get("rows") else None


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
