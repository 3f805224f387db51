"""Scores parts, one after another: what every worker of every engine does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from duobiao.classifier import Classifier, Prediction
from duobiao.data.read import RowParser, cell_text, column_of_fields
from duobiao.data.rows import Row, model_inputs, numeric_columns
from duobiao.data.stream import Item, StretchReader
from duobiao.data.write_rows import json_text
from duobiao.errors import BundleError, DataError
from duobiao.score.answers import output_name, schema_of, to_json_lines, to_parquet
from duobiao.score.job import Job, Part, Scored

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
        self.column = column_of_fields(job.settings.columns, labelled=False)
        used = None if job.kept is None else {*self.column.values(), *self.classifier.columns, *job.kept}
        self.reader = StretchReader(None if used is None else sorted(used))
        self.schema = schema_of(job, self.classifier.leaves_early) if job.settings.format == "parquet" else None

    def score(self, part: Part) -> Scored:
        """Reads, answers and encodes a part; the same part gives the same bytes, whoever scores it.

        Raises:
            DataError: If the file cannot be read.
        """
        form = self.job.forms[part.file]
        rows, kept, bad = self._rows(form.path, self.reader.items(form, part.stretch))
        predictions, failed = self._predict(rows)
        answers = []
        for number, own in enumerate(kept):
            if number in failed:
                bad.append(_bad(form.path, own, failed[number]))
            else:
                name = cell_text((own.record or {}).get(self.column["id"])) or f"{form.path}:{own.number}"
                answers.append(self._answer(name, predictions[number], own.record or {}))
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

    def _predict(self, rows: Sequence[Row]) -> tuple[list[Prediction], dict[int, str]]:
        """Answers; where a model cannot read a row, all are asked one by one, and that row is told with the reason.

        A fault that every row has is no fault of a row, and is raised.
        """
        try:
            return self._asked(rows), {}
        except Exception:
            found: list[Prediction] = []
            failed: dict[int, str] = {}
            for number, row in enumerate(rows):
                try:
                    found += self._asked([row])
                except Exception as error:
                    failed[number] = f"the model cannot read it: {error}"
                    found.append(Prediction([], {}))
            if len(failed) == len(rows):
                raise
            return found, failed

    def _asked(self, rows: Sequence[Row]) -> list[Prediction]:
        return self.classifier.predict(**model_inputs(rows, self.classifier.columns)) if rows else []

    def _answer(self, name: str, found: Prediction, record: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"id": name, "labels": found.labels}
        if self.job.settings.scores == "all":
            answer["scores"] = found.scores
        elif self.job.settings.scores == "chosen":
            answer["scores"] = {name: found.scores[name] for name in found.labels}
        if found.depth is not None:
            answer["depth"] = found.depth
        names = self.job.kept
        if names is None:
            names = [str(name) for name in record if name != self.column["id"]]
        return answer | {output_name(name, names): record.get(name) for name in names}


def _bad(path: Path, item: Item, reason: str) -> Bad:
    raw = item.raw or json_text(item.record)
    return {"file": str(path), "row": item.number, "reason": reason, "raw": raw}
