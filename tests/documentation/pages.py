"""Pages of the documentation, cut into fenced blocks, and the commands that stand in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>```+|~~~+)(?P<language>\w*)(?P<info>[^\n]*)\n(?P<text>.*?)^ *(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
_NO_TEST = re.compile(r"<!-- no-test: (?P<reason>[^>]+?) -->\s*\Z")
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: The page's place in the repository.
        line: Where it begins, from 1.
        language: ``bash``, ``python``, ``yaml`` ...; empty where none is named.
        text: What stands in it.
        title: ``title="NAME"`` behind the language: the reader is told to save the block as this file.
        untested: Why it cannot be run here (``<!-- no-test: reason -->`` in front of it); empty otherwise.
    """

    page: str
    line: int
    language: str
    text: str
    title: str
    untested: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def all_pages() -> list[str]:
    """README, CONTRIBUTING, those of benchmarks and everything under ``docs``, as places in the repository."""
    found = [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md"]
    found += [page for folder in ("benchmarks", "docs") for page in (ROOT / folder).rglob("*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def blocks(page: str, language: str | None = None) -> list[Block]:
    """The page's blocks, of one language or all, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = _NO_TEST.search(text[: match.start()])
        title = _TITLE.search(match["info"])
        found.append(
            Block(
                page,
                text.count("\n", 0, match.start()) + 1,
                match["language"],
                match["text"],
                title[1] if title else "",
                before["reason"] if before else "",
            )
        )
    return [block for block in found if language is None or block.language == language]


def running_text(page: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))


def spans(page: str) -> list[str]:
    """Commands in code spans of the running text that call a script of the repository."""
    found = re.findall(r"`((?:python )?(?:benchmarks|tools)/[^`\s]+\s[^`]+)`", running_text(page))
    return [span.replace("\n", " ") for span in found]


@dataclass(frozen=True)
class Command:
    """One simple command: ``NAME=value program argument ...``."""

    words: tuple[str, ...]
    environment: dict[str, str]

    @property
    def program(self) -> str:
        return self.words[0]


def commands(text: str) -> list[Command]:
    """The commands of a block of bash; continued lines are joined, comments left out, ``$(...)`` is a word."""
    joined = re.sub(r"\$\([^)]*\)", "SUBSTITUTED", re.sub(r"\\\n\s*", " ", text))
    found = []
    for line in joined.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, "&&"]:
            if word not in ("&&", "|", ";"):
                words.append(word)
            elif words:
                found.append(_command(words))
                words = []
    return found


def _command(words: list[str]) -> Command:
    environment: dict[str, str] = {}
    while re.match(r"[A-Z_]+=", words[0]):
        name, _, environment[name] = words.pop(0).partition("=")
    return Command(tuple(words), environment)
