"""Hooks of MkDocs: one language of the site from the pages under ``docs/``.

English pages stand in ``docs/``, their Chinese twins in ``docs/zh/`` under the same names. The Chinese site shows the English
page where there is no twin (results, architecture).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).resolve().parent))
import reference
import repository

ROOT = repository.ROOT
_origin: dict[str, str] = {}  # where a page comes from: its place on the site to its place in the repository


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Puts the pages of the language in place, then adds those that show other files of the repository."""
    chinese = config.theme["language"] == "zh"
    for file in list(files):
        if not file.src_uri.startswith("zh/"):
            continue
        files.remove(file)
        if chinese:
            own = File(file.src_uri[3:], str(Path(config.docs_dir) / "zh"), config.site_dir, config.use_directory_urls)
            if (english := files.get_file_from_path(own.src_uri)) is not None:
                files.remove(english)
            files.append(own)
    _origin.clear()
    for file in files.documentation_pages():
        _origin[file.src_uri] = str(Path(file.abs_src_path or "").relative_to(ROOT).as_posix())
    _add_shown(files, config)
    return files


def _add_shown(files: Files, config: MkDocsConfig) -> None:
    waiting = list(_origin.values())
    while waiting:
        path = waiting.pop()
        if not path.endswith(".md") and not (ROOT / path).is_dir():
            continue
        text = repository.shown(path) if (ROOT / path).is_dir() else (ROOT / path).read_text(encoding="utf-8")
        for target in repository.targets(text, path):
            place = repository.site_source(target)
            if files.get_file_from_path(place) is not None or not (ROOT / target).exists():
                continue
            content = repository.shown(target)
            files.append(File.generated(config, place, content=content, inclusion=InclusionLevel.NOT_IN_NAV))
            _origin[place] = target
            waiting.append(target)


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links between files of the repository become links between pages, ``<!-- table: NAME -->`` a table from the code."""
    for name, table in reference.TABLES.items():
        marker = f"<!-- table: {name} -->"
        if marker in markdown:
            markdown = markdown.replace(marker, table())
    return repository.for_site(markdown, _origin[page.file.src_uri], page.file.src_uri)


def on_page_context(context: dict[str, Any], page: Page, config: MkDocsConfig, **_: Any) -> dict[str, Any]:
    """Where this page stands in each language, for the switch in the header."""
    up = "../" * (page.url.count("/") + (config.theme["language"] == "zh")) or "./"
    context["languages"] = [("zh", "中文", f"{up}zh/{page.url}"), ("en", "English", f"{up}{page.url}")]
    return context
