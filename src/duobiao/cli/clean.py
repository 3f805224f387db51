"""``duobiao clean``: cleaning a file, and seeing what each step does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from duobiao.cli.options import Columns, Overrides, config_file, parse_columns, reporting
from duobiao.data.clean_file import CleanReport
from duobiao.errors import ConfigError

_SHOWN = 60
_EXAMPLES = 5


class _Clean(TyperCommand):
    """The command as typed: ``--show`` may stand without its number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given: list[str] = []
        for at, word in enumerate(args):
            given.append(word)
            if word == "--show" and not re.fullmatch(r"-?\d+", "".join(args[at + 1 : at + 2])):
                given.append(str(_EXAMPLES))
        return super().parse_args(ctx, given)


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command(cls=_Clean, epilog="Example: duobiao clean --input calls.csv --columns text=内容 --show")(clean)


def clean(
    input: Annotated[Path, typer.Option("--input", help="JSONL, JSON, CSV, TSV, Parquet or Excel.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", help="Where the clean copy goes, in the same format.", show_default=False)
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", help="Take the chain from this configuration.", show_default=False)
    ] = None,
    steps: Annotated[
        str | None, typer.Option("--steps", help="The chain, by names: nfkc,whitespace. Without both: all that suits calls.")
    ] = None,
    overrides: Overrides = None,
    columns: Columns = "",
    show: Annotated[
        int,
        typer.Option(
            "--show",
            metavar="[N]",
            help=f"Print before/after examples of each step, N of them ({_EXAMPLES} without a number).",
            min=0,
            show_default=False,
        ),
    ] = 0,
) -> None:
    """Clean the texts of a file of any size, all columns kept; or only see what a chain would do (--show)."""
    with reporting():
        from duobiao.config import load_config
        from duobiao.data.clean import TRANSCRIPTS
        from duobiao.data.clean_file import clean_file
        from duobiao.outputs import check_outputs

        check_outputs([("--output", output)], [input, config_file(config)])
        if output is None and not show:
            raise ConfigError("there is nothing to do", hint="give --output FILE, or --show, or both")
        if config is not None and steps is not None:
            raise ConfigError("--config and --steps both name a chain", hint="give one of them")
        if overrides and config is None:
            raise ConfigError("--set changes a configuration, but there is none", hint="give --config")
        chain = tuple(name.strip() for name in steps.split(",") if name.strip()) if steps is not None else TRANSCRIPTS
        chosen = load_config(config, overrides or []).input.clean if config is not None else chain
        print_report(clean_file(input, output, chosen, columns=parse_columns(columns), examples=show), show, output)


def print_report(report: CleanReport, show: int, output: Path | None) -> None:
    """Counts for each step, then its examples."""
    console = Console(width=None if Console().is_terminal else 140, markup=False, emoji=False, highlight=False)
    table = Table("step", "what it does", title=f"{report.rows:,} rows, {report.changed:,} changed")
    table.add_column("rows changed", justify="right")
    for step in report.steps:
        table.add_row(step.name, step.description, f"{step.changed:,}")
    console.print(table)
    for step in report.steps if show else ():
        for number, (before, after) in enumerate(step.examples):
            head = f"{step.name:>12}  " if number == 0 else " " * 14
            old, new = _around(before, after)
            console.print(Text(f"{head}- {old}\n{' ' * 14}+ {new}"), soft_wrap=True)
    if report.emptied:
        typer.echo(f"note: {report.emptied:,} texts have nothing left in them", err=True)
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    if output is not None:
        typer.echo(f"{output}: {report.rows} rows", err=True)


def _around(before: str, after: str) -> tuple[str, str]:
    """Both texts where they begin to differ, in one line, with what cannot be seen written out."""
    same = next(
        (at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), min(len(before), len(after))
    )
    start = max(same - 20, 0) if max(len(before), len(after)) > _SHOWN else 0
    shown = []
    for text in (before, after):
        part = ("…" if start else "") + text[start : start + _SHOWN] + ("…" if len(text) > start + _SHOWN else "")
        shown.append("".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in part))
    return shown[0], shown[1]
