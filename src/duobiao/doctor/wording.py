"""What the page says about each finding, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duobiao.doctor import wording_en, wording_zh
from duobiao.doctor.findings import Finding

TEXTS = {"zh": wording_zh.TEXTS, "en": wording_en.TEXTS}
WORDS = {"zh": wording_zh.WORDS, "en": wording_en.WORDS}


def worded(finding: Finding, language: str, command: str) -> dict[str, str]:
    """Title, reason, remedy and amount of a finding."""
    texts = TEXTS[language]
    values: dict[str, Any] = {**finding.values, "count": f"{finding.count:,}", "command": command}
    if "exact" in values:
        values["counted"] = texts["counted"] if values["exact"] else texts["estimated"]
    if "names" in values:
        shown = texts["personal"] if finding.kind == "personal" else {}
        values["names"] = ("、" if language == "zh" else ", ").join(f"{shown.get(n, n)} ×{c}" for n, c in values["names"])
    title, reason, remedy = (part.format(**values) for part in WORDS[language][finding.kind])
    unit = texts["units"][finding.unit]
    if language == "en" and finding.count == 1:
        unit = unit.removesuffix("s")
    if finding.unit == "pairs" or finding.unit == "files":
        amount = f"{finding.count:,} {unit}"
    else:
        amount = texts["of"].format(count=f"{finding.count:,}", unit=unit, share=percent(finding.share))
    return {"title": title, "reason": reason, "remedy": remedy, "amount": amount, "splits": _splits(finding.splits, texts)}


def _splits(splits: Mapping[str, int], texts: Mapping[str, Any]) -> str:
    return ", ".join(f"{texts['splits'][name]} {count:,}" for name, count in splits.items())


def percent(share: float) -> str:
    """A share as people read it."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value:.1f} %" if value >= 0.1 or not value else "< 0.1 %"
