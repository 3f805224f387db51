"""Options that messages and hints name: every command whose user can come to read them has them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import duobiao
from duobiao.cli.app import app

ROOT = Path(duobiao.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
FOREIGN = {"--upgrade", "--head", "--help"}
"""Options of pip and ray, and the one that every command has."""

ONLY: dict[str, tuple[str, ...]] = {
    "cascade": ("predict", "score", "cascade"),
    "cli.annotate": ("annotate import",),
    "config.load": ("train", "distil", "demo", "clean", "suspects", "general-distil", "adapt", "tune", "add-label", "serve"),
    "data.annotate.doccano": ("annotate import",),
    "data.annotate.run": ("annotate import",),
    "data.frozen": ("split",),
    "data.load": ("train", "distil", "adapt", "mine"),
    "data.sample": ("sample",),
    "data.split": ("split",),
    "data.split_time": ("split",),
    "evaluate.budget": ("compare",),
    "evaluate.compare": ("compare",),
    "evaluate.dial": ("dial",),
    "evaluate.proof": ("distil",),
    "features.apply": ("train", "distil", "demo", "suspects", "adapt"),
    "features.mine": ("mine",),
    "routing.check": ("routes check", "routes draw"),
    "train.distillation": ("distil",),
    "train.intermediate": ("distil", "general-distil"),
    "train.recipe": ("train", "distil", "demo", "adapt"),
    "train.students.staged": ("distil",),
    "train.run": ("train", "distil", "adapt", "add-label"),
}
"""Modules that more commands import than come to the messages with options: those that do.

``data.load``, ``train.distillation`` and ``train.run``: rows and teachers of the demo are its own. ``features.apply``: what is
fitted in training. ``routing.check``: the others give the bundle.
"""

READING = {"data.read", "data.rows"}
UNREAD = ("demo", "general-distil", "serve")
"""Commands that import what reads labelled rows, and have no file of them whose columns somebody could name."""

BOTH = {
    "evaluate.diff": {"--max-flips": ("diff",)},
    "evaluate.diff_wording": {
        "--allow-removed": ("diff",),
        "--max-flips": ("diff",),
        "--accept-drops": ("add-label",),
    },
    "bundle": {
        "--force": ("tune", "add-label"),
        "--out": ("train", "distil", "demo", "adapt", "general-distil", "tune", "add-label", "export", "pull"),
    },
}
"""Messages of modules of several commands, each message that of one option, which some of them have."""


@cache
def commands() -> dict[str, Any]:
    """What can be called, by its words."""

    def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        for part, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{name} {part}".strip())
        if not hasattr(command, "commands"):
            yield name, command

    return dict(walk(get_command(app), ""))


def options(command: str) -> set[str]:
    return {option for one in commands()[command].params for option in (*one.opts, *one.secondary_opts)}


@cache
def trees() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(tree: ast.AST) -> set[str]:
    """Modules of ours that the code loads, also by names in strings; what only types are imported from aside."""
    found = set[str]()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("duobiao"):
            base = (node.module or "").removeprefix("duobiao").lstrip(".")
            for one in node.names:
                whole = f"{base}.{one.name}".lstrip(".")
                found.add(whole if whole in trees() else base)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = re.sub(r"^duobiao\.|:.*$", "", node.value)
            found |= {name} if node.value.startswith("duobiao.") and name in trees() else set()
        found |= imports(node)
    return found


@cache
def reached(command: str) -> frozenset[str]:
    """The modules that a command comes to load."""
    callback = commands()[command].callback
    home = callback.__module__.removeprefix("duobiao.")
    own = [node for node in trees()[home].body if isinstance(node, ast.FunctionDef) and node.name == callback.__name__]
    waiting, seen = [*imports(own[0]), *(imports(trees()[home]) if home != "cli.app" else ())], {home}
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += imports(trees()[module])
    return frozenset(seen)


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string of a module but docstrings, what describes its options, and their bare names; values of f-strings as ``{}``.

    A bare name is an argument: the check that gets it has its own words.
    """
    left = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left.add(id(node.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("Option", "command"):
            left |= {id(one) for one in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in left:
            continue
        if isinstance(node, ast.JoinedStr):
            left |= {id(one) for one in node.values}
            yield node.lineno, "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not OPTION.fullmatch(node.value):
            yield node.lineno, node.value


def named(text: str) -> Iterator[tuple[str | None, str]]:
    """Options of a text, each with the command that stands before it (``duobiao tune --set``); None: the reader's own."""
    names = "|".join(sorted(map(re.escape, commands()), key=len, reverse=True))
    parts = re.split(rf"duobiao ({names})\b", text)
    for command, part in zip([None, *parts[1::2]], parts[::2], strict=True):
        for option in OPTION.findall(part):
            if option not in FOREIGN:
                yield command, option


def readers(module: str, option: str) -> list[str]:
    """Commands whose user can come to read a message of a module that names the option."""
    several = BOTH.get(module, {}).get(option)
    if several or module in ONLY:
        return list(several or ONLY[module])
    found = [command for command in commands() if module in reached(command)]
    return [one for one in found if not (module in READING and one in UNREAD)]


MODULES = sorted(name for name in trees() if not name.startswith(("doctor.wording", "card.limits", "cli.options")))


@pytest.mark.parametrize("module", MODULES)
def test_options_that_a_message_names_are_those_of_the_commands_that_come_to_it(module: str) -> None:
    wrong = []
    for line, text in texts(trees()[module]):
        for command, option in named(text):
            for one in [command] if command else readers(module, option):
                if option not in options(one):
                    wrong.append(f"{module}:{line}: duobiao {one} has no {option}: {text}")
    assert not wrong, "\n".join(wrong)


def test_the_tables_name_modules_and_commands_that_there_are() -> None:
    for module, these in [*ONLY.items(), *((name, one) for name, table in BOTH.items() for one in table.values())]:
        for command in these:
            assert module in reached(command), f"{command} does not come to {module}"


def test_an_option_belongs_to_the_command_before_it() -> None:
    text = "give --band 0.2, or store one with duobiao tune --set band=0.2; pip install --upgrade duobiao"
    assert list(named(text)) == [(None, "--band"), ("tune", "--set")]
    assert list(named("duobiao routes check --bundle B")) == [("routes check", "--bundle")]
    assert readers("evaluate.tune", "--folds") == ["tune"]
    assert set(readers("data.rows", "--columns")) >= {"evaluate", "compare", "tune", "card"}
