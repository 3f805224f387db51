"""Every block of bash and Python is run, page by page. A Chinese page says what its English twin says, or is run too."""

import re
import shutil
from pathlib import Path

import pytest
from fake_hub import Repository, logged_in
from pages import Block, all_pages, blocks
from session import session

from duobiao import builtin

ENCODER = "hfl/chinese-macbert-base"
"""What pages fetch from the hub."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def runnable(page: str) -> list[Block]:
    return [block for block in blocks(page) if (block.language in ("bash", "python") or block.title) and not block.untested]


def spoken(page: str) -> list[str]:
    """What a page's blocks say, comments left out."""
    return [re.sub(r"[ \t]*#[^\n]*", "", block.text).strip() for block in runnable(page)]


def english(page: str) -> str:
    return {"README.md": "README.en.md"}.get(page, page.replace("docs/zh/", "docs/"))


def to_run() -> list[str]:
    """Pages with something to run; measurements on data that is not in the repository are parsed only."""
    pages = [page for page in all_pages() if "/results/" not in page and runnable(page)]
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


def test_no_block_is_left_out_without_a_reason():
    for page in all_pages():
        for block in blocks(page):
            assert not block.untested or len(block.untested) > 10, f"{block}: say why it is not run"
