"""The command line: each command parses, calls one library function, prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from duobiao import __version__, progress
from duobiao.errors import DuobiaoError

app = typer.Typer(
    help="Chinese multi-label text classification: train a teacher, distil it, prove it, use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

BundlePath = Annotated[Path, typer.Argument(help="Folder that train or distil wrote.", show_default=False)]
Columns = Annotated[
    str, typer.Option("--columns", help="Own column names: text=内容,labels=标签,context=节点.", show_default=False)
]
Separator = Annotated[
    str | None, typer.Option("--separator", help="What parts labels in a cell; any of , ; | 、 by default.", show_default=False)
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: a.b=value. Repeatable.")]
Force = Annotated[bool, typer.Option("--force", help="Begin anew, even if finished or interrupted before.")]
Config = Annotated[str, typer.Option("--config", help="YAML file, or the name of a shipped configuration.", show_default=False)]
Train = Annotated[Path, typer.Option("--train", help="Labelled rows to learn from.", show_default=False)]
Dev = Annotated[
    Path | None,
    typer.Option(
        "--dev", help="Labelled rows for thresholds and the best epoch; a tenth of --train if left out.", show_default=False
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Where the bundle goes.", show_default=False)]


@contextmanager
def _reporting() -> Iterator[None]:
    """Progress on standard error; errors that a user can mend end with exit status 2."""
    try:
        with progress.use(progress.Console()):
            yield
    except DuobiaoError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command goes on from the last checkpoint", err=True)
        raise typer.Exit(130) from None


def _columns(text: str) -> dict[str, str]:
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    return {field.strip(): column.strip() for field, _, column in parts}


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
    with _reporting():
        from duobiao.config import load_config
        from duobiao.data.load import load_splits
        from duobiao.train import recipe

        settings = load_config(config, overrides or [])
        splits = load_splits(train, dev, labels, columns=_columns(columns), separator=separator, write_to=out)
        recipe.train(settings, splits.train, splits.dev, splits.space, out, force=force)
        _print_bundle(out)


@app.command(
    epilog="Example: duobiao distil --teacher runs/teacher --config bigru-a --train train.jsonl --dev dev.jsonl "
    "--out runs/bigru-a"
)
def distil(
    teacher: Annotated[Path, typer.Option("--teacher", help="The teacher's bundle.", show_default=False)],
    config: Config,
    train: Train,
    out: Out,
    dev: Dev = None,
    transfer: Annotated[
        Path | None, typer.Option("--transfer", help="Rows that only the teacher labels.", show_default=False)
    ] = None,
    no_teacher: Annotated[bool, typer.Option("--no-teacher", help="Train the control: same student, labels only.")] = False,
    overrides: Overrides = None,
    columns: Columns = "",
    separator: Separator = None,
    force: Force = False,
) -> None:
    """Distil a teacher into a small student."""
    with _reporting():
        from duobiao.classifier import Classifier
        from duobiao.config import load_config
        from duobiao.data.load import load_splits
        from duobiao.data.read import read_rows
        from duobiao.train import recipe

        settings = load_config(config, overrides or [])
        loaded = Classifier.load(teacher)
        mapping = _columns(columns)
        splits = load_splits(train, dev, loaded.space, columns=mapping, separator=separator)
        names = {field: name for field, name in mapping.items() if field in ("text", "context", "id")}
        extra = read_rows(transfer, columns=names, separator=separator) if transfer else ()
        recipe.distil(
            loaded, settings, splits.train, splits.dev, out, transfer=extra, no_teacher=no_teacher, force=force
        )
        _print_bundle(out)


def _print_bundle(out: Path) -> None:
    from duobiao.bundle import read_manifest

    manifest = read_manifest(out)
    found: dict[str, Any] = manifest["metrics"]["dev"]
    shown = {name: found[name] for name in ("micro_f1", "macro_f1", "group_accuracy") if found[name] is not None}
    values = ", ".join(f"{name} {value:.4f}" for name, value in shown.items())
    typer.echo(f"{out}: {manifest['name']}, dev rows {found['rows']}: {values}")


def main() -> None:
    """Entry point of the command ``duobiao``."""
    app()


def _dump(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1)
