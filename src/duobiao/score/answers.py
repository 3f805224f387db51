"""Answers as bytes of a file, JSON lines or Parquet; and many such files as one."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from duobiao.answer import FIELDS
from duobiao.data.files import ending_of
from duobiao.data.parquet_rows import parquet_types
from duobiao.data.read import cell_text
from duobiao.data.stream import PARQUET
from duobiao.data.write_rows import json_text
from duobiao.errors import MissingExtraError
from duobiao.score.job import Job

GROUP_ROWS = 1 << 16
"""Rows of a row group, where parts become one Parquet file."""
_OWN = ("id", *FIELDS)


def output_name(column: str, taken: Iterable[str]) -> str:
    """The name of a kept column in the answers: one that has the name of an answer's field is written as ``NAME_``."""
    name, others = column, {*_OWN, *(other for other in taken if other != column)}
    while name in others:
        name += "_"
    return name


def to_json_lines(answers: Iterable[Mapping[str, Any]]) -> bytes:
    """A line an answer; half a character, which UTF-8 does not have, becomes its JSON escape."""
    return "".join(json_text(answer) + "\n" for answer in answers).encode("utf-8", "backslashreplace")


def schema_of(job: Job, names: Iterable[str] = ()) -> Any:
    """The Arrow schema of the answers.

    Args:
        job: The run.
        names: The fields that answers have, of ``FIELDS``.

    Kept columns have the type that they have in the inputs, if these are all Parquet and agree; else they are text.

    Raises:
        MissingExtraError: If ``pyarrow`` is not installed.
    """
    pyarrow = _pyarrow()
    text, truth = pyarrow.string(), pyarrow.bool_()
    types = {"labels": pyarrow.list_(text), "scores": pyarrow.map_(text, pyarrow.float64()), "depth": pyarrow.int64()}
    types |= {"review": truth, "unsure": pyarrow.list_(text), "sent": truth, "next": text}
    fields = [("id", text), *((name, types[name]) for name in names)]
    if job.settings.scores == "none":
        fields = [one for one in fields if one[0] != "scores"]
    kept = job.kept or []
    typed = [parquet_types(form.path) if ending_of(form.path) == PARQUET else {} for form in job.forms] if kept else []
    for column in kept:
        kinds = {one.get(column) for one in typed}
        kind = kinds.pop() if len(kinds) == 1 else None
        fields.append((output_name(column, kept), kind or text))
    return pyarrow.schema(fields)


def to_parquet(answers: Sequence[Mapping[str, Any]], schema: Any) -> bytes:
    """A Parquet file with these answers."""
    pyarrow = _pyarrow()
    columns = [pyarrow.array([_cell(answer.get(one.name), one.type) for answer in answers], one.type) for one in schema]
    place = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(columns, schema=schema), place)
    return place.getvalue()


def _cell(value: Any, kind: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if str(kind) not in ("string", "large_string"):
        return list(value.items()) if isinstance(value, dict) and str(kind).startswith("map") else value
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()
    return None if value is None else cell_text(value)


def join_json_lines(files: Sequence[Path], place: Path) -> None:
    """Writes the lines of all files into one, block by block."""
    with place.open("wb") as out:
        for file in files:
            with file.open("rb") as part:
                shutil.copyfileobj(part, out, 1 << 20)


def join_parquet(files: Sequence[Path], place: Path) -> None:
    """Writes the rows of all files, which have one schema, into one, row group by row group."""
    pyarrow = _pyarrow()
    writer, waiting, rows = None, list[Any](), 0
    try:
        for number, file in enumerate(files, 1):
            table = pyarrow.parquet.read_table(file, partitioning=None, use_threads=False)
            writer = writer or pyarrow.parquet.ParquetWriter(place, table.schema)
            waiting.append(table)
            rows += table.num_rows
            if rows >= GROUP_ROWS or number == len(files):
                writer.write_table(pyarrow.concat_tables(waiting), row_group_size=GROUP_ROWS)
                waiting, rows = [], 0
    finally:
        if writer is not None:
            writer.close()


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "tables") from error
    return pyarrow
