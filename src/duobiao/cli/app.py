"""The command line: each command parses, calls one library function, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duobiao import __version__
from duobiao.cli import (
    adapt,
    add_label,
    annotate,
    card,
    cascade,
    check,
    clean,
    compare,
    dial,
    diff,
    distil,
    evaluate,
    export,
    general,
    hub,
    mine,
    prepare,
    routes,
    score,
    serve,
    split,
    suspects,
    tune,
)
from duobiao.cli.options import (
    At,
    Band,
    BundlePath,
    Columns,
    Config,
    Dev,
    Force,
    Lang,
    Out,
    Overrides,
    RoutesPath,
    SecondModel,
    Separator,
    Train,
    config_file,
    is_first_process,
    parse_columns,
    parse_language,
    reporting,
    resumes,
)
from duobiao.cli.show import print_bundle

app = typer.Typer(
    help="Chinese multi-label text classification: train a teacher, distil it, prove it, use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command(epilog="Example: duobiao train --config linear --train train.jsonl --dev dev.jsonl --out runs/linear")
def train(
    config: Config,
    train: Train,
    out: Out,
    dev: Dev = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Label space (YAML); inferred and written out if left out.")
    ] = None,
    overrides: Overrides = None,
    columns: Columns = "",
    separator: Separator = None,
    force: Force = False,
) -> None:
    """Train a teacher, or the linear baseline."""
    with reporting(resumes(force)):
        from duobiao.config import load_config
        from duobiao.data.load import load_splits
        from duobiao.outputs import check_outputs
        from duobiao.train import recipe

        check_outputs(inputs=[train, dev, labels, config_file(config)], folders=[("--out", out)])
        settings = load_config(config, overrides or [])
        splits = load_splits(train, dev, labels, columns=parse_columns(columns), separator=separator, write_to=out)
        recipe.train(settings, splits.train, splits.dev, splits.space, out, force=force)
        if is_first_process():
            print_bundle(out)


distil.register(app)


@app.command(epilog="Example: duobiao predict runs/bigru-a --input calls.xlsx --output answers.jsonl")
def predict(
    bundle: BundlePath,
    input: Annotated[str, typer.Option("--input", help="Rows in any format; - reads JSONL from a pipe.", show_default=False)],
    output: Annotated[str, typer.Option("--output", help="JSONL, a line a row; - writes to a pipe.", show_default=False)],
    at: At = None,
    band: Band = None,
    teacher: SecondModel = None,
    route: RoutesPath = None,
    columns: Columns = "",
) -> None:
    """Label the rows of a file."""
    with reporting():
        from duobiao.answer import load_predictor
        from duobiao.data.read import read_rows
        from duobiao.predict import check_output, predict_file
        from duobiao.routing import load_routes

        check_output(Path(output), input, bundle, teacher, route)
        routes = None if route is None else load_routes(route, bundle)
        rows = read_rows(input, columns=parse_columns(columns), labelled=False)
        count = predict_file(load_predictor(bundle, at=at, band=band, teacher=teacher), rows, output, routes)
        typer.echo(f"{output}: {count} rows", err=True)


evaluate.register(app)
compare.register(app)


@app.command(epilog="Example: duobiao demo --out runs/demo")
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of bundles and reports.")] = Path("runs/demo"),
    data: Annotated[str, typer.Option("--data", help="hotline, callback, or all.")] = "all",
    language: Lang = "zh",
    overrides: Overrides = None,
) -> None:
    """Train and compare all systems on the built-in data."""
    with reporting(resumes(False)):
        from duobiao.builtin import DATASETS
        from duobiao.demo import run_demo
        from duobiao.evaluate.compare import check_places

        names = DATASETS if data == "all" else (data,)
        for name in names:
            check_places(out / name)
        found = run_demo(out, datasets=names, language=parse_language(language), overrides=overrides or [])
        for name, systems in found.items():
            compare.print_table(systems, out / name, name, language=language)


for _topic in (
    prepare,
    clean,
    check,
    split,
    annotate,
    suspects,
    mine,
    general,
    adapt,
    dial,
    score,
    tune,
    cascade,
    diff,
    add_label,
    routes,
    serve,
    export,
    card,
    hub,
):
    _topic.register(app)


def main() -> None:
    """Entry point of the command ``duobiao``."""
    app()
