"""A comparison's report of made-up systems, taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

from duobiao.evaluate.advice import summary
from duobiao.evaluate.report import render_html
from duobiao.labels import LabelSpace

NASTY = '<b>&"'
SPACE = LabelSpace.from_dict({"labels": ["物流", NASTY], "groups": {"情感": {"labels": ["正面", "负面"]}}})
FREE = LabelSpace(("物流", NASTY))
MACHINE = {"cores": 2, "processor": "x", "system": "Linux", "python": "3.11.1"}
VOID = {"meta", "br", "img", "input", "link", "hr"}


def system(name: str, f1: float = 0.9, speed: float = 100.0, **changes: Any) -> dict[str, Any]:
    """What compare tells of a system."""
    scores = {"rows": 50, "micro_f1": f1, "macro_f1": f1 - 0.01, "group_accuracy": 0.8}
    measured = {
        "rows_per_s": {"1": speed / 9, "32": speed},
        "p50_ms": {"1": 900 / speed, "32": 20.0},
        "p95_ms": {"1": 1000 / speed, "32": 30.0},
    }
    labels = {name: {"precision": 0.5, "recall": 0.5, "f1": 0.123, "support": 11} for name in SPACE.names}
    groups = {"情感": {"accuracy": 0.777, "rows": 33}}
    rest = {"parameters": 1234567, "mb": 4.56, "speedup": speed / 100, "notes": [], "reference": False}
    return {"name": name, "kind": "bigru", **scores, **measured, **rest, "per_label": labels, "groups": groups, **changes}


SYSTEMS = [
    system("linear", 0.84, 90000, kind="linear"),
    system("teacher", 0.9, 160, kind="encoder", reference=True, notes=["start=random weights"]),
    system("bigru-a", 0.887, 5200, notes=["teacher=teacher"]),
]


class Page(HTMLParser):
    """A page taken apart; a tag that is closed in the wrong place is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(systems: Sequence[dict[str, Any]] = SYSTEMS, space: LabelSpace = SPACE, **options: Any) -> tuple[str, Page]:
    """The report as it is written, and taken apart."""
    options.setdefault("lines", summary(systems, options.get("language", "zh")))
    html = render_html(systems, space, MACHINE, **options)
    return html, Page(html)
