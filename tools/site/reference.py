"""Tables of all commands and of all settings, from the code that defines them."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Union, get_args, get_origin

import typer
from pydantic import BaseModel

from duobiao.cli.app import app
from duobiao.config.base import Settings
from duobiao.config.load import AnyConfig

Command = Any  # typer brings its own copy of click, whose classes have no stable name


def leaves(command: Command, name: str = "duobiao") -> Iterator[tuple[str, Command]]:
    """Every command that does something, with its full name."""
    if subcommands := getattr(command, "commands", None):
        for key, inner in subcommands.items():
            yield from leaves(inner, f"{name} {key}")
    else:
        yield name, command


def commands() -> str:
    """One heading a command, one table of its options."""
    parts = []
    for name, command in leaves(typer.main.get_command(app)):
        rows = [(_spelled(option), _one_line(getattr(option, "help", "") or "")) for option in command.params]
        rows = [row for row in rows if row[0] != "`--help`"]
        parts += [f"## {name}", _one_line(command.help or ""), _table(("argument or option", "meaning"), rows)]
    return "\n\n".join(part for part in parts if part)


def _spelled(option: Command) -> str:
    if option.param_type_name == "argument":
        return f"`{option.name.upper()}`"
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return names + (" (required)" if option.required else "")


def settings() -> str:
    """One heading a class of settings, configurations first, then the parts that they share."""
    queue: list[type[BaseModel]] = list(get_args(AnyConfig))
    done: list[str] = []
    seen: set[type[BaseModel]] = set()
    while queue:
        model = queue.pop(0)
        if model in seen:
            continue
        seen.add(model)
        inner = [part for field in model.model_fields.values() for part in _models(field.annotation)]
        queue += inner
        whole = model in get_args(AnyConfig)
        title = f"kind: {get_args(model.model_fields['kind'].annotation)[0]}" if whole else model.__name__
        rows = [_field(name, field) for name, field in model.model_fields.items() if not (whole and name == "kind")]
        done += [f"## {title}", _one_line(model.__doc__ or ""), _table(("setting", "default", "meaning"), rows)]
    return "\n\n".join(done)


def _field(name: str, field: Any) -> tuple[str, str, str]:
    meaning = _one_line(field.description or "").replace("[", "\\[")
    parts = list(_models(field.annotation))
    if parts:
        links = ", ".join(f"[{part.__name__}](#{part.__name__.lower()})" for part in parts)
        return f"`{name}`", "", f"{meaning} {links}".strip()
    default = (
        "required"
        if field.is_required()
        else f"`{json.dumps(field.get_default(call_default_factory=True), ensure_ascii=False, default=str)}`"
    )
    choices = get_args(field.annotation) if get_origin(field.annotation) is not None else ()
    words = [f"`{choice}`" for choice in choices if isinstance(choice, str)]
    return f"`{name}`", default, meaning if not words or "`" in meaning else f"{meaning} ({', '.join(words)})".strip()


def _models(annotation: Any) -> Iterator[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, list, tuple, dict):
        for inner in get_args(annotation):
            yield from _models(inner)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


TABLES: dict[str, Callable[[], str]] = {"commands": commands, "settings": settings}
