"""``duobiao tune``: operating points and calibration, fitted on dev rows and stored in the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from duobiao.cli.options import BundlePath, Columns, Lang, Separator, parse_columns, parse_language, reporting
from duobiao.cli.show import console, show_ratio

_SHOWN = 12


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: duobiao tune runs/teacher --data dev.jsonl --point 'careful=precision>=0.9' --picture runs/tune.svg"
    )(tune)


def tune(
    bundle: BundlePath,
    data: Annotated[Path, typer.Option("--data", help="Labelled dev rows.", show_default=False)],
    point: Annotated[
        list[str] | None,
        typer.Option(
            "--point",
            help="NAME=TARGET: micro-f1, macro-f1, samples-f1, precision>=0.9, recall>=0.95:标签, or costs.csv. Repeatable.",
        ),
    ] = None,
    points: Annotated[Path | None, typer.Option("--points", help="The same as YAML.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the tuned bundle goes; rewritten in place if left out.")
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="YAML: parents, forbidden, min_k, max_k, fallback, band, shrink.", show_default=False),
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="One rule: band=0.2. Repeatable.")] = None,
    default: Annotated[
        str | None, typer.Option("--default", help="The point that is used where none is named.", show_default=False)
    ] = None,
    calibrate: Annotated[bool, typer.Option("--calibrate/--no-calibrate", help="Whether to calibrate.")] = True,
    folds: Annotated[int, typer.Option("--folds", help="Parts of the rows for honest scores.")] = 5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the folds.")] = 0,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Reliability before and after (.svg).", show_default=False)
    ] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Where all of it goes as JSON.", show_default=False)] = None,
    language: Lang = "zh",
    columns: Columns = "",
    separator: Separator = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another bundle at --out.")] = False,
) -> None:
    """Calibrate a bundle and tune its operating points on dev rows."""
    with reporting():
        from duobiao.evaluate.tune import tune_file

        found = tune_file(
            bundle,
            data,
            points=point or [],
            points_file=points,
            out=out,
            rules_file=rules,
            overrides=overrides or [],
            default=default,
            calibrate=calibrate,
            folds=folds,
            seed=seed,
            force=force,
            picture=picture,
            json_out=json_out,
            language=parse_language(language),
            columns=parse_columns(columns),
            separator=separator,
        )
        _print(found, out or bundle)


def _print(found: dict[str, Any], place: Path) -> None:
    screen = console()
    calibration = found["calibration"]
    if calibration is not None:
        table = Table("held-out rows", "log-loss", "Brier", "ECE", title="calibration")
        for name in ("before", "after"):
            table.add_row(name, *(f"{calibration[name][key]:.5f}" for key in ("log_loss", "brier", "ece")))
        screen.print(table)
        maps = [line["map"] for line in calibration["decisions"]]
        typer.echo(", ".join(f"{kind} {maps.count(kind)}" for kind in ("temperature", "isotonic", "none")) + " decisions")
        _print_some(calibration["left_off"])
    table = Table(
        "point", "target", title=f"operating points, on {found['rows']} rows, each scored out of {found['folds']} folds"
    )
    for head in ("micro-F1", "macro-F1", "samples-F1", "precision", "recall", "cost a row"):
        table.add_column(head, justify="right")
    for line in found["points"]:
        scores = line["held_out"]
        cells = [show_ratio(scores[key]) for key in ("micro_f1", "macro_f1", "samples_f1")]
        cells += [show_ratio(line["wanted_labels"][key]) for key in ("precision", "recall")]
        cost = line["expected_cost"]
        table.add_row(line["name"], line["target"], *cells, "-" if cost is None else f"{cost['per_row']:.4f}")
    screen.print(table)
    for line in found["points"]:
        _print_some(line["notes"])
    typer.echo(f"{place}: operating points {', '.join(line['name'] for line in found['points'])}")


def _print_some(notes: list[str]) -> None:
    for note in notes[:_SHOWN]:
        typer.echo(f"note: {note}")
    if len(notes) > _SHOWN:
        typer.echo(f"note: ... and {len(notes) - _SHOWN} more (--json has all)")
