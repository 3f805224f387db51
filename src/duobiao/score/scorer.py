"""Scores parts, one after another: what every worker of every engine does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from duobiao.answer import AnswerForm, load_predictor
from duobiao.cascade import Cascade
from duobiao.classifier import Prediction
from duobiao.data.read import RowParser, cell_text, column_of_fields
from duobiao.data.rows import Row, model_inputs, numeric_columns
from duobiao.data.stream import Item, StretchReader
from duobiao.data.write_rows import json_text
from duobiao.errors import BundleError, DataError
from duobiao.halving import check_sound, each_answered, lacks_memory
from duobiao.score.answers import output_name, schema_of, to_json_lines, to_parquet
from duobiao.score.job import Job, Part, Scored

Bad = dict[str, Any]


class Scorer:
    """What answers, loaded, and what is to be written of its answers.

    Args:
        job: The scoring run.

    Raises:
        BundleError: If a bundle is not the one that the run began with.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.predictor = load_predictor(job.bundle, at=job.settings.at, band=job.settings.band, teacher=job.teacher)
        self._check_digests()
        self.form = AnswerForm.of(self.predictor, job.routes)
        self.column = column_of_fields(job.settings.columns, labelled=False)
        used = None if job.kept is None else {*self.column.values(), *self.predictor.columns, *job.kept}
        self.reader = StretchReader(None if used is None else sorted(used))
        self.schema = schema_of(job, self.form.names) if job.settings.format == "parquet" else None

    def _check_digests(self) -> None:
        own, job = self.predictor, self.job
        loaded = [own.first, own.second] if isinstance(own, Cascade) else [own]
        wanted = [(job.bundle, job.digest), (job.teacher, job.teacher_digest)]
        for one, (path, digest) in zip(loaded, wanted, strict=False):
            if one.bundle.digest != digest:
                raise BundleError(f"{path}: has changed since the run began", hint="begin anew with --force")

    def score(self, part: Part) -> Scored:
        """Reads, answers and encodes a part; the same part gives the same bytes, whoever scores it.

        Raises:
            DataError: If the file cannot be read.
        """
        form = self.job.forms[part.file]
        rows, kept, bad = self._rows(form.path, self.reader.items(form, part.stretch))
        answers = []
        for row, own, found in zip(rows, kept, self._predict(rows), strict=True):
            if isinstance(found, Exception):
                bad.append(_bad(form.path, own, f"the model cannot read it: {found}"))
            else:
                name = cell_text((own.record or {}).get(self.column["id"])) or f"{form.path}:{own.number}"
                answers.append(self._answer(name, row, found, own.record or {}))
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
        if not self.predictor.columns:
            return ()
        try:
            numeric_columns([row], self.predictor.columns)
        except DataError as error:
            return error.problems
        return ()

    def _predict(self, rows: Sequence[Row]) -> list[Prediction | Exception]:
        """Answers; where a model cannot read a row, what it raised.

        A fault is one of a row only if every model can read other texts; want of memory never is.
        """
        found = each_answered(lambda places: self._asked([rows[place] for place in places]), len(rows))
        errors = [one for one in found if isinstance(one, Exception)]
        for error in errors:
            if lacks_memory(error):
                raise error
        if errors:
            check_sound(self.predictor)
        return found

    def _asked(self, rows: Sequence[Row]) -> list[Prediction]:
        return self.predictor.predict(**model_inputs(rows, self.predictor.columns))

    def _answer(self, name: str, row: Row, found: Prediction, record: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, float] | None = found.scores
        if self.job.settings.scores == "none":
            told = None
        elif self.job.settings.scores == "chosen":
            told = {label: found.scores[label] for label in found.labels}
        answer = {"id": name, **self.form.fields(found, row.context, told)}
        names = self.job.kept
        if names is None:
            names = [str(name) for name in record if name != self.column["id"]]
        return answer | {output_name(name, names): record.get(name) for name in names}


def _bad(path: Path, item: Item, reason: str) -> Bad:
    raw = item.raw or json_text(item.record)
    return {"file": str(path), "row": item.number, "reason": reason, "raw": raw}
