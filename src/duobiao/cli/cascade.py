"""``duobiao cascade``: what it gains to send unsure rows on to a better model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from duobiao.cli.options import At, Columns, Separator, parse_columns, reporting
from duobiao.cli.show import console


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao cascade runs/bigru-a runs/teacher --data test.jsonl --band 0.1 --band 0.3")(cascade)


def cascade(
    first: Annotated[Path, typer.Argument(help="Bundle of the fast model.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Bundle of the better model.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="Labelled rows.", show_default=False)],
    band: Annotated[
        list[float] | None, typer.Option("--band", help="Abstain band, 0 to 0.5. Repeatable; 0.05 to 0.4 if left out.")
    ] = None,
    at: At = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Where the table goes as JSON.", show_default=False)] = None,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Measure a cascade: rows that the first model is unsure of are answered by the second."""
    with reporting():
        from duobiao.classifier import Classifier
        from duobiao.data.read import read_rows
        from duobiao.evaluate.cascade import BANDS, cascade_table

        system = Classifier.load(first, at)
        rows = read_rows(data, space=system.space, columns=parse_columns(columns), separator=separator)
        _print(cascade_table(system, Classifier.load(second), rows, band or BANDS, json_out=json_out))


def _print(found: dict[str, Any]) -> None:
    table = Table("system", "band", title=f"{found['rows']} rows")
    for head in ("sent", "micro-F1", "macro-F1", "samples-F1", "sent rows right", "rows/s (32)", "speed-up"):
        table.add_column(head, justify="right")
    for line in found["table"]:
        right = [line["first_right"], line["second_right"]]
        cells = [f"{line['sent']:.1%}", *(f"{line[key] or 0:.4f}" for key in ("micro_f1", "macro_f1", "samples_f1"))]
        cells.append("-" if None in right else f"{right[0]:.3f} > {right[1]:.3f}")
        band = "-" if line["band"] is None else f"{line['band']:g}"
        table.add_row(line["name"], band, *cells, f"{line['rows_per_s']['32']:,.0f}", f"{line['speedup']:.1f}x")
    console().print(table)
