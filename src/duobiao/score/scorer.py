"""Scores parts, one after another: what every worker of every engine does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao.classifier import Classifier, Prediction
from duobiao.data.read import RowParser, cell_text, column_of_fields
from duobiao.data.rows import Row, model_inputs, numeric_columns
from duobiao.data.stream import Item, StretchReader
from duobiao.data.write_rows import json_text
from duobiao.errors import BundleError, DataError
from duobiao.score.answers import output_name, schema_of, to_json_lines, to_parquet
from duobiao.score.job import Job, Part, Scored

Depths = npt.NDArray[np.int64] | None
Bad = dict[str, Any]


class Scorer:
    """A loaded bundle, and what is to be written of its answers.

    Args:
        job: The scoring run.

    Raises:
        BundleError: If the bundle is not the one that the run began with.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.classifier = Classifier.load(job.bundle)
        if self.classifier.bundle.digest != job.digest:
            raise BundleError(f"{job.bundle}: has changed since the run began", hint="begin anew with --force")
        if hasattr(self.classifier.backend, "logits_and_depths"):
            self.classifier.backend = OnePass(self.classifier.backend, self.classifier.backend.parameters)
        self.has_depth = hasattr(self.classifier.backend, "depths")
        self.column = column_of_fields(job.settings.columns, labelled=False)
        used = None if job.kept is None else {*self.column.values(), *self.classifier.columns, *job.kept}
        self.reader = StretchReader(None if used is None else sorted(used))
        self.schema = schema_of(job, self.has_depth) if job.settings.format == "parquet" else None

    def score(self, part: Part) -> Scored:
        """Reads, answers and encodes a part; the same part gives the same bytes, whoever scores it.

        Raises:
            DataError: If the file cannot be read.
        """
        form = self.job.forms[part.file]
        rows, kept, bad = self._rows(form.path, self.reader.items(form, part.stretch))
        predictions, depths, failed = self._predict(rows)
        answers = []
        for number, own in enumerate(kept):
            if number in failed:
                bad.append(_bad(form.path, own, failed[number]))
            else:
                depth = None if depths is None else int(depths[number])
                name = cell_text((own.record or {}).get(self.column["id"])) or f"{form.path}:{own.number}"
                answers.append(self._answer(name, predictions[number], depth, own.record or {}))
        bad.sort(key=lambda one: int(one["row"]))
        data = to_json_lines(answers) if self.schema is None else to_parquet(answers, self.schema)
        refused = "".join(json_text(one) + "\n" for one in bad).encode("utf-8", "backslashreplace")
        return Scored(part.number, len(answers), len(bad), data, refused)

    def _rows(self, path: Path, items: Any) -> tuple[list[Row], list[Item], list[Bad]]:
        """Sound rows with the items that they come from, and the bad ones."""
        rows, kept, bad = list[Row](), list[Item](), list[Bad]()
        problems: list[str] = []
        parser = RowParser(str(path), self.column, (), None, None, problems)
        for item in items:
            if item.record is None:
                bad.append(_bad(path, item, item.problem))
                continue
            problems.clear()
            row = parser.row(item.number, item.record)
            found = problems or self._unfit(row)
            if found:
                prefix = f"{row.source}: "
                bad.append(_bad(path, item, "; ".join(problem.removeprefix(prefix) for problem in found)))
            else:
                rows.append(row)
                kept.append(item)
        return rows, kept, bad

    def _unfit(self, row: Row) -> Sequence[str]:
        if not row.text.strip():
            return ["the text is empty"]
        if not self.classifier.columns:
            return ()
        try:
            numeric_columns([row], self.classifier.columns)
        except DataError as error:
            return error.problems
        return ()

    def _predict(self, rows: Sequence[Row]) -> tuple[list[Prediction], Depths, dict[int, str]]:
        """Answers; where a model cannot read a row, all are asked one by one, and that row is told with the reason.

        A fault that every row has is no fault of a row, and is raised.
        """
        try:
            return *self._asked(rows), {}
        except Exception:
            found: list[tuple[list[Prediction], Depths]] = []
            failed: dict[int, str] = {}
            nothing = Prediction([], {})
            for number, row in enumerate(rows):
                try:
                    found.append(self._asked([row]))
                except Exception as error:
                    failed[number] = f"the model cannot read it: {error}"
                    found.append(([nothing], np.zeros(1, dtype=np.int64)))
            if len(failed) == len(rows):
                raise
            depths = [one[1] for one in found]
            whole = np.concatenate([depth for depth in depths if depth is not None]) if self.has_depth else None
            return [one[0][0] for one in found], whole, failed

    def _asked(self, rows: Sequence[Row]) -> tuple[list[Prediction], Depths]:
        if not rows:
            return [], None
        given = model_inputs(rows, self.classifier.columns)
        predictions = self.classifier.predict(**given)
        return predictions, self.classifier.depths(**given) if self.has_depth else None

    def _answer(self, name: str, found: Prediction, depth: int | None, record: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"id": name, "labels": found.labels}
        if self.job.settings.scores == "all":
            answer["scores"] = found.scores
        elif self.job.settings.scores == "chosen":
            answer["scores"] = {name: found.scores[name] for name in found.labels}
        if depth is not None:
            answer["depth"] = depth
        names = self.job.kept
        if names is None:
            names = [str(name) for name in record if name != self.column["id"]]
        return answer | {output_name(name, names): record.get(name) for name in names}


@dataclass
class OnePass:
    """A backend with early exits that answers twice from one pass: with the logits, then with the depths of the same rows.

    Attributes:
        backend: The model.
        parameters: Of the model.
    """

    backend: Any
    parameters: int
    _depths: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def logits(
        self, pairs: Sequence[tuple[str, str | None]], label: str = "", features: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32]
        found, self._depths = self.backend.logits_and_depths(pairs, features)
        return found

    def depths(
        self, pairs: Sequence[tuple[str, str | None]], features: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.int64]:
        return self._depths


def _bad(path: Path, item: Item, reason: str) -> Bad:
    raw = item.raw or json_text(item.record)
    return {"file": str(path), "row": item.number, "reason": reason, "raw": raw}
