"""Predictions for a whole file: rows in, one JSON line a row out, in input order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from duobiao import progress
from duobiao.cascade import Cascade
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, model_inputs, numeric_columns
from duobiao.data.write import write_text
from duobiao.errors import DataError
from duobiao.routing.routes import Routes

CHUNK = 2048


def predict_rows(
    classifier: Classifier | Cascade, rows: Sequence[Row], routes: Routes | None = None
) -> Iterator[dict[str, Any]]:
    """Answers of the form ``{"id", "labels", "scores"}``, one a row, in order.

    Further keys come only with what they tell of: ``review`` and ``unsure`` (the decisions that lie in it) with an abstain
    band, ``sent`` with a cascade, whose ``review`` is that of the second model, and ``next`` with routes.
    """
    numeric_columns(rows, classifier.columns)  # all that is wrong is told before the first answer
    cascade = isinstance(classifier, Cascade)
    last = classifier.second if isinstance(classifier, Cascade) else classifier
    bands, name = bool(last.decoder.settings.band), classifier.name
    with progress.task(f"predict with {name}", len(rows)) as task:
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            found = classifier.predict(**model_inputs(part, classifier.columns))
            for row, prediction in zip(part, found, strict=True):
                answer: dict[str, Any] = {"id": row.id, "labels": prediction.labels, "scores": prediction.scores}
                if bands:
                    answer |= {"review": prediction.review, "unsure": list(prediction.unsure)}
                if cascade:
                    answer["sent"] = prediction.sent
                if routes is not None:
                    answer["next"] = routes.next(row.context, prediction.labels, unsure=prediction.review)
                yield answer
            task.advance(len(part))


def predict_file(
    classifier: Classifier | Cascade, rows: Sequence[Row], output: str | Path, routes: Routes | None = None
) -> int:
    """Writes answers as JSONL, beside the place and renamed at the end; ``-`` is standard output.

    Returns:
        The number of rows.

    Raises:
        DataError: If the output is no JSONL file or cannot be written.
    """
    lines = (json.dumps(answer, ensure_ascii=False) + "\n" for answer in predict_rows(classifier, rows, routes))
    if str(output) == "-":
        for line in lines:
            sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
        return len(rows)
    check_output(Path(output))
    write_text(output, lines)
    return len(rows)


def load_predictor(
    bundle: str | Path, *, at: str | None = None, band: float | None = None, teacher: str | Path | None = None
) -> Classifier | Cascade:
    """A bundle at an operating point, or a cascade of two.

    Args:
        bundle: The folder.
        at: The operating point; the bundle's default one if left out.
        band: Its abstain band; that of the operating point if left out.
        teacher: A bundle that answers the rows that lie in the band, at its own default point.

    Raises:
        BundleError: If a bundle cannot be read, or the two do not fit.
        ConfigError: If there is no such point or band.
    """
    first = Classifier.load(bundle, at)
    first = first if band is None else first.with_band(band)
    return first if teacher is None else Cascade(first, Classifier.load(teacher))


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
