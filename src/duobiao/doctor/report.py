"""The examination for people: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from duobiao.doctor.check import Report
from duobiao.doctor.tokens import LENGTHS
from duobiao.doctor.wording import TEXTS, percent, worded
from duobiao.page import render_page

_LABELS = 200


def render_html(report: Report, language: Literal["zh", "en"] = "zh", title: str = "") -> str:
    """The page: one file, no outside resource, light and dark.

    Args:
        report: What was found.
        language: ``zh`` or ``en``.
        title: Title of the page.
    """
    texts = TEXTS[language]
    rows = max((max(counts.values(), default=0) for counts in report.positives.values()), default=1)
    values = {
        "t": texts,
        "language": language,
        "title": title or texts["title"],
        "report": report,
        "summary": texts["summary"].format(**report.counts),
        "findings": [(one, worded(one, language, report.command)) for one in report.findings],
        "lengths": LENGTHS,
        "length_rows": [(name, row, [_share(row, length) for length in LENGTHS]) for name, row in report.lengths.items()],
        "positives": list(report.positives.items())[:_LABELS],
        "more": max(len(report.positives) - _LABELS, 0),
        "most": max(rows, 1),
        "skipped": [texts["reasons"][reason] for _, reason in report.skipped],
    }
    return render_page("duobiao.doctor", "check.html", values)


def _share(row: Mapping[str, Any], length: int) -> str:
    return percent(row["longer"][str(length)] / row["rows"])
