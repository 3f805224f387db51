"""What the commands print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from duobiao.bundle import read_manifest


def print_bundle(path: Path) -> None:
    """One line about a bundle that was just made."""
    manifest = read_manifest(path)
    found: dict[str, Any] = manifest["metrics"]["dev"]
    shown = {name: found[name] for name in ("micro_f1", "macro_f1", "group_accuracy") if found[name] is not None}
    values = ", ".join(f"{name} {value:.4f}" for name, value in shown.items())
    typer.echo(f"{path}: {manifest['name']}; on {found['rows']} dev rows {values}")


def console() -> Console:
    """Names of labels and systems are shown as they are, brackets and colons included."""
    width = None if Console().is_terminal else 140
    return Console(width=width, markup=False, emoji=False)


def show_ratio(value: float | None) -> str:
    """Four digits, or a dash for what is not defined."""
    return "-" if value is None else f"{value:.4f}"
