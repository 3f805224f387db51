"""The command ``compare``, and what it prints."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from duobiao.cli.options import (
    Columns,
    Lang,
    SeenRows,
    Separator,
    Slices,
    parse_columns,
    parse_language,
    parse_share,
    reporting,
    texts_only,
)
from duobiao.cli.show import console, show_ratio


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: duobiao compare runs/linear runs/teacher runs/bigru-a --data test.jsonl --out runs/report --max-ms 5"
    )(compare)


def compare(
    bundles: Annotated[list[Path], typer.Argument(help="Folders of bundles.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="Labelled rows.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder of compare.json, compare.md, report.html.", show_default=False)],
    train: SeenRows = None,
    max_ms: Annotated[
        float | None,
        typer.Option("--max-ms", help="Budget: milliseconds for a row alone, 95th percentile.", show_default=False),
    ] = None,
    max_mb: Annotated[
        float | None, typer.Option("--max-mb", help="Budget: megabytes of the bundle.", show_default=False)
    ] = None,
    min_micro_f1: Annotated[
        float | None, typer.Option("--min-micro-f1", help="Budget: lowest micro-F1.", show_default=False)
    ] = None,
    keep: Annotated[
        str | None, typer.Option("--keep", help="Budget: share of the best micro-F1 to keep, 98% or 0.98.", show_default=False)
    ] = None,
    slices: Slices = None,
    examine: Annotated[
        str | None,
        typer.Option(
            "--examine",
            help="System to look at closely; the budget's answer, or the best student, if left out.",
            show_default=False,
        ),
    ] = None,
    no_texts: Annotated[bool, typer.Option("--no-texts", help="Leave texts of rows out of the report.")] = False,
    suspects: Annotated[
        Path | None, typer.Option("--suspects", help="Where rows whose labels may be wrong go, JSONL.", show_default=False)
    ] = None,
    language: Lang = "zh",
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Measure bundles side by side (quality, size, speed), and say which to deploy."""
    with reporting():
        from duobiao.bundle import read_bundle
        from duobiao.data.read import read_rows
        from duobiao.evaluate.budget import Budget
        from duobiao.evaluate.compare import View, check_places
        from duobiao.evaluate.compare import compare as run

        budget = Budget(max_ms, max_mb, min_micro_f1, parse_share("--keep", keep))
        command = shlex.join(["duobiao", *sys.argv[1:]]) if sys.argv[1:2] == ["compare"] else ""
        view = View(
            language=parse_language(language),
            budget=budget,
            slices=tuple(slices or ()),
            examine=examine,
            texts=not no_texts,
            suspects=suspects,
            command=command,
        )
        mapping = parse_columns(columns)
        check_places(out, suspects, [data, *bundles, *([train] if train else [])])
        space = read_bundle(bundles[0]).space
        rows = read_rows(data, space=space, columns=mapping, separator=separator)
        seen = read_rows(train, columns=texts_only(mapping), labelled=False) if train else None
        print_table(run(bundles, rows, out, train=seen, view=view), out, language=language, budget=budget)
        if suspects is not None:
            typer.echo(f"rows whose labels may be wrong: {suspects.resolve()}")


def print_table(
    systems: Sequence[Mapping[str, Any]], out: Path, title: str = "", *, language: str = "zh", budget: Any = None
) -> None:
    """The comparison, what it says, and where its report lies."""
    from duobiao.evaluate.advice import summary

    groups = any(system["group_accuracy"] is not None for system in systems)
    table = Table(title=title or None)
    heads = ["system", "params", "MB", "micro-F1", "macro-F1", *(["group acc."] * groups)]
    heads += ["rows/s (1)", "rows/s (32)", "p95 ms (1)", "speed-up (32)"]
    table.add_column(heads[0], no_wrap=True)
    for head in heads[1:]:
        table.add_column(head, justify="right")
    for system in systems:
        cells = [system["name"], _short(system["parameters"]), f"{system['mb']:.1f}"]
        cells += [show_ratio(system["micro_f1"]), show_ratio(system["macro_f1"])]
        cells += [show_ratio(system["group_accuracy"])] * groups
        cells += [f"{system['rows_per_s'][size]:,.0f}" for size in ("1", "32")]
        table.add_row(*cells, f"{system['p95_ms']['1']:.2f}", f"{system['speedup']:.1f}x")
    console().print(table)
    for line in summary(systems, parse_language(language), budget):
        typer.echo(line)
    typer.echo(f"report: {(out / 'report.html').resolve()}")


def _short(number: int) -> str:
    return f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number / 1e3:.0f}k"
