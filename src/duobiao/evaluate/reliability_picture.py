"""Reliability diagrams, before and after calibration, as one SVG that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from duobiao.evaluate.curve import STYLE
from duobiao.evaluate.wording import Language
from duobiao.svg import svg_page

_TEXTS = {
    "zh": {
        "title": "可靠性：预测概率与实际比例",
        "before": "校准前",
        "after": "校准后",
        "x": "预测概率",
        "y": "实际为真的比例",
        "note": "每个点含同样多的单元格，越靠近对角线越好；点越大，离对角线的偏差在 ECE 里占得越多；均为留出行",
        "none": "这次没有做校准",
    },
    "en": {
        "title": "Reliability: what probabilities say, and how often it is so",
        "before": "before",
        "after": "after",
        "x": "mean probability",
        "y": "share of true cells",
        "note": "equally many cells a dot, best on the diagonal; larger dots add more to the ECE; held-out rows",
        "none": "nothing was calibrated",
    },
}
_SIZE, _GAP, _LEFT, _TOP, _BOTTOM = 320, 72, 64, 84, 84


def render_reliability(found: Mapping[str, Any], *, language: Language = "zh") -> str:
    """The diagrams of what ``tune_bundle`` returns, side by side."""
    texts, calibration = _TEXTS[language], found["calibration"]
    width, height = _LEFT + 2 * _SIZE + _GAP + 24, _TOP + _SIZE + _BOTTOM
    parts = [f'<text class="head" x="{_LEFT}" y="30">{texts["title"]} · {escape(str(found["name"]))}</text>']
    if calibration is None:
        parts.append(f'<text x="{_LEFT}" y="{_TOP}">{texts["none"]}</text>')
    else:
        for number, key in enumerate(("before", "after")):
            scores = calibration[key]
            title = f"{texts[key]}: ECE {scores['ece']:.4f} · Brier {scores['brier']:.4f}"
            x = _LEFT + number * (_SIZE + _GAP)
            parts.append(f'<g class="{"second" if number else "first"}" transform="translate({x},{_TOP})">')
            parts += _panel(calibration["bins"][key], title, texts)
            parts.append("</g>")
        parts.append(f'<text x="{_LEFT}" y="{height - 16}">{texts["note"]}</text>')
    return svg_page(width, height, STYLE, parts)


def _panel(bins: Sequence[Mapping[str, float]], title: str, texts: Mapping[str, str]) -> list[str]:
    parts = [f'<text x="0" y="-14" font-weight="600">{title}</text>']
    for step in range(6):
        at = _SIZE * step / 5
        parts.append(f'<line class="grid" x1="0" x2="{_SIZE}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<line class="grid" y1="0" y2="{_SIZE}" x1="{at:.1f}" x2="{at:.1f}"/>')
        parts.append(f'<text x="-8" y="{at + 4:.1f}" text-anchor="end">{1 - step / 5:.1f}</text>')
        parts.append(f'<text x="{at:.1f}" y="{_SIZE + 18}" text-anchor="middle">{step / 5:.1f}</text>')
    parts.append(f'<text x="{_SIZE / 2}" y="{_SIZE + 38}" text-anchor="middle">{texts["x"]}</text>')
    parts.append(f'<text transform="translate(-42,{_SIZE / 2}) rotate(-90)" text-anchor="middle">{texts["y"]}</text>')
    parts.append(f'<line class="grid" style="stroke-width:2" x1="0" y1="{_SIZE}" x2="{_SIZE}" y2="0"/>')
    found = dots(bins, _SIZE)
    if len(found) > 1:
        parts.append(f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in found)}"/>')
    parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill-opacity="0.75"/>' for x, y, r in found]
    return parts


def dots(bins: Sequence[Mapping[str, float]], size: float) -> list[tuple[float, float, float]]:
    """Place and radius of each bin's dot in a square; larger where the bin adds more to the ECE."""
    total = sum(one["count"] for one in bins) or 1
    return [
        (
            size * one["mean"],
            size * (1 - one["share"]),
            min(3 + 60 * (one["count"] / total * abs(one["share"] - one["mean"])) ** 0.5, 14) * size / _SIZE,
        )
        for one in bins
    ]
