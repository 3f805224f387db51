"""Whether command lines of the documentation mean something to the program that they call."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import runpy
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import typer
from pages import ROOT, Command
from scripts import as_main

from duobiao.cli.app import app
from duobiao.config import shipped_configs

PLAIN = {".", "curl", "kill", "openssl", "ray", "pre-commit"}
"""Programs of others, whose options are not ours to check."""
FOREIGN = ("textbrewer", "textbrewer.losses")
"""Packages that only a benchmark needs; its options are read without them."""


@cache
def program() -> Any:
    """The command line as click sees it."""
    return typer.main.get_command(app)


@cache
def options() -> set[str]:
    """Every option of every command."""
    found, queue = set(), [program()]
    while queue:
        command = queue.pop()
        found |= {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        queue += list(getattr(command, "commands", {}).values())
    return {name for name in found if name.startswith("-")}


def problem(command: Command) -> str:
    """What is wrong with a command; empty if nothing is."""
    name, words = command.program, list(command.words[1:])
    if name.endswith("python") or name == "python":
        return "" if words[:1] == ["-m"] else _script(words)
    if name.startswith("benchmarks/"):
        return "" if (ROOT / name).is_file() else f"there is no {name}"
    checks = {"duobiao": _duobiao, "make": _make, "pip": _pip}
    if name.rpartition("/")[2] in checks:
        return checks[name.rpartition("/")[2]](words)
    return "" if name in PLAIN else f"nobody knows {name!r}"


def _duobiao(words: list[str]) -> str:
    command, path = program(), "duobiao"
    try:
        context = command.make_context(path, [], resilient_parsing=True)
        while getattr(command, "commands", None):
            name, command, words = command.resolve_command(context, words)
            path = f"{path} {name}"
            if hasattr(command, "commands"):
                context = command.make_context(path, [], parent=context, resilient_parsing=True)
        parsed = command.make_context(path, list(words), parent=context)
    except Exception as error:  # click's, of whichever copy typer brings
        return f"{path}: {getattr(error, 'message', error) or error}"
    config = parsed.params.get("config")
    known = not config or str(config) in shipped_configs() or str(config).endswith(".yaml")
    return "" if known else f"{path}: there is no configuration {config}"


def _script(words: list[str]) -> str:
    if not words or not words[0].startswith(("benchmarks/", "tools/")):
        return ""  # the reader's own file
    place = ROOT / words[0]
    if not place.is_file():
        return f"there is no {words[0]}"
    if "argparse" not in place.read_text(encoding="utf-8"):
        options_given = [word for word in words if word.startswith("--")]
        return f"{words[0]} takes no options: {', '.join(options_given)}" if options_given else ""
    return _parsed(place, words[1:])


def _parsed(script: Path, words: list[str]) -> str:
    """What the script's own parser says against the words; the script is run as far as there and no further."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, as_main(str(script.relative_to(ROOT)), words):
        for name in FOREIGN:
            patch.setitem(sys.modules, name, MagicMock())
        for name in ("parse_args", "parse_intermixed_args"):
            patch.setattr(argparse.ArgumentParser, name, _stopping(getattr(argparse.ArgumentParser, name)))
        try:
            with contextlib.redirect_stderr(said):
                runpy.run_path(str(script), run_name="__main__")
        except ParsedError:
            return ""
        except SystemExit:
            return f"{script.relative_to(ROOT)}: {said.getvalue().strip().rpartition('error: ')[2]}"
    return f"{script.relative_to(ROOT)} ran without parsing its options"


class ParsedError(Exception):
    """The parser has nothing against the words."""


def _stopping(parse: Callable[..., Any]) -> Callable[..., Any]:
    def parse_and_stop(parser: argparse.ArgumentParser) -> None:
        parse(parser)
        raise ParsedError

    return parse_and_stop


def _make(words: list[str]) -> str:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    lacking = [word for word in words if "=" not in word and word not in targets]
    return f"make has no target {', '.join(lacking)}" if lacking else ""


def _pip(words: list[str]) -> str:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    asked = [extra for word in words for named in re.findall(r"^(?:duobiao|\.)\[(.+)\]$", word) for extra in named.split(",")]
    lacking = [extra for extra in asked if extra not in extras]
    return f"there is no extra {', '.join(lacking)}" if lacking else ""
