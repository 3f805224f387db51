"""The commands ``annotate export`` and ``annotate import``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from duobiao.cli.options import Columns, Separator, parse_columns, reporting

SHOWN = 10


class Tool(StrEnum):
    """What people annotate with."""

    label_studio = "label-studio"
    doccano = "doccano"
    argilla = "argilla"
    excel = "excel"


class Layout(StrEnum):
    """How Excel asks for independent labels."""

    flags = "flags"
    ticks = "ticks"
    cell = "cell"


class Policy(StrEnum):
    """What happens to a conflict."""

    base = "base"
    new = "new"
    majority = "majority"
    unknown = "unknown"


Format = Annotated[Tool, typer.Option("--format", help="The tool.", show_default=False)]
Labels = Annotated[Path, typer.Option("--labels", help="Label space (YAML).", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="Rows to an annotation tool and back.", no_args_is_help=True)
    group.command(
        "export", epilog="Example: duobiao annotate export rows.jsonl --format excel --labels labels.yaml --output todo.xlsx"
    )(export)
    group.command(
        "import",
        epilog="Example: duobiao annotate import --base rows.jsonl --from done.xlsx --format excel --labels labels.yaml "
        "--output merged.jsonl --report report.json",
    )(import_)
    app.add_typer(group, name="annotate")


def export(
    rows: Annotated[Path, typer.Argument(help="Rows in any format, labelled or not.", show_default=False)],
    format: Format,
    labels: Labels,
    output: Annotated[Path, typer.Option("--output", help="File for the tool.", show_default=False)],
    layout: Annotated[
        Layout, typer.Option("--layout", help="Excel: a 0/1 column a label, a tick column a label, or one cell of names.")
    ] = Layout.flags,
    blank: Annotated[bool, typer.Option("--blank", help="Leave out the labels that rows have already.")] = False,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Write rows for an annotation tool."""
    with reporting():
        from duobiao.data.annotate.run import export_file

        count, files = export_file(
            rows,
            output,
            format.value,
            labels,
            columns=parse_columns(columns),
            separator=separator,
            prefill=not blank,
            layout=layout.value,
        )
        typer.echo(f"{count} rows: {', '.join(map(str, files))}")


def import_(
    base: Annotated[Path, typer.Option("--base", help="The rows that were exported.", show_default=False)],
    source: Annotated[list[Path], typer.Option("--from", help="What the tool exported. Repeatable.", show_default=False)],
    format: Format,
    labels: Labels,
    output: Annotated[Path, typer.Option("--output", help="Merged rows, JSONL.", show_default=False)],
    report: Annotated[
        Path | None, typer.Option("--report", help="Conflicts, and who changed what, as JSON.", show_default=False)
    ] = None,
    on_conflict: Annotated[
        Policy,
        typer.Option(
            "--on-conflict", help="Keep the row's answer, take the latest, take what most annotators say, or leave it unknown."
        ),
    ] = Policy.base,
    changed_text: Annotated[
        bool, typer.Option("--take-changed-text", help="Use annotations whose text is no longer that of the row.")
    ] = False,
    label_file: Annotated[
        Path | None, typer.Option("--label-file", help="doccano: exported labels, for label numbers.", show_default=False)
    ] = None,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Merge annotations into rows, by id; conflicts are listed."""
    with reporting():
        from duobiao.data.annotate.run import import_files

        found = import_files(
            base,
            source,
            format.value,
            labels,
            output,
            report,
            policy=on_conflict.value,
            take_changed_text=changed_text,
            label_file=label_file,
            columns=parse_columns(columns),
            separator=separator,
        )
        _print(found.report, output, report)


def _print(found: Mapping[str, Any], output: Path, report: Path | None) -> None:
    rows, notes = found["rows"], found["annotations"]
    typer.echo(
        f"{output}: {rows['all']} rows; {rows['labelled']} newly labelled, {rows['changed']} changed, "
        f"{rows['confirmed']} confirmed, {rows['nothing_usable']} without a usable answer, {rows['untouched']} not annotated"
    )
    typer.echo(
        f"annotations: {notes['all']}; {notes['done']} done, {notes['skipped']} skipped, {notes['draft']} drafts, "
        f"{notes['open']} still open"
    )
    for name, counts in found["annotators"].items():
        typer.echo(f"  {name}: {', '.join(f'{count} {what}' for what, count in counts.items() if count)}")
    if not found["conflicts"]:
        typer.echo("no conflicts")
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in found["conflicts_by_kind"].items())
    typer.echo(f"{len(found['conflicts'])} conflicts ({kinds}), settled by --on-conflict {found['policy']}:")
    for conflict in found["conflicts"][:SHOWN]:
        details = ", ".join(f"{key} {value}" for key, value in conflict.items() if key not in ("kind", "id", "where", "time"))
        typer.echo(f"  {conflict['kind']}: {conflict['id']}: {details}")
    if len(found["conflicts"]) > SHOWN:
        rest = len(found["conflicts"]) - SHOWN
        typer.echo(f"  ... and {rest} more{f' in {report}' if report else '; --report lists them'}")
