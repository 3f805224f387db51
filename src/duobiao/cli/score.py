"""``duobiao score``: millions of rows, from files to files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from duobiao.cli.options import (
    At,
    Band,
    BundlePath,
    Columns,
    Force,
    RoutesPath,
    SecondModel,
    parse_columns,
    reporting,
    resumes,
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao score runs/bigru-a --input 'calls/*.parquet' --output scored")(score)


def score(
    bundle: BundlePath,
    input: Annotated[
        list[str],
        typer.Option("--input", help="File, glob or folder of JSONL, CSV, TSV, Parquet. Repeatable.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", help="Folder of part files, or one file: .parquet or .jsonl.", show_default=False)
    ],
    format: Annotated[
        str, typer.Option("--format", help="Of a folder's files: parquet (default) or jsonl.", show_default=False)
    ] = "",
    at: At = None,
    band: Band = None,
    teacher: SecondModel = None,
    route: RoutesPath = None,
    scores: Annotated[str, typer.Option("--scores", help="Probabilities to write: all, chosen or none.")] = "all",
    keep: Annotated[str, typer.Option("--keep", help="Columns to pass on: a,b; or all.", show_default=False)] = "",
    columns: Columns = "",
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; one a core if left out.", min=1, show_default=False)
    ] = None,
    part_rows: Annotated[int, typer.Option("--part-rows", help="Rows that a worker takes at once.", min=1)] = 512,
    engine: Annotated[str, typer.Option("--engine", help="local, or ray for several machines.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option("--ray-address", help="Ray cluster: auto, or HOST:6379.", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with status 1 if there were bad rows.")] = False,
    force: Force = False,
) -> None:
    """Label millions of rows: all cores, flat memory; the same command goes on after a kill."""
    with reporting(resumes(force, "where it stopped")):
        from duobiao.score.places import bad_file
        from duobiao.score.run import score as run

        names = tuple(name.strip() for name in keep.split(",") if name.strip())
        settings = {
            "at": at,
            "band": band,
            "scores": scores,
            "keep": "all" if names == ("all",) else names,
            "columns": parse_columns(columns),
            "part_rows": part_rows,
        }
        found = run(
            bundle,
            input,
            output,
            settings,
            format=cast(Literal["parquet", "jsonl"], format) if format else None,
            workers=workers,
            teacher=teacher,
            route=route,
            engine=cast(Literal["local", "ray"], engine),
            ray_address=ray_address,
            force=force,
        )
        typer.echo(f"{output}: {found.rows} rows", err=True)
        if found.bad:
            bad = bad_file(output)
            typer.echo(f"{bad}: {found.bad} bad rows, with reasons", err=True)
            if strict:
                raise typer.Exit(1)
