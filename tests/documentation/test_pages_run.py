"""Every block of bash and Python is run, page by page. A Chinese page says what its English twin says, or is run too."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from exceptions import NOT_RUN, STAND_INS, why_not
from fake_hub import Repository, logged_in
from pages import ROOT, Block, all_pages, blocks, commands, spans
from scripts import placed
from session import session

from duobiao import builtin

ENCODER = "hfl/chinese-macbert-base"
"""What pages fetch from the hub."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def runnable(page: str) -> list[Block]:
    return [block for block in blocks(page) if (block.language in ("bash", "python") or block.title) and not block.untested]


def spoken(page: str) -> list[str]:
    """What a page's blocks and commands in running text say, comments left out."""
    return [*(re.sub(r"[ \t]*#[^\n]*", "", block.text).strip() for block in runnable(page)), *in_text(page)]


def in_text(page: str) -> list[str]:
    """Measurements that are named in running text."""
    return [span for span in spans(page) if "benchmarks/" in span]


def english(page: str) -> str:
    return {"README.md": "README.en.md"}.get(page, page.replace("docs/zh/", "docs/"))


def to_run() -> list[str]:
    """Pages with something to run."""
    pages = [page for page in all_pages() if spoken(page)]
    return [
        page for page in pages if english(page) == page or english(page) not in pages or spoken(english(page)) != spoken(page)
    ]


@pytest.mark.parametrize("page", to_run())
def test_a_page_runs_as_it_stands(page: str, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("duobiao.evaluate.latency.ROUNDS", {1: 2, 32: 2})
    shutil.copytree(workspace, tmp_path / "work")
    monkeypatch.setattr(builtin, "folder", lambda name: tmp_path / "work" / "src" / "duobiao" / "builtin" / name)
    with logged_in(monkeypatch, tmp_path / "cache") as hub, session(tmp_path / "work") as at_work:
        hub.repositories[ENCODER] = Repository(private=False)
        hub.repositories[ENCODER].commit("main", contents(workspace / "models" / "chinese-macbert-base"))
        for block in runnable(page):
            try:
                at_work.run(block)
            except BaseException as error:
                error.add_note(f"in the block at {block}")
                raise
        for span in in_text(page):
            at_work.type(placed(span))


def test_every_exception_is_needed():
    typed = {one.words for page in all_pages() for block in blocks(page, "bash") for one in commands(block.text)}
    for first, entry in NOT_RUN.items():
        assert any(words[: len(first)] == first for words in typed), f"no page calls {' '.join(first)}"
        assert not entry.package or find_spec(entry.package) is None, f"{entry.package} is there: run {' '.join(first)}"
    for package, script in STAND_INS.items():
        assert find_spec(package) is None, f"{package} is there: let {script} call it"
        assert package in (ROOT / script).read_text(encoding="utf-8")
        assert any(script in words and not why_not(words) for words in typed)


def test_no_block_is_left_out_without_a_reason():
    for page in all_pages():
        for block in blocks(page):
            assert not block.untested or len(block.untested) > 10, f"{block}: say why it is not run"
