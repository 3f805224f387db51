"""The command ``suspects``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duobiao.cli.options import Columns, Overrides, Separator, config_file, parse_columns, reporting

SHOWN = 10


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao suspects train.jsonl --labels labels.yaml --output suspects.jsonl")(suspects)


def suspects(
    rows: Annotated[Path, typer.Argument(help="Labelled rows.", show_default=False)],
    labels: Annotated[Path, typer.Option("--labels", help="Label space (YAML).", show_default=False)],
    output: Annotated[Path, typer.Option("--output", help="The suspect rows, JSONL.", show_default=False)],
    folds: Annotated[int, typer.Option("--folds", help="Every row is judged by a model of the other folds.")] = 5,
    most: Annotated[
        int | None, typer.Option("--most", min=1, help="Rows to write at most, the most suspect first.", show_default=False)
    ] = None,
    config: Annotated[str, typer.Option("--config", help="Configuration of the linear baseline.")] = "linear",
    overrides: Overrides = None,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Find labels that are probably wrong, for people to look at."""
    with reporting():
        from duobiao.config import LinearConfig, load_config
        from duobiao.errors import ConfigError
        from duobiao.evaluate.suspect_file import write_suspects
        from duobiao.outputs import check_outputs

        check_outputs([("--output", output)], [rows, labels, config_file(config)])
        settings = load_config(config, overrides or [])
        if not isinstance(settings, LinearConfig):
            raise ConfigError(
                f"{config} is of kind {settings.kind!r}", hint="labels are judged by the linear baseline: --config linear"
            )
        found = write_suspects(
            rows, labels, output, folds=folds, most=most, config=settings, columns=parse_columns(columns), separator=separator
        )
        typer.echo(f"{output}: {found.written} of {found.found} suspect rows, of {found.rows}")
        for name, count in list(found.decisions.items())[:SHOWN]:
            typer.echo(f"  {name}: {count}")
        if len(found.decisions) > SHOWN:
            typer.echo(f"  and {len(found.decisions) - SHOWN} more")
        if found.not_judged:
            typer.echo(f"not judged, too few positives: {', '.join(found.not_judged)}")
        if not found.own_ids:
            typer.echo("the rows have no ids and are called by their number: do not change the file before the import")
