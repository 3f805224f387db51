"""The page to try models, in a real browser against a real server."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Server, make_bundle, serving

KEY = "a-key-of-the-tests"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    bundle = make_bundle(folder / "tiny")
    with serving(folder, bundle, "--set", "max_rows=3", environment={"DUOBIAO_API_KEYS": KEY}) as running:
        yield running


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """The page in Chinese, with a key; whatever it complains about, or asks of another place, fails the test."""
    context = browser.new_context(locale="zh-CN", viewport={"width": 375, "height": 800}, accept_downloads=True)
    opened, complaints = context.new_page(), []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda told: complaints.append(told.text) if "Content Security" in told.text else None)
    opened.on(
        "request", lambda asked: complaints.append(asked.url) if not asked.url.startswith((server.url, "blob:")) else None
    )
    opened.goto(server.url)
    opened.locator("#key").fill(KEY)
    opened.locator("#key").press("Tab")
    opened.wait_for_selector("#model option", state="attached")
    yield opened
    context.close()
    assert complaints == []


def test_a_text_is_classified_by_keyboard_alone(page: Any):
    page.locator("#model").focus()
    for _ in range(10):
        if page.evaluate("document.activeElement.id") == "text":
            break
        page.keyboard.press("Tab")
    page.keyboard.insert_text("今天的快递没到")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#answer:not([hidden])")
    assert page.locator("#chips button").all_inner_texts() == ["物流"]
    assert page.locator("#scores dt").first.inner_text() == "物流"
    assert page.locator("#scores dd.chosen .mark").count() == 1  # the threshold
    strongest = page.locator("#words .word").evaluate_all(
        "all => all.find(one => one.style.getPropertyValue('--strength') === '1.000').textContent"
    )
    assert strongest in "快递没到"
    assert "今天的快递没到" in page.locator("#words").inner_text()


def test_what_somebody_types_is_text(page: Any):
    page.locator("#text").fill('快递没到<img src=x onerror="document.title=1">')
    page.locator("#one button.main").click()
    page.wait_for_selector("#answer:not([hidden])")
    assert page.locator("#words img").count() == 0
    assert "<img" in page.locator("#words").inner_text()


def test_both_languages_have_every_word_and_the_choice_stays(page: Any):
    assert page.locator("h1").inner_text() == "多标签文本分类"
    page.locator("#language").click()
    assert page.locator("h1").inner_text() == "Multi-label text classification"
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("[data-t]").evaluate_all("all => all.filter(one => !one.textContent).length") == 0
    page.reload()
    assert page.locator("h1").inner_text() == "Multi-label text classification"


def test_a_column_becomes_a_table_and_a_file_that_excel_reads(page: Any):
    lines = '快递没到\n=1+1快递没到\t身份确认\n\n"东西\n""坏了"""\n毒'
    page.locator("#lines").fill(lines)
    page.locator("#many button.main").click()
    page.wait_for_selector("#download:enabled")
    assert page.locator("#table tr").count() == 4
    with page.expect_download() as waiting:
        page.locator("#download").click()
    raw = Path(waiting.value.path()).read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert [row["text"] for row in rows] == ["快递没到", "'=1+1快递没到", '东西\n"坏了"', "毒"]
    assert [row["labels"].split("|")[0] for row in rows] == ["物流", "物流", "质量", ""]
    assert rows[1]["context"] == "身份确认"
    assert rows[3]["error"]
    assert float(rows[0]["物流"]) > 0.5


@pytest.mark.parametrize("width", [320, 375, 1280])
def test_nothing_is_wider_than_the_screen(page: Any, width: int):
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("#text").fill("快递没到" * 60)
    page.locator("#lines").fill("快递没到" * 60 + "\t" + "a" * 200)
    page.locator("#one button.main").click()
    page.locator("#many button.main").click()
    page.wait_for_selector("#download:enabled")
    page.wait_for_selector("#answer:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_field_has_a_name_and_errors_are_shown(page: Any, server: Server):
    names = page.locator("input, select, textarea, button").evaluate_all(
        "all => all.filter(one => one.offsetParent).map(one => (one.labels && one.labels[0] || one).textContent)"
    )
    assert all(name.strip() for name in names)
    page.locator("#text").fill("毒")
    page.locator("#one button.main").click()
    page.wait_for_selector("#one-alert:not(:empty)")
    assert "failed" in page.locator("#one-alert").inner_text()
