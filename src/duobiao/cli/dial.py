"""``duobiao dial``: how early the rows of a FastBERT bundle leave, in the user's own terms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from duobiao.cli.options import BundlePath, Columns, Lang, Separator, parse_columns, parse_language, reporting
from duobiao.cli.show import console


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: duobiao dial runs/fastbert --data dev.jsonl --lose-at-most 0.5 --picture runs/curve.svg", name="dial"
    )(dial)


def dial(
    bundle: BundlePath,
    data: Annotated[Path, typer.Option("--data", help="Labelled dev rows.", show_default=False)],
    lose_at_most: Annotated[
        float | None, typer.Option("--lose-at-most", help="Macro-F1 points that may be lost.", show_default=False)
    ] = None,
    p95_ms: Annotated[
        float | None, typer.Option("--p95-ms", help="Milliseconds for 95 of 100 single rows.", show_default=False)
    ] = None,
    speed: Annotated[float | None, typer.Option("--speed", help="The dial itself, 0 to 1.", show_default=False)] = None,
    criterion: Annotated[
        str, typer.Option("--criterion", help="margin or entropy; that of the bundle if left out.", show_default=False)
    ] = "",
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Curve of quality against time (.svg).", show_default=False)
    ] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Where the table goes as JSON.", show_default=False)] = None,
    language: Lang = "zh",
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Set how early rows leave a FastBERT bundle; measured on dev rows and stored in the bundle."""
    with reporting():
        from duobiao.bundle import read_bundle
        from duobiao.data.read import read_rows
        from duobiao.evaluate.dial import Aim
        from duobiao.evaluate.dial import dial as run
        from duobiao.outputs import check_outputs
        from duobiao.postprocess.leaving import Criterion

        aim = Aim(lose_at_most, p95_ms, speed)
        tongue = parse_language(language)
        check_outputs([("--picture", picture), ("--json", json_out)], [bundle, data])
        space = read_bundle(bundle).space
        rows = read_rows(data, space=space, columns=parse_columns(columns), separator=separator)
        chosen = cast(Criterion, criterion) if criterion else None
        found = run(bundle, rows, aim, criterion=chosen, picture=picture, json_out=json_out, language=tongue)
        _print(found, bundle)


def _print(found: dict[str, Any], bundle: Path) -> None:
    table = Table("speed", title=f"{bundle}: {found['chosen']['criterion']}")
    for head in ("macro-F1", "lost", "layers", "FLOPs gain", "p50 ms (1)", "p95 ms (1)", "gain (1)", "gain (32)", ""):
        table.add_column(head, justify="right")
    for one in found["table"]:
        mark = "<-" if one == found["chosen"] else "" if one["offered"] else "not offered"
        cells = [f"{one['macro_f1']:.4f}", f"{one['lost']:.2f}", f"{one['layers']:.0%}", f"{one['flops_gain']:.2f}x"]
        cells += [f"{one['p50_ms']['1']:.1f}", f"{one['p95_ms']['1']:.1f}"]
        cells += [f"{one['speedups'][size]:.2f}x" for size in ("1", "32")]
        table.add_row(f"{one['speed']:g}", *cells, mark)
    console().print(table)
    chosen = found["chosen"]
    typer.echo(f"{bundle}: {found['aim']} -> {chosen['criterion']} {chosen['speed']:g}, stored in the bundle")
