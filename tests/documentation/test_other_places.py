"""``tools/links.py``, which asks whether links to other places lead somewhere, against a server on this machine."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT


@pytest.fixture(scope="module")
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("links", ROOT / "tools" / "links.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Answers(BaseHTTPRequestHandler):
    """``/here`` is there, ``/get`` for GET alone, ``/busy`` is out of order, and nothing else exists."""

    def do_HEAD(self) -> None:
        self.send_response({"/here": 200, "/get": 405, "/busy": 503}.get(self.path, 404))
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response({"/here": 200, "/get": 200}.get(self.path, 404))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()
    thread.join()


def test_dead_links_are_told_with_their_pages(
    tool: Any, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"[a]({server}/here#part) [b]({server}/get) [c]({server}/gone)\n", encoding="utf-8")
    (tmp_path / "docs" / "a.md").write_text(f"见 [甲]({server}/gone)、<{server}/busy>\n", encoding="utf-8")
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "PAUSE", 0.0)
    assert tool.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{server}/gone: 404 Not Found; it stands in README.md, docs/a.md",
        f"{server}/busy: 503 Service Unavailable; it stands in docs/a.md",
        "4 links, 2 of them dead or not to be reached",
    ]


def test_a_server_that_is_not_there_is_told(tool: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert tool.problem("http://127.0.0.1:1/").startswith("no answer: ")


def test_addresses_in_code_are_no_links(tool: Any):
    text = (
        "`[a](https://a.example)`\n\n```bash\ncurl https://b.example [b](https://b.example)\n```\n[c](https://c.example/d#e)\n"
    )
    assert tool.links(text) == ["https://c.example/d"]


def test_the_documentations_links_are_found(tool: Any):
    named = {page.relative_to(ROOT).as_posix() for page in tool.pages()}
    assert {"README.md", "CHANGELOG.md", "docs/zh/hub.md", "docs/results/peers.md", "benchmarks/peers/README.md"} <= named
    assert "https://arxiv.org/abs/1606.09282" in tool.links((ROOT / "docs" / "add-label.md").read_text(encoding="utf-8"))
