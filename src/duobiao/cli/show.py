"""What the commands print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from duobiao.bundle import read_manifest


def print_bundle(path: Path) -> None:
    """One line about a bundle that was just made."""
    manifest = read_manifest(path)
    found: dict[str, Any] = manifest["metrics"]["dev"]
    shown = {name: found[name] for name in ("micro_f1", "macro_f1", "group_accuracy") if found[name] is not None}
    values = ", ".join(f"{name} {value:.4f}" for name, value in shown.items())
    typer.echo(f"{path}: {manifest['name']}; on {found['rows']} dev rows {values}")


def print_table(systems: Sequence[Mapping[str, Any]], out: Path, title: str = "") -> None:
    """The comparison, and where its report lies."""
    groups = any(system["group_accuracy"] is not None for system in systems)
    table = Table(title=title or None)
    heads = ["system", "params", "MB", "micro-F1", "macro-F1", *(["group acc."] * groups)]
    heads += ["rows/s (1)", "rows/s (32)", "p50 ms (1)", "speed-up (32)"]
    table.add_column(heads[0], no_wrap=True)
    for head in heads[1:]:
        table.add_column(head, justify="right")
    for system in systems:
        cells = [system["name"], _short(system["parameters"]), f"{system['mb']:.1f}"]
        cells += [_ratio(system["micro_f1"]), _ratio(system["macro_f1"]), *([_ratio(system["group_accuracy"])] * groups)]
        cells += [f"{system['rows_per_s'][size]:,.0f}" for size in ("1", "32")]
        table.add_row(*cells, f"{system['p50_ms']['1']:.2f}", f"{system['speedup']:.1f}x")
    _console().print(table)
    for system in systems:
        if "start=random weights" in system["notes"]:
            typer.echo(f"note: {system['name']} started from random weights; give a pre-trained one with --set encoder=...")
    typer.echo(f"report: {(out / 'report.html').resolve()}")


def _console() -> Console:
    """Names of labels and systems are shown as they are, brackets and colons included."""
    width = None if Console().is_terminal else 140
    return Console(width=width, markup=False, emoji=False)


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _short(number: int) -> str:
    return f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number / 1e3:.0f}k"
