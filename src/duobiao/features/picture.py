"""A picture of category words: a panel of bars for each label and each context; one SVG, or a page around it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Literal

from duobiao.data.write import write_text
from duobiao.errors import DataError
from duobiao.features.words import Category, Words
from duobiao.svg import svg_page

Language = Literal["zh", "en"]
_TEXTS = {
    "zh": {
        "labels": "各标签的特征词",
        "contexts": "各节点的特征词",
        "log_odds": "条长：对数几率比的 z 值（Dirichlet 先验）",
        "chi2": "条长：卡方",
        "mi": "条长：互信息",
        "support": "右侧数字：含该词的本类行数 / 其他行数",
        "rows": "行",
        "none": "没有足够突出的词",
    },
    "en": {
        "labels": "Category words of each label",
        "contexts": "Category words of each context",
        "log_odds": "bars: log-odds z-score (Dirichlet prior)",
        "chi2": "bars: chi-squared",
        "mi": "bars: mutual information",
        "support": "numbers: rows with the word here / elsewhere",
        "rows": "rows",
        "none": "no word stands out",
    },
}
_STYLE = """
text { font-family: "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Micro Hei",
  sans-serif; font-size: 13px; fill: #1f2937; }
.sheet { fill: #ffffff; }
.panel { fill: #f6f8fa; stroke: #d8dee4; }
.bar { fill: #2563eb; }
.context .bar { fill: #059669; }
.title { font-weight: 600; font-size: 14px; }
.head { font-weight: 600; font-size: 18px; }
.small { font-size: 11px; fill: #6b7280; }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb; }
  .sheet { fill: #111418; }
  .panel { fill: #1b2026; stroke: #323942; }
  .bar { fill: #60a5fa; }
  .context .bar { fill: #34d399; }
  .small { fill: #9ca3af; }
}
"""
_PANEL, _GAP, _LINE, _WORD, _BAR, _ACROSS = 340, 16, 21, 104, 140, 3


def write_picture(words: Words, path: str | Path, *, top: int = 10, language: Language = "zh") -> None:
    """Draws the words; the ending of the path decides between ``.svg`` and ``.html``.

    Raises:
        DataError: If it is neither, or cannot be written.
    """
    path = Path(path)
    check_picture(path)
    svg = render_svg(words, top=top, language=language)
    if path.suffix.lower() == ".svg":
        write_text(path, svg)
        return
    title = _TEXTS[language]["labels"]
    tag = "zh-CN" if language == "zh" else "en"
    head = f'<!doctype html>\n<html lang="{tag}"><head><meta charset="utf-8"><title>{title}</title>'
    style = (
        "<style>:root{color-scheme:light dark}body{margin:0}svg{max-width:100%;height:auto;display:block;margin:auto}</style>"
    )
    write_text(path, f"{head}{style}</head><body>\n{svg}</body></html>\n")


def check_picture(path: Path) -> None:
    """Refuses a picture that cannot be drawn, before any work is done.

    Raises:
        DataError: Naming the file.
    """
    if path.suffix.lower() not in (".svg", ".html"):
        raise DataError(f"{path}: pictures are drawn as SVG or HTML", hint="name a file that ends in .svg or .html")


def render_svg(words: Words, *, top: int = 10, language: Language = "zh") -> str:
    """One SVG that needs nothing from outside.

    Args:
        words: Category words.
        top: Words drawn for each label and context.
        language: Of headings.
    """
    texts = _TEXTS[language]
    parts: list[str] = []
    y = _GAP
    for key, found in (("labels", words.labels), ("contexts", words.contexts)):
        if not found:
            continue
        y += 20
        parts.append(f'<text class="head" x="{_GAP}" y="{y}">{texts[key]}</text>')
        parts.append(f'<text class="small" x="{_GAP}" y="{y + 20}">{texts[words.by]} · {texts["support"]}</text>')
        y = _panels(parts, found, y + 34, words.by, top, texts, "context" if key == "contexts" else "label")
    width, height = _ACROSS * (_PANEL + _GAP) + _GAP, y + _GAP
    return svg_page(width, height, _STYLE, parts)


def _panels(
    parts: list[str], found: Mapping[str, Category], y: int, by: str, top: int, texts: Mapping[str, str], kind: str
) -> int:
    """Panels, three side by side; returns where the next line begins."""
    longest = max((term.scores.get(by, 0.0) for category in found.values() for term in category.terms[:top]), default=0.0)
    names = list(found)
    for start in range(0, len(names), _ACROSS):
        line = names[start : start + _ACROSS]
        lines = max(max(len(found[name].terms[:top]) for name in line), 1)
        height = 38 + lines * _LINE
        for column, name in enumerate(line):
            x = _GAP + column * (_PANEL + _GAP)
            parts.append(f'<g class="{kind}" transform="translate({x},{y})">')
            parts.append(f'<rect class="panel" width="{_PANEL}" height="{height}" rx="6"/>')
            parts += _panel(name, found[name], by, top, longest or 1.0, texts)
            parts.append("</g>")
        y += height + _GAP
    return y


def _panel(name: str, category: Category, by: str, top: int, longest: float, texts: Mapping[str, str]) -> list[str]:
    parts = [f'<text class="title" x="12" y="22">{_fit(name, 19)}</text>']
    parts.append(f'<text class="small" x="{_PANEL - 12}" y="22" text-anchor="end">{category.rows:,} {texts["rows"]}</text>')
    if not category.terms:
        return [*parts, f'<text class="small" x="12" y="46">{texts["none"]}</text>']
    for number, term in enumerate(category.terms[:top]):
        y = 48 + number * _LINE
        width = max(_BAR * max(term.scores.get(by, 0.0), 0.0) / longest, 1.0)
        parts.append(f'<text x="{_WORD + 4}" y="{y}" text-anchor="end">{_fit(term.word, 7)}</text>')
        parts.append(f'<rect class="bar" x="{_WORD + 12}" y="{y - 11}" width="{width:.1f}" height="13" rx="2"/>')
        support = f"{term.rows:,} / {term.elsewhere:,}" if term.scores else ""
        parts.append(f'<text class="small" x="{_PANEL - 12}" y="{y}" text-anchor="end">{support}</text>')
    return parts


def _fit(text: str, most: int) -> str:
    """The text cut to about ``most`` Chinese characters (two Latin ones are as wide as one), safe for XML."""
    shown, width = "", 0.0
    for character in text:
        width += 0.55 if character.isascii() else 1
        if width > most:
            return escape(shown) + "…"
        shown += character if character.isprintable() else " "
    return escape(shown)
