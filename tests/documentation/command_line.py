"""Whether command lines of the documentation mean something to the program that they call."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from typing import Any

import typer
from pages import ROOT, Command

from duobiao.cli.app import app
from duobiao.config import shipped_configs

PLAIN = {".", "curl", "kill", "openssl", "ray", "pre-commit"}
"""Programs of others, whose options are not ours to check."""


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
    if not (ROOT / words[0]).is_file():
        return f"there is no {words[0]}"
    text = (ROOT / words[0]).read_text(encoding="utf-8")
    lacking = [
        word for word in words if re.fullmatch(r"--[a-z0-9-]+", word) and f'"{word}"' not in text and word not in options()
    ]
    return f"{words[0]} has no {', '.join(lacking)}" if lacking else ""


def _make(words: list[str]) -> str:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    lacking = [word for word in words if "=" not in word and word not in targets]
    return f"make has no target {', '.join(lacking)}" if lacking else ""


def _pip(words: list[str]) -> str:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    asked = [extra for word in words for named in re.findall(r"^(?:duobiao|\.)\[(.+)\]$", word) for extra in named.split(",")]
    lacking = [extra for extra in asked if extra not in extras]
    return f"there is no extra {', '.join(lacking)}" if lacking else ""
