"""A curve of quality against time, as one SVG that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from duobiao.errors import DataError
from duobiao.evaluate.wording import Language
from duobiao.svg import svg_page

_TEXTS = {
    "zh": {"title": "质量与耗时", "x": "单行耗时（毫秒，中位数）", "y": "macro-F1", "chosen": "当前设置", "plain": "完整教师"},
    "en": {"title": "Quality against time", "x": "ms a row (median)", "y": "macro-F1", "chosen": "chosen", "plain": "teacher"},
}
STYLE = """
text { font-family: "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif; font-size: 12px;
  fill: #1f2937; }
.sheet { fill: #ffffff; } .grid { stroke: #d8dee4; } .head { font-size: 16px; font-weight: 600; }
.line { fill: none; stroke: #2563eb; stroke-width: 2; } .dot { fill: #2563eb; } .plain { fill: #6b7280; }
.chosen { fill: none; stroke: #dc2626; stroke-width: 2; } .second .line { stroke: #059669; } .second .dot { fill: #059669; }
@media (prefers-color-scheme: dark) { text { fill: #e5e7eb; } .sheet { fill: #111418; } .grid { stroke: #323942; }
  .line { stroke: #60a5fa; } .dot { fill: #60a5fa; } .chosen { stroke: #f87171; } }
"""
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 400, 64, 24, 48, 56


@dataclass(frozen=True)
class Point:
    """A setting in the picture.

    Attributes:
        ms: Milliseconds a row.
        quality: Macro-F1.
        name: What is written beside it.
        line: Points of one line are joined, the slowest first.
        chosen: Whether it is marked as the one in use.
        plain: Whether it is the plain teacher, which belongs to every line.
    """

    ms: float
    quality: float
    name: str
    line: str
    chosen: bool = False
    plain: bool = False


def check_picture(path: Path) -> None:
    """Refuses a picture that cannot be drawn, before any work is done.

    Raises:
        DataError: Naming the file.
    """
    if path.suffix.lower() != ".svg":
        raise DataError(f"{path}: the curve is drawn as SVG", hint="name a file that ends in .svg")


def render_curve(points: Sequence[Point], *, language: Language = "zh", title: str = "") -> str:
    """The curve of one or two lines (criteria), with the plain teacher and the chosen setting marked."""
    texts = _TEXTS[language]
    low, high = _range([point.quality for point in points], 0.002)
    most = max(point.ms for point in points) * 1.08

    def place(ms: float, quality: float) -> tuple[float, float]:
        across, down = ms / most, (high - quality) / (high - low)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _TOP + down * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<text class="head" x="{_LEFT}" y="28">{escape(title or texts["title"])}</text>']
    for step in range(6):
        ms, quality = most * step / 5, low + (high - low) * step / 5
        x, y = place(ms, quality)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{quality:.3f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{ms:.3g}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 12}" text-anchor="middle">{texts["x"]}</text>')
    parts.append(f'<text x="{_LEFT - 8}" y="{_TOP - 12}" text-anchor="end">{texts["y"]}</text>')
    lines = list(dict.fromkeys(point.line for point in points))
    for number, line in enumerate(lines):
        own = sorted((point for point in points if point.line == line or point.plain), key=lambda point: -point.ms)
        parts.append(f'<g class="{"second" if number else "first"}">')
        track = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(point.ms, point.quality) for point in own))
        parts.append(f'<polyline class="line" points="{track}"/>')
        parts += [mark for point in own for mark in _marks(point, *place(point.ms, point.quality), texts)]
        parts.append("</g>")
    return svg_page(_WIDTH, _HEIGHT, STYLE, parts)


def _marks(point: Point, x: float, y: float, texts: dict[str, str]) -> list[str]:
    name = texts["plain"] if point.plain else point.name
    marks = [f'<circle class="{"plain" if point.plain else "dot"}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>']
    if point.chosen:
        marks.append(f'<circle class="chosen" cx="{x:.1f}" cy="{y:.1f}" r="9"/>')
        name += f" ({texts['chosen']})"
    return [*marks, f'<text x="{x:.1f}" y="{y - 12:.1f}" text-anchor="middle">{escape(name)}</text>']


def _range(values: Sequence[float], least: float) -> tuple[float, float]:
    """Bounds with some room around the values."""
    low, high = min(values), max(values)
    room = max(high - low, least) * 0.15
    return low - room, high + room
