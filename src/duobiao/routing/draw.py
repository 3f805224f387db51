"""Routes as a picture: one SVG that needs nothing from outside, a page around it, or Mermaid text."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Literal

from duobiao.data.write import write_text
from duobiao.errors import DataError
from duobiao.routing.layout import HEAD, LINE, MARGIN, PAD, Box, arrange, width_of, words_of
from duobiao.routing.routes import ANY, Routes
from duobiao.svg import svg_page

Language = Literal["zh", "en"]
ENDINGS = (".svg", ".html", ".mmd")
_TEXTS = {
    "zh": {"title": "路由", "any": "其他节点", "review": "拿不准的行", "else": "其余"},
    "en": {"title": "Routes", "any": "any other node", "review": "unsure rows", "else": "else"},
}
_STYLE = """
text { font-family: "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Micro Hei",
  sans-serif; font-size: 13px; fill: #1f2937; }
.sheet { fill: #ffffff; } .title { font-size: 18px; font-weight: 600; } .small { font-size: 12px; fill: #6b7280; }
.box { fill: #f6f8fa; stroke: #9aa4b2; } .first .box { stroke: #2563eb; stroke-width: 2; }
.name { font-size: 15px; font-weight: 600; } .rule { stroke: #d8dee4; }
.pill { fill: #fde8c8; } .to { fill: #6b7280; } .way { fill: none; stroke: #2563eb; stroke-width: 1.5; }
.back { stroke: #d97706; stroke-dasharray: 5 3; } .tip { fill: #2563eb; } .tip.back { fill: #d97706; stroke: none; }
@media (prefers-color-scheme: dark) { text { fill: #e5e7eb; } .sheet { fill: #111418; } .box { fill: #1b2026; stroke: #5b6572; }
  .rule { stroke: #323942; } .pill { fill: #5b3d12; } .small, .to { fill: #9ca3af; } .way { stroke: #60a5fa; }
  .first .box { stroke: #60a5fa; } .back { stroke: #f59e0b; } .tip { fill: #60a5fa; } .tip.back { fill: #f59e0b; } }
"""


def draw_routes(routes: Routes, path: str | Path, *, language: Language = "zh") -> None:
    """Draws routes; the ending of the path decides between ``.svg``, ``.html`` and ``.mmd`` (Mermaid).

    Raises:
        DataError: If it is none of them, or cannot be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise DataError(f"{path}: routes are drawn as SVG, HTML or Mermaid", hint=f"name a file ending in {', '.join(ENDINGS)}")
    if ending == ".mmd":
        write_text(path, render_mermaid(routes, language=language))
        return
    svg = render_routes(routes, language=language)
    if ending == ".html":
        tag, title = ("zh-CN" if language == "zh" else "en"), _TEXTS[language]["title"]
        style = "<style>:root{color-scheme:light dark}body{margin:0}svg{display:block;margin:auto}</style>"
        head = f'<!doctype html>\n<html lang="{tag}"><head><meta charset="utf-8"><title>{title}</title>{style}</head><body>\n'
        svg = f"{head}{svg}</body></html>\n"
    write_text(path, svg)


def render_routes(routes: Routes, *, language: Language = "zh") -> str:
    """One SVG: a box a node with its routes in order; blue ways lead on, dashed ones back, actions stand in the box.

    Where unsure rows go stands at the top; if it is a node, a way leads to it from there.
    """
    texts = _TEXTS[language]
    title = f"{texts['title']} · {Path(routes.source).name}"
    x, unsure = MARGIN + width_of(title, 18) + 24, f"{texts['review']} → {routes.review}"
    layout = arrange(routes, (x + width_of(texts["review"], 12) / 2, 38))
    width, height = max(layout.width, 320), layout.height
    parts = [f'<text class="title" x="{MARGIN}" y="32">{escape(title)}</text>']
    if routes.review is not None:
        width = max(width, x + width_of(unsure, 12) + MARGIN)
        parts.append(f'<text class="small" x="{x:.0f}" y="32">{escape(unsure)}</text>')
    for way in layout.ways:
        back = " back" if way.back else ""
        parts.append(f'<path class="way{back}" d="{way.path}" marker-end="url(#tip{"-back" if way.back else ""})"/>')
    for box in layout.boxes:
        parts += _drawn(box, routes, texts)
    tips = "".join(
        f'<marker id="tip{name}" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="tip{css}" d="M0,0 L8,4 L0,8 z"/></marker>'
        for name, css in (("", ""), ("-back", " back"))
    )
    return svg_page(width, height, _STYLE, parts, tips)


def _drawn(box: Box, routes: Routes, texts: dict[str, str]) -> list[str]:
    name = texts["any"] if box.name == ANY else box.name
    kind = "first" if box.name in routes.start else "node"
    parts = [f'<g class="{kind}" transform="translate({box.x:.1f},{box.y:.1f})">']
    parts.append(f'<rect class="box" width="{box.width:.1f}" height="{box.height:.1f}" rx="8"/>')
    parts.append(f'<text class="name" x="{PAD}" y="23">{escape(name)}</text>')
    parts.append(f'<line class="rule" x1="0" x2="{box.width:.1f}" y1="{HEAD}" y2="{HEAD}"/>')
    for number, route in enumerate(box.lines):
        y = HEAD + LINE * (number + 0.5) + 5
        words = texts["else"] if route.is_else else words_of(route)
        parts.append(f'<text x="{PAD}" y="{y:.1f}">{escape(words)}</text>')
        right = box.width - PAD
        if route.to in routes.nodes:
            parts.append(f'<text class="to" x="{right:.1f}" y="{y:.1f}" text-anchor="end">{escape(route.to)}</text>')
            continue
        wide = width_of(route.to) + 14
        parts.append(f'<rect class="pill" x="{right - wide + 4:.1f}" y="{y - 14:.1f}" width="{wide:.1f}" height="19" rx="9"/>')
        parts.append(f'<text x="{right - 3:.1f}" y="{y:.1f}" text-anchor="end">{escape(route.to)}</text>')
    return [*parts, "</g>"]


def render_mermaid(routes: Routes, *, language: Language = "zh") -> str:
    """A Mermaid flowchart of the same graph."""
    texts = _TEXTS[language]
    ids = {name: f"n{number}" for number, name in enumerate(routes.nodes)}
    ends = {name: f"a{number}" for number, name in enumerate(routes.actions)}
    lines = ["flowchart LR"]
    lines += [f'  {ids[name]}["{_quoted(texts["any"] if name == ANY else name)}"]' for name in routes.nodes]
    lines += [f'  {ends[name]}(["{_quoted(name)}"])' for name in routes.actions]
    for name, own in routes.nodes.items():
        for number, route in enumerate(own, 1):
            words = texts["else"] if route.is_else else words_of(route)
            lines.append(f'  {ids[name]} -->|"{number}. {_quoted(words)}"| {({**ends, **ids})[route.to]}')
    if routes.review is not None:
        lines += [f'  review{{{{"{_quoted(texts["review"])}"}}}}', f"  review --> {({**ends, **ids})[routes.review]}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
