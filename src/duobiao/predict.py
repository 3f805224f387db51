"""Predictions for a whole file: rows in, one JSON line a row out, in input order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from duobiao import progress
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, model_inputs, numeric_columns
from duobiao.data.write import write_text
from duobiao.errors import DataError

CHUNK = 2048


def predict_rows(classifier: Classifier, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Answers of the form ``{"id", "labels", "scores"}``, one a row, in order.

    Where the operating point has an abstain band, also ``review``, and ``unsure``, the decisions that lie in it.
    """
    bands = bool(classifier.decoder.settings.band)
    numeric_columns(rows, classifier.columns)  # all that is wrong is told before the first answer
    with progress.task(f"predict with {classifier.bundle.name}", len(rows)) as task:
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            found = classifier.predict(**model_inputs(part, classifier.columns))
            for row, prediction in zip(part, found, strict=True):
                answer = {"id": row.id, "labels": prediction.labels, "scores": prediction.scores}
                yield {**answer, "review": prediction.review, "unsure": list(prediction.unsure)} if bands else answer
            task.advance(len(part))


def predict_file(classifier: Classifier, rows: Sequence[Row], output: str | Path) -> int:
    """Writes answers as JSONL, beside the place and renamed at the end; ``-`` is standard output.

    Returns:
        The number of rows.

    Raises:
        DataError: If the output is no JSONL file or cannot be written.
    """
    lines = (json.dumps(answer, ensure_ascii=False) + "\n" for answer in predict_rows(classifier, rows))
    if str(output) == "-":
        for line in lines:
            sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
        return len(rows)
    check_output(Path(output))
    write_text(output, lines)
    return len(rows)


def check_output(path: Path, source: str | Path = "-") -> None:
    """Refuses an output that is not JSONL, or that would replace the input, before any work is done.

    Raises:
        DataError: Naming the output.
    """
    if str(path) == "-":
        return
    if path.suffix.lower() not in (".jsonl", ".ndjson") or path.is_dir():
        raise DataError(f"{path}: predictions are written as JSONL", hint="name a file ending in .jsonl, or - for a pipe")
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise DataError(f"{path}: is the input itself", hint="name another --output")
