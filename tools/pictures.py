"""Pictures of the README, taken in Chromium from a report and from the page of a running server.

python tools/pictures.py runs/report/report.html runs/bigru-b --text 对，我就是 --context 身份确认
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SIZE = {"width": 1280, "height": 860}


def report(browser: Browser, page: Path, target: Path) -> None:
    """The head of a comparison."""
    shown = browser.new_page(viewport=SIZE, color_scheme="light")
    shown.goto(page.resolve().as_uri())
    shown.screenshot(path=target)


def try_page(browser: Browser, url: str, text: str, context: str, target: Path) -> None:
    """The page to try a model, with an answer."""
    shown = browser.new_page(viewport=SIZE, color_scheme="light", locale="zh-CN")
    shown.goto(url)
    shown.wait_for_selector("#model option", state="attached")
    shown.locator("#text").fill(text)
    shown.locator("#context").fill(context)
    for _ in range(3):  # the first answer of a process takes longest
        with shown.expect_response("**/v1/classify"):
            shown.locator("#one button[type=submit]").click()
        shown.wait_for_selector("#answer:not([hidden])")
    shown.evaluate("scrollTo(0, 0)")
    shown.screenshot(path=target)


@contextmanager
def server(bundle: str) -> Iterator[str]:
    """The address of a server of its own."""
    command = [sys.executable, "-m", "duobiao", "serve", bundle, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r" at (http://\S+)", line):
                yield found[1]
                return
        raise SystemExit("the server did not start")
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="a report.html of `duobiao compare`")
    parser.add_argument("bundle", help="what the page is shown with")
    parser.add_argument("--text", default="对，我就是")
    parser.add_argument("--context", default="身份确认")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    given = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as started, server(given.bundle) as url:
        browser = started.chromium.launch(executable_path=given.browser, args=["--no-sandbox"])
        report(browser, given.report, OUT / "report.png")
        try_page(browser, url, given.text, given.context, OUT / "try.png")
        browser.close()


if __name__ == "__main__":
    main()
