"""``duobiao prepare``: from what a call platform exports to rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from duobiao.cli.options import parse_columns, reporting

_SHOWN = 10

prepare = typer.Typer(help="From raw exports to rows worth training on.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.add_typer(prepare, name="prepare")


@prepare.callback()
def _group() -> None:
    pass


@prepare.command(
    epilog="Example: duobiao prepare transcripts --flow flow.yaml --input calls.xlsx --where 通话状态=已接听 "
    "--output rows.jsonl --todo to_annotate.xlsx    The built-in calls: --flow callback --input callback"
)
def transcripts(
    flow: Annotated[str, typer.Option("--flow", help="Flow file (YAML); callback is the built-in one.", show_default=False)],
    input: Annotated[
        list[str],
        typer.Option("--input", help="Transcripts in any format; callback: the built-in ones. Repeatable.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", help="JSONL of labelled rows.", show_default=False)],
    todo: Annotated[
        Path | None, typer.Option("--todo", help="Rows that need a person: .xlsx, .csv or .jsonl.", show_default=False)
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Label space that the flow's labels must fit; callback: the built-in one."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Bundle: orders --todo by what it is least sure of.", show_default=False)
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="Filter: 列=值 or 列!=值. Repeatable.", show_default=False)
    ] = None,
    columns: Annotated[
        str,
        typer.Option(
            "--columns", help="Own column names: call=, id= / dialogue=, speaker=, text=, time= / turns=.", show_default=False
        ),
    ] = "",
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="Column to hand on to the rows. Repeatable.", show_default=False)
    ] = None,
    join: Annotated[
        bool | None,
        typer.Option("--join/--apart", help="Customer's turns in a row: one row, or one each.", show_default=False),
    ] = None,
    window: Annotated[
        int | None, typer.Option("--window", help="Earlier turns in the context.", min=0, show_default=False)
    ] = None,
    turns: Annotated[
        Path | None, typer.Option("--turns", help="JSONL of every turn and what became of it.", show_default=False)
    ] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="The whole summary as JSON.", show_default=False)] = None,
) -> None:
    """Follow calls through a flow: rows with the node they answer, weak labels, and what a person must label."""
    with reporting():
        from duobiao.classifier import Classifier
        from duobiao.data.prepare import prepare_transcripts
        from duobiao.data.write import write_text
        from duobiao.outputs import check_outputs

        files = [("--output", output), ("--todo", todo), ("--turns", turns), ("--json", json_out)]
        check_outputs(files, [*input, flow, labels, model])
        found = prepare_transcripts(
            input,
            flow,
            output,
            todo=todo,
            turns=turns,
            columns=parse_columns(columns),
            where=where or (),
            keep=keep or (),
            join=join,
            window=window,
            labels=labels,
            model=Classifier.load(model) if model is not None else None,
        ).to_dict()
        if json_out is not None:
            write_text(json_out, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        _print_summary(found)
        typer.echo(f"{output}: {found['answers']['labelled']} labelled rows")
        if todo is not None:
            typer.echo(f"{todo}: {found['answers']['to annotate, each once']} rows to annotate")


def _print_summary(found: Mapping[str, Any]) -> None:
    console = Console(width=None if Console().is_terminal else 120, markup=False, emoji=False, highlight=False)
    calls = {
        name: count for name, count in found["calls"].items() if name != "filtered" and (count or name in ("read", "used"))
    }
    _counts(console, "calls", {**calls, **{f"left out: {name}": n for name, n in found["calls"]["filtered"].items()}})
    _counts(console, "turns", {"read": found["turns"]["read"], **found["turns"]["fates"]})
    _counts(console, "answers (a row each)", found["answers"])
    table = Table("node", title="nodes", title_justify="left")
    for head in ("robot turns", "answers", "labelled", "to annotate, each once"):
        table.add_column(head, justify="right")
    for name, counts in found["nodes"].items():
        table.add_row(name, *map(str, counts.values()))
    loose = found["without node"]
    table.add_row("(none)", "", str(loose["answers"]), "0", str(loose["to annotate, each once"]))
    console.print(table)
    _counts(console, "labels", found["labels"])
    ways = [way for way in found["ways"] if not way["labelled"] and way["from"] is not None]
    shown = {f"{way['from']} -> {way['to'] or 'no known phrase'}": way["answers"] for way in ways}
    _counts(console, "ways without a label", shown)
    for title in ("robot turns without a known phrase", "robot turns with phrases of several nodes", "unknown speakers"):
        _counts(console, title, found[title])
    for note in found["notes"]:
        typer.echo(f"note: {note}")


def _counts(console: Console, title: str, counts: Mapping[str, int]) -> None:
    """A table of names and numbers; long ones are cut, and say so."""
    if not counts:
        return
    limit = _SHOWN if title.startswith(("robot turns", "ways", "unknown")) else 100
    table = Table("", show_header=False, title=title, title_justify="left")
    table.add_column(justify="right", no_wrap=True)
    for name, count in list(counts.items())[:limit]:
        table.add_row(name if len(name) <= 60 else f"{name[:59]}…", str(count))
    if len(counts) > limit:
        rest = list(counts.values())[limit:]
        table.add_row(f"({len(rest)} more, all with --json)", str(sum(rest)))
    console.print(table)
