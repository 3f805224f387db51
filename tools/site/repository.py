"""Links of the documentation, as they are written for the repository, to pages of the site.

A page under ``docs/`` links to files of the repository. On the site a Chinese page stands at the place of its English twin, so
links are resolved in the repository first; where a file is no page of the site (source, licence, change log), a page that
shows it is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^ *(```|~~~).*?^ *\1`*~*[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?P<after>\))")
_BROKEN = re.compile(r"(?<=[\u3001-\u303f\u4e00-\u9fff\uff00-\uffef])\n(?=[\u4e00-\u9fff\u201c\u300a])")
_LANGUAGE_LINE = re.compile(r"^\[(中文|English)\]\([^)]+\)\n\n", re.MULTILINE)
_CODE = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sh": "bash", ".toml": "toml", ".json": "json"}


def prose(markdown: str, change: Callable[[str], str]) -> str:
    """Changes what stands outside fenced code."""
    parts, at = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [change(markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, change(markdown[at:])])


def targets(markdown: str, path: str) -> list[str]:
    """Repository paths that the page at ``path`` links to, in order."""
    found: list[str] = []

    def note(text: str) -> str:
        found.extend(_resolved(match["target"], path) for match in _LINK.finditer(text) if _is_file(match["target"]))
        return text

    prose(markdown, note)
    return found


def for_site(markdown: str, path: str, source: str) -> str:
    """The page at ``path`` of the repository with links that hold at ``source`` of the site.

    The line that leads to the other language is left out, since the site has a switch; a line that ends between two Chinese
    characters is joined with the next, since a browser would put a space there.
    """

    def replaced(match: re.Match[str]) -> str:
        if not _is_file(match["target"]):
            return match[0]
        target = site_source(_resolved(match["target"], path))
        link = relpath(target, str(PurePosixPath(source).parent))
        return f"{match['before']}{link}{match['anchor'] or ''}{match['after']}"

    return prose(_LANGUAGE_LINE.sub("", markdown), lambda text: _LINK.sub(replaced, _BROKEN.sub("", text)))


def site_source(path: str) -> str:
    """Where a file of the repository stands among the sources of the site."""
    inside = PurePosixPath(path)
    if inside.parts[0] == "docs" and not (ROOT / path).is_dir():
        rest = inside.parts[2:] if inside.parts[1] == "zh" else inside.parts[1:]
        return str(PurePosixPath(*rest))
    return f"source/{path}.md" if inside.suffix != ".md" else f"source/{path}"


def shown(path: str) -> str:
    """A page that shows a file or a folder of the repository; it stays out of the search."""
    place, head = ROOT / path, "---\nsearch:\n  exclude: true\n---\n\n"
    if place.is_dir():
        names = sorted(entry.name + "/" * entry.is_dir() for entry in place.iterdir() if entry.name != "__pycache__")
        return f"{head}# {path}/\n\n" + "".join(
            f"- [{name}]({PurePosixPath(path).name}/{name})\n" if not name.endswith("/") else f"- {name}\n" for name in names
        )
    text = place.read_text(encoding="utf-8")
    if place.suffix == ".md":
        return head + text
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{head}# {place.name}\n\n`{path}`\n\n{fence}{_CODE.get(place.suffix, 'text')}\n{text}{fence}\n"


def _is_file(target: str) -> bool:
    return ":" not in target and not target.startswith("/")


def _resolved(target: str, path: str) -> str:
    return normpath(str(PurePosixPath(path).parent / target))
