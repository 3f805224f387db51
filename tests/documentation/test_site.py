"""The site, built strictly in both languages: complete, closed in itself, without a resource from elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from pages import ROOT

pytest.importorskip("mkdocs", reason='the site needs pip install "duobiao[docs]"')


class Page(HTMLParser):
    """Ids, links and resources of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.resources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if tag in ("script", "img", "source", "iframe") and given.get("src"):
            self.resources.append(given["src"] or "")
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.resources.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sites as they are published; a warning fails the build (``--quiet`` would keep warnings from counting)."""
    place = tmp_path_factory.mktemp("site") / "site"
    source = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": source, "NO_MKDOCS_2_WARNING": "1"}
    for config, target in (("mkdocs.yml", place), ("mkdocs.zh.yml", place / "zh")):
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(ROOT / config), "-d", str(target)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
        assert result.returncode == 0, result.stdout + result.stderr
    return place


@cache
def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def pages(site: Path) -> list[Path]:
    """All pages but the reports of results, which are files of their own."""
    return [path for path in sorted(site.rglob("*.html")) if path.name != "report.html"]


def test_every_link_leads_to_a_page_and_a_place_on_it(site: Path):
    lost = []
    for path in pages(site):
        if path.name == "404.html":
            continue  # its links are absolute
        here = "/" + path.relative_to(site).as_posix()
        for link in read(path).links:
            if re.match(r"[a-z]+:", link):
                continue
            address, anchor = urldefrag(urljoin(here, link))
            target = site / unquote(address).lstrip("/")
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                lost.append(f"{here}: {link}")
            elif anchor and target.suffix == ".html" and unquote(anchor) not in read(target).ids | {"__tabbed"}:
                lost.append(f"{here}: {link} (no such place on the page)")
    assert not lost, "\n".join(sorted(set(lost))[:40])


def test_nothing_is_fetched_from_elsewhere(site: Path):
    asked = {source for path in pages(site) for source in read(path).resources if re.match(r"(https?:)?//", source)}
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    asked |= {found for text in styles for found in re.findall(r"(?:url\(|@import )['\"]?((?:https?:)?//[^'\")]+)", text)}
    assert asked == set()


def test_both_languages_have_the_same_pages(site: Path):
    def names(folder: Path) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob("index.html") if "source" not in path.parts}

    chinese = names(site / "zh")
    assert chinese == {name for name in names(site) if not name.startswith("zh/")}
    assert 'lang="zh"' in (site / "zh" / "serve" / "index.html").read_text(encoding="utf-8")
    assert "密钥和限制" in (site / "zh" / "serve" / "index.html").read_text(encoding="utf-8")
    assert "Keys and limits" in (site / "serve" / "index.html").read_text(encoding="utf-8")


def test_chinese_words_are_found(site: Path):
    """The index holds words, not sentences: jieba has cut them."""
    index = json.loads((site / "zh" / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert "zh" in index["config"]["lang"]
    text = next(entry["text"] for entry in index["docs"] if entry["location"].startswith("operate/"))
    assert "模型\u200b" in text
    assert not any(entry["location"].startswith("source/") for entry in index["docs"])


def test_the_reference_is_there(site: Path):
    names = {"predict": "duobiao.classifier.Classifier.predict", "labels": "duobiao.labels.LabelSpace"}
    names |= {"errors": "duobiao.errors.DuobiaoError", "evaluate": "duobiao.evaluate.compare.compare"}
    for page, name in names.items():
        assert name in read(site / "api" / page / "index.html").ids
    assert {"duobiao-train", "duobiao-annotate-export"} <= read(site / "commands" / "index.html").ids
    assert {"kind-bigru", "trainsettings"} <= read(site / "api" / "settings" / "index.html").ids
