"""A browser for the tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; tests that want it are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with playwright.sync_playwright() as started:
        place = program or started.chromium.executable_path
        if not Path(place).exists():
            pytest.skip("there is no Chromium: install it, or name it with CHROMIUM=...")
        running = started.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield running
        running.close()
