"""The report of ``duobiao compare``, opened from the disk in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import done

from duobiao.data.rows import Row
from duobiao.labels import LabelSpace

UNBROKEN = "https://example.com/" + "a" * 200


@pytest.fixture(scope="module")
def reports(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_rows: Any,
    tiny_space: LabelSpace,
    write_rows: Callable[[Path, Sequence[Row]], Path],
) -> dict[str, Path]:
    """The report of two small bundles in both languages: with mistakes, in texts that cannot be broken into lines."""
    folder = tmp_path_factory.mktemp("report")
    train = write_rows(folder / "train.jsonl", tiny_rows.train)
    others = [*tiny_rows.train[3:], *tiny_rows.train[:3]]  # of the same contexts: what a model says of these labels is wrong
    rows = [replace(row, text=f"{other.text}，{UNBROKEN}") for row, other in zip(tiny_rows.train, others, strict=True)]
    test = write_rows(folder / "test.jsonl", rows)
    (folder / "labels.yaml").write_text(tiny_space.to_yaml(), encoding="utf-8")
    given = ("--train", train, "--dev", train, "--labels", folder / "labels.yaml")
    bundles = [folder / name for name in ("linear", "linear-with-a-rather-long-name")]
    for bundle, c in zip(bundles, (1, 0.01), strict=True):
        done("train", "--config", "linear", *given, "--set", f"name={bundle.name}", "--set", f"c={c}", "--out", bundle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("duobiao.evaluate.latency.ROUNDS", {1: 2, 32: 2})
        for language in ("zh", "en"):
            done("compare", *bundles, "--data", test, "--train", train, "--out", folder / language, "--lang", language)
    made = {language: folder / language / "report.html" for language in ("zh", "en")}
    assert all('<ol class="cases">' in report.read_text(encoding="utf-8") for report in made.values())
    return made


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_a_report_fits_the_screen_and_needs_nothing_else(
    browser: Any, reports: dict[str, Path], width: int, scheme: str, language: str
):
    address = reports[language].as_uri()
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened, asked, complaints = context.new_page(), [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(address)
    opened.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width, wider(opened, width)
    headings = opened.locator("h1, h2, h3")
    assert headings.count() > 5
    assert [one.inner_text() for one in headings.all() if not (one.is_visible() and one.inner_text().strip())] == []
    assert opened.locator("html").get_attribute("lang") == language
    background = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background.strip("rgba()").split(",")[:3])) < 3 * 128) == (scheme == "dark"), background
    context.close()
    assert asked == [address]
    assert complaints == []


def wider(page: Any, width: int) -> list[str]:
    """Elements that reach beyond the screen's right edge."""
    script = """(width) => [...document.querySelectorAll('body *')]
        .filter(one => one.getBoundingClientRect().right > width + 1)
        .map(one => one.tagName + '.' + one.getAttribute('class') + ' ' + one.textContent.trim().slice(0, 30))"""
    return list(page.evaluate(script, width))[:10]
