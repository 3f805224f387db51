"""The command line: each command parses, calls one library function, prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from duobiao import __version__, progress
from duobiao.cli.show import print_bundle, print_scores, print_table
from duobiao.errors import ConfigError, DuobiaoError, MissingExtraError

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
Lang = Annotated[str, typer.Option("--lang", help="Language of the report: zh or en.")]
Out = Annotated[Path, typer.Option("--out", help="Where the bundle goes.", show_default=False)]


_EXTRAS = {"accelerate": "train", "torch": "train", "transformers": "train", "huggingface_hub": "train"}
RESUMES = "; the same command goes on from the last checkpoint"


@contextmanager
def _reporting(after_interrupt: str = "") -> Iterator[None]:
    """Progress on standard error; errors that a user can mend end with exit status 2."""
    try:
        with progress.use(progress.Console()):
            yield
    except DuobiaoError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    except ModuleNotFoundError as error:
        missing = _EXTRAS.get((error.name or "").partition(".")[0])
        if missing is None:
            raise
        typer.echo(f"error: {MissingExtraError(str(error.name), missing)}", err=True)
        raise typer.Exit(2) from error
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(f"interrupted{after_interrupt}", err=True)
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
    with _reporting(RESUMES):
        from duobiao.config import load_config
        from duobiao.data.load import load_splits
        from duobiao.train import recipe

        settings = load_config(config, overrides or [])
        splits = load_splits(train, dev, labels, columns=_columns(columns), separator=separator, write_to=out)
        recipe.train(settings, splits.train, splits.dev, splits.space, out, force=force)
        print_bundle(out)


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
    with _reporting(RESUMES):
        from duobiao.classifier import Classifier
        from duobiao.config import load_config
        from duobiao.data.load import load_splits
        from duobiao.data.read import read_rows
        from duobiao.train import recipe

        settings = load_config(config, overrides or [])
        loaded = Classifier.load(teacher)
        mapping = _columns(columns)
        splits = load_splits(train, dev, loaded.space, columns=mapping, separator=separator)
        extra = read_rows(transfer, columns=_texts_only(mapping), labelled=False) if transfer else ()
        recipe.distil(loaded, settings, splits.train, splits.dev, out, transfer=extra, no_teacher=no_teacher, force=force)
        print_bundle(out)


@app.command(epilog="Example: duobiao predict runs/bigru-a --input calls.xlsx --output answers.jsonl")
def predict(
    bundle: BundlePath,
    input: Annotated[str, typer.Option("--input", help="Rows in any format; - reads JSONL from a pipe.", show_default=False)],
    output: Annotated[str, typer.Option("--output", help="JSONL, a line a row; - writes to a pipe.", show_default=False)],
    columns: Columns = "",
) -> None:
    """Label the rows of a file."""
    with _reporting():
        from duobiao.classifier import Classifier
        from duobiao.data.read import read_rows
        from duobiao.predict import check_output, predict_file

        check_output(Path(output), input)
        rows = read_rows(input, columns=_columns(columns), labelled=False)
        count = predict_file(Classifier.load(bundle), rows, output)
        typer.echo(f"{output}: {count} rows", err=True)


@app.command(epilog="Example: duobiao evaluate runs/bigru-a --data test.jsonl --train train.jsonl --json scores.json")
def evaluate(
    bundle: BundlePath,
    data: Annotated[Path, typer.Option("--data", help="Labelled rows.", show_default=False)],
    train: Annotated[
        Path | None, typer.Option("--train", help="Training rows: adds the score on unseen text.", show_default=False)
    ] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Where all metrics go as JSON.", show_default=False)] = None,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Score a bundle on labelled rows."""
    with _reporting():
        from duobiao.classifier import Classifier
        from duobiao.data.read import read_rows
        from duobiao.data.write import write_text
        from duobiao.evaluate.evaluation import evaluate as run

        loaded = Classifier.load(bundle)
        mapping = _columns(columns)
        rows = read_rows(data, space=loaded.space, columns=mapping, separator=separator)
        seen = read_rows(train, columns=_texts_only(mapping), labelled=False) if train else None
        found = run(loaded, rows, seen)
        if json_out is not None:
            write_text(json_out, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        print_scores(found)


@app.command(epilog="Example: duobiao compare runs/linear runs/teacher runs/bigru-a --data test.jsonl --out runs/report")
def compare(
    bundles: Annotated[list[Path], typer.Argument(help="Folders of bundles.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="Labelled rows.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder of compare.json, compare.md, report.html.", show_default=False)],
    train: Annotated[
        Path | None, typer.Option("--train", help="Training rows: adds the score on unseen text.", show_default=False)
    ] = None,
    language: Lang = "zh",
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Measure bundles side by side: quality, size, speed."""
    with _reporting():
        from duobiao.bundle import read_bundle
        from duobiao.data.read import read_rows
        from duobiao.evaluate.compare import compare as run

        mapping = _columns(columns)
        space = read_bundle(bundles[0]).space
        rows = read_rows(data, space=space, columns=mapping, separator=separator)
        seen = read_rows(train, columns=_texts_only(mapping), labelled=False) if train else None
        print_table(run(bundles, rows, out, train=seen, language=_language(language)), out)


@app.command(epilog="Example: duobiao demo --out runs/demo")
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of bundles and reports.")] = Path("runs/demo"),
    data: Annotated[str, typer.Option("--data", help="hotline, callback, or all.")] = "all",
    language: Lang = "zh",
    overrides: Overrides = None,
) -> None:
    """Train and compare all systems on the built-in data."""
    with _reporting(RESUMES):
        from duobiao.builtin import DATASETS
        from duobiao.demo import run_demo

        names = DATASETS if data == "all" else (data,)
        found = run_demo(out, datasets=names, language=_language(language), overrides=overrides or [])
        for name, systems in found.items():
            print_table(systems, out / name, name)


def _language(text: str) -> Literal["zh", "en"]:
    if text not in ("zh", "en"):
        raise ConfigError(f"--lang {text!r}: no such language", hint="zh or en")
    return "zh" if text == "zh" else "en"


def _texts_only(mapping: dict[str, str]) -> dict[str, str]:
    return {field: name for field, name in mapping.items() if field in ("text", "context", "id", "group_id")}


def main() -> None:
    """Entry point of the command ``duobiao``."""
    app()
