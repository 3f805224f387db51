"""``duobiao diff``: a regression gate between two bundles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from duobiao.cli.options import At, Columns, Lang, Separator, parse_columns, parse_language, reporting
from duobiao.cli.show import console


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao diff runs/old runs/new --data test.jsonl --flips flips.jsonl --md comment.md")(diff)


def diff(
    old: Annotated[Path, typer.Argument(help="Bundle in use.", show_default=False)],
    new: Annotated[Path, typer.Argument(help="Bundle to be released.", show_default=False)],
    data: Annotated[
        Path, typer.Option("--data", help="Labelled rows; without labels only flips are told.", show_default=False)
    ],
    allow_drop: Annotated[float, typer.Option("--allow-drop", help="Points of micro-F1 and macro-F1 that may be lost.")] = 0.0,
    allow_label_drop: Annotated[
        float, typer.Option("--allow-label-drop", help="Points of a label's F1, or a group's accuracy, that may be lost.")
    ] = 0.0,
    allow_removed: Annotated[
        bool, typer.Option("--allow-removed", help="The new bundle may lack labels of the old one.")
    ] = False,
    max_flips: Annotated[
        float | None,
        typer.Option("--max-flips", help="Share of rows, 0 to 1, that may be decided otherwise.", show_default=False),
    ] = None,
    at: At = None,
    flips: Annotated[
        Path | None, typer.Option("--flips", help="Where rows that flip go as JSONL, the worst first.", show_default=False)
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--md", help="Where the result goes as Markdown, as a comment in CI.", show_default=False)
    ] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Where all of it goes as JSON.", show_default=False)] = None,
    language: Lang = "zh",
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Compare a new bundle with the old one; exit status 1 if something fell beyond noise."""
    with reporting():
        from duobiao.evaluate.diff import Limits, diff_files

        found = diff_files(
            old,
            new,
            data,
            limits=Limits(allow_drop, allow_label_drop, allow_removed, max_flips),
            at=at,
            flips=flips,
            markdown=markdown,
            json_out=json_out,
            language=parse_language(language),
            columns=parse_columns(columns),
            separator=separator,
        )
        print_diff(found.found, language)
        if not found.passed:
            raise typer.Exit(1)


def print_diff(found: Mapping[str, Any], language: str) -> None:
    """Tables, remarks, and the verdict last."""
    from duobiao.evaluate.diff_wording import headline, remarks, tables

    tongue = parse_language(language)
    screen = console()
    for title, heads, lines in tables(found, tongue):
        table = Table(heads[0], title=title or f"{found['old']['name']} → {found['new']['name']}")
        for head in heads[1:]:
            table.add_column(head, justify="right")
        for line in lines:
            table.add_row(*line)
        screen.print(table)
    for remark in remarks(found, tongue):
        typer.echo(remark)
    verdict, *reasons = headline(found, tongue)
    typer.echo(verdict)
    for reason in reasons:
        typer.echo(f"- {reason}")
