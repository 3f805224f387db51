"""Options, error handling and parsing that all commands share."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from duobiao import progress
from duobiao.errors import ConfigError, DuobiaoError, MissingExtraError

BundlePath = Annotated[Path, typer.Argument(help="Folder that train or distil wrote.", show_default=False)]
Columns = Annotated[
    str, typer.Option("--columns", help="Own column names: text=内容,labels=标签,context=节点.", show_default=False)
]
Separator = Annotated[
    str | None, typer.Option("--separator", help="What parts labels in a cell; any of , ; | 、 by default.", show_default=False)
]
SeenRows = Annotated[
    Path | None, typer.Option("--train", help="Training rows: adds the score on unseen text.", show_default=False)
]
Slices = Annotated[
    list[str] | None,
    typer.Option("--slice", help="Column to slice by, beside length and node: a source, a date. Repeatable."),
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
At = Annotated[str | None, typer.Option("--at", help="Operating point; the bundle's first if left out.", show_default=False)]
Band = Annotated[
    float | None,
    typer.Option("--band", help="Abstain band, 0 to 0.5: rows near a threshold go to review.", show_default=False),
]
SecondModel = Annotated[
    Path | None, typer.Option("--teacher", help="Bundle that answers the rows in the abstain band.", show_default=False)
]
RoutesPath = Annotated[Path | None, typer.Option("--route", help="Routes (YAML): answers get 'next'.", show_default=False)]

_EXTRAS = {
    "onnx": "export",
    **dict.fromkeys(("accelerate", "torch", "transformers", "huggingface_hub"), "train"),
    **dict.fromkeys(("fastapi", "prometheus_client", "starlette", "uvicorn"), "serve"),
}


def is_first_process() -> bool:
    """Whether this process is the one that speaks, among those that ``accelerate launch`` started."""
    return os.environ.get("RANK", "0") == "0"


def resumes(force: bool, where: str = "from the last checkpoint") -> str:
    """What an interrupt is told of going on: with ``--force`` the same command would begin anew."""
    return f"; the same command{' without --force' if force else ''} goes on {where}"


@contextmanager
def reporting(after_interrupt: str = "") -> Iterator[None]:
    """Progress on standard error; errors that a user can mend end with exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a character that the terminal lacks is written as its escape
    try:
        with progress.use(progress.Console() if is_first_process() else progress.SILENT):
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


def config_file(config: str | None) -> Path | None:
    """The file that ``--config`` names; None for a shipped configuration, whatever here has the same name."""
    return Path(config) if config and Path(config).is_file() else None


def parse_columns(text: str) -> dict[str, str]:
    """``text=内容,labels=标签`` as a mapping."""
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    return {field.strip(): column.strip() for field, _, column in parts}


def parse_language(text: str) -> Literal["zh", "en"]:
    """Checks ``--lang``.

    Raises:
        ConfigError: If reports are not written in that language.
    """
    if text not in ("zh", "en"):
        raise ConfigError(f"--lang {text!r}: no such language", hint="zh or en")
    return "zh" if text == "zh" else "en"


def parse_share(option: str, text: str | None) -> float | None:
    """``98%`` or ``0.98`` as a number.

    Raises:
        ConfigError: If it is neither.
    """
    if text is None:
        return None
    bare = text.strip()
    try:
        return float(bare.removesuffix("%")) / (100 if bare.endswith("%") else 1)
    except ValueError as error:
        raise ConfigError(f"{option} {text!r}: no such share", hint=f"write {option} 98% or {option} 0.98") from error


def parse_seeds(text: str | None) -> list[int] | None:
    """``0,1,2`` as numbers.

    Raises:
        ConfigError: If it is no such list.
    """
    if text is None:
        return None
    from duobiao.config.base import LARGEST_SEED

    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) <= LARGEST_SEED for part in parts):
        raise ConfigError(f"--seeds {text!r}: not a list of whole numbers below 2^32", hint="write --seeds 0,1,2")
    return [int(part) for part in parts]


def texts_only(mapping: dict[str, str]) -> dict[str, str]:
    """The column names without those of labels, for files whose labels are not read."""
    return {field: name for field, name in mapping.items() if field in ("text", "context", "id", "group_id")}
