"""``duobiao card``: the model card of a bundle, written anew from what the bundle holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duobiao.cli.options import BundlePath, Columns, Separator, parse_columns, reporting


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao card runs/bigru-a --data test.jsonl --license apache-2.0 --notes about.md")(card)


def card(
    bundle: BundlePath,
    data: Annotated[
        Path | None, typer.Option("--data", help="Labelled test rows: adds the scores on them.", show_default=False)
    ] = None,
    license_name: Annotated[
        str | None, typer.Option("--license", help="The licence's name on the Hub: apache-2.0, cc-by-4.0.", show_default=False)
    ] = None,
    notes: Annotated[
        Path | None, typer.Option("--notes", help="Words of your own (Markdown), which stay in the card.", show_default=False)
    ] = None,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Write the model card of a bundle anew; scores on test rows, licence and notes are kept in the bundle."""
    with reporting():
        from duobiao.bundle import read_manifest
        from duobiao.card import CARD
        from duobiao.data.read import read_rows
        from duobiao.evaluate.evidence import describe
        from duobiao.labels import LabelSpace

        space = LabelSpace.from_dict(read_manifest(bundle)["label_space"], str(bundle)) if data is not None else None
        rows = read_rows(data, space=space, columns=parse_columns(columns), separator=separator) if data is not None else None
        found = describe(bundle, rows, license_name=license_name, notes=notes)
        if found is not None:
            bounds = found["intervals"].get("micro_f1")
            between = f" ({bounds[0]:.4f} to {bounds[1]:.4f})" if bounds else ""
            typer.echo(f"{found['rows']} test rows: micro_f1 {found['micro_f1']:.4f}{between}")
        typer.echo(f"{bundle / CARD}: written")
