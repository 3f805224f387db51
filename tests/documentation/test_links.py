"""Links between files of the repository lead somewhere, as they are read in the repository."""

import re
from functools import cache
from posixpath import dirname, normpath

import pytest
from pages import ROOT, all_pages, running_text

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: str) -> str:
    return re.sub(r"`[^`\n]*`", "", running_text(page))


@cache
def anchors(page: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+?) *$", running_text(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.append(name if name not in found else f"{name}-{found.count(name)}")
    return set(found)


@pytest.mark.parametrize("page", [*all_pages(), "CHANGELOG.md", "src/duobiao/builtin/DATASHEET.md"])
def test_links_lead_somewhere(page: str):
    lost = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = normpath(f"{dirname(page)}/{path}") if path else page
        target = target.lstrip("/")
        if not (ROOT / target).exists():
            lost.append(f"{link}: there is no {target}")
        elif anchor and target.endswith(".md") and anchor not in anchors(target):
            lost.append(f"{link}: {target} has no such heading")
    assert not lost, f"{page}: " + "; ".join(lost)


@pytest.mark.parametrize(("readme", "folder"), [("README.en.md", "docs"), ("README.md", "docs/zh")])
def test_a_readme_links_to_every_page_of_its_language(readme: str, folder: str):
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / folder).glob("*.md")} - {f"{folder}/index.md"}
    assert not pages - set(LINK.findall(prose(readme)))


def test_every_page_of_one_language_has_a_twin_in_the_other():
    english = {
        page.removeprefix("docs/") for page in all_pages() if page.startswith("docs/") and not page.startswith("docs/zh/")
    }
    chinese = {page.removeprefix("docs/zh/") for page in all_pages() if page.startswith("docs/zh/")}
    assert chinese <= english
    english_only = {page for page in english - chinese if not page.startswith(("results/", "api/"))}
    assert english_only == {"architecture.md"}


def test_twins_link_to_each_other():
    for page in all_pages():
        if page.startswith("docs/zh/"):
            up = "../" * (page.count("/") - 1)
            rest = page.removeprefix("docs/zh/")
            assert f"[English]({up}{rest})" in (ROOT / page).read_text(encoding="utf-8"), page
            back = "../" * rest.count("/") + "zh/" + rest
            assert f"[中文]({back})" in (ROOT / "docs" / rest).read_text(encoding="utf-8"), rest
