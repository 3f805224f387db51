"""Predictions for a whole file: rows in, one JSON line a row out, in input order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from duobiao import progress
from duobiao.answer import AnswerForm, Predictor
from duobiao.data.rows import Row, model_inputs, numeric_columns
from duobiao.data.write import write_text
from duobiao.errors import DataError
from duobiao.outputs import check_outputs
from duobiao.routing.routes import Routes

CHUNK = 2048


def predict_rows(predictor: Predictor, rows: Sequence[Row], routes: Routes | None = None) -> Iterator[dict[str, Any]]:
    """Answers of the form ``{"id", "labels", "scores"}``, one a row, in order.

    Further keys come only with what they tell of: ``depth`` with early exits, ``review`` and ``unsure`` (the decisions that
    lie in it) with an abstain band, ``sent`` with a cascade, whose ``review`` is that of the second model, and ``next`` with
    routes.
    """
    numeric_columns(rows, predictor.columns)  # all that is wrong is told before the first answer
    form = AnswerForm.of(predictor, routes)
    with progress.task(f"predict with {predictor.name}", len(rows)) as task:
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            found = predictor.predict(**model_inputs(part, predictor.columns))
            for row, prediction in zip(part, found, strict=True):
                yield {"id": row.id, **form.fields(prediction, row.context, prediction.scores)}
            task.advance(len(part))


def predict_file(predictor: Predictor, rows: Sequence[Row], output: str | Path, routes: Routes | None = None) -> int:
    """Writes answers as JSONL, beside the place and renamed at the end; ``-`` is standard output.

    Returns:
        The number of rows.

    Raises:
        DataError: If the output is no JSONL file or cannot be written.
    """
    lines = (json.dumps(answer, ensure_ascii=False) + "\n" for answer in predict_rows(predictor, rows, routes))
    if str(output) == "-":
        for line in lines:
            sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
        return len(rows)
    check_output(Path(output))
    write_text(output, lines)
    return len(rows)


def check_output(path: Path, *sources: str | Path | None) -> None:
    """Refuses an output that is not JSONL, would replace what is read, or cannot be written, before any work is done.

    Raises:
        DataError: Naming the output.
    """
    if str(path) == "-":
        return
    if path.suffix.lower() not in (".jsonl", ".ndjson") or path.is_dir():
        raise DataError(f"{path}: predictions are written as JSONL", hint="name a file ending in .jsonl, or - for a pipe")
    check_outputs([("--output", path)], sources)
