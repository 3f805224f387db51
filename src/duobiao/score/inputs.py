"""Which files are scored, and whether they are still the same."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Any

from duobiao.data.files import ending_of
from duobiao.data.parquet_rows import parquet_types
from duobiao.data.read import missing_columns
from duobiao.data.stream import PARQUET, STREAMED, TABLES, Form, form_of
from duobiao.errors import DataError, DuobiaoError
from duobiao.score.settings import ScoreSettings


def files_of(inputs: Sequence[str | Path]) -> list[Path]:
    """Files, globs and folders as files, each once: in the order given, those of a glob or folder by name.

    In folders, files of other formats are passed over, and so are names that begin with ``.`` or ``_``.

    Raises:
        DataError: Naming every input that stands for no file.
    """
    found: dict[Path, None] = {}
    problems = []
    for given in map(str, inputs):
        path = Path(given)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if _is_input(file.relative_to(path)) and file.is_file())
        elif path.exists():
            files = [path]
        else:
            named = glob(given, recursive=True)  # noqa: PTH207 - patterns of whole paths, absolute ones too
            files = sorted(file for file in map(Path, named) if file.is_file())
        if not files:
            problems.append(f"{given}: " + ("holds no file that can be read" if path.is_dir() else "there is no such file"))
        found.update(dict.fromkeys(files))
    if problems or not found:
        raise DataError(
            "there is nothing to score" if not found else f"{len(problems)} inputs stand for no file",
            hint=f"give files, folders or globs of {', '.join(STREAMED)} (text files also as .gz or .xz)",
            problems=problems,
        )
    return list(found)


def _is_input(path: Path) -> bool:
    return ending_of(path) in STREAMED and not any(part.startswith((".", "_")) for part in path.parts)


def identity_of(files: Sequence[Path]) -> list[list[Any]]:
    """Name, size and time of each file."""
    return [[str(file), status.st_size, status.st_mtime_ns] for file in files for status in [file.stat()]]


def forms_of(files: Sequence[Path], settings: ScoreSettings, numeric: Sequence[str]) -> list[Form]:
    """Looks at every file; columns that tables lack are told before anything is scored.

    Args:
        files: The files.
        settings: Columns, and what is kept.
        numeric: Columns of numbers that the model reads.

    Raises:
        DataError: With every problem of every file.
    """
    forms, problems = list[Form](), list[str]()
    for file in files:
        try:
            form = form_of(file)
        except DataError as error:
            problems += error.problems or (error.message,)
            continue
        forms.append(form)
        if form.ending in (*TABLES, PARQUET):
            problems += missing_columns(str(file), form.columns, settings.columns)
            wanted = [*numeric, *(settings.keep if settings.keep != "all" else ())]
            problems += [f"{file}: there is no column {name!r}" for name in wanted if name not in form.columns]
        if form.ending == PARQUET and not problems:
            text = settings.columns.get("text", "text")
            problems += [f"{file}: column {text!r} holds {kind}, not text" for kind in [_no_text(file, text)] if kind]
    if problems:
        raise DataError(
            f"{len(problems)} problems with the inputs",
            hint="correct them, or name columns with --columns; nothing was scored",
            problems=problems,
        )
    return forms


def _no_text(file: Path, column: str) -> str:
    from pyarrow import types

    kind = parquet_types(file)[column]
    value = kind.value_type if types.is_dictionary(kind) else kind
    return "" if types.is_string(value) or types.is_large_string(value) or types.is_null(value) else str(kind)


def kept_columns(forms: Sequence[Form], settings: ScoreSettings) -> list[str] | None:
    """Columns that are passed on; None where each row passes on all of its own.

    Raises:
        DuobiaoError: If all columns of JSON lines are to go into Parquet, which needs to know them beforehand.
    """
    if settings.keep != "all":
        return list(settings.keep)
    if settings.format == "jsonl":
        return None
    lines = [form.path for form in forms if form.ending not in (*TABLES, PARQUET)]
    if lines:
        raise DuobiaoError(
            f"{lines[0]}: which columns JSON lines have is not known beforehand, so Parquet cannot keep all",
            hint="name them (--keep a,b), or write JSON lines (--format jsonl)",
        )
    own = settings.columns.get("id", "id")
    return [name for name in dict.fromkeys(name for form in forms for name in form.columns) if name != own]
