"""Data sets for the doctor's tests, made from rows in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from duobiao.data.rows import Row
from duobiao.doctor.dataset import Dataset, Split
from duobiao.doctor.findings import Finding
from duobiao.labels import LabelSpace

Given = str | tuple[str, Sequence[str]] | Row


def row(given: Given, number: int) -> Row:
    if isinstance(given, Row):
        return given
    text, labels = given if isinstance(given, tuple) else (given, ("A",))
    return Row(id=str(number), text=text, labels=tuple(labels))


def dataset(splits: Mapping[str, Sequence[Given]] | Sequence[Given], space: LabelSpace | None = None) -> Dataset:
    named = splits if isinstance(splits, Mapping) else {"data": splits}
    made = [
        Split(name, Path(f"{name}.jsonl"), [row(one, at) for at, one in enumerate(rows, 1)], list(range(1, len(rows) + 1)))
        for name, rows in named.items()
    ]
    return Dataset(made, space)


def by_kind(findings: Sequence[Finding]) -> dict[str, Finding]:
    found = {finding.kind: finding for finding in findings}
    assert len(found) == len(findings)
    return found


def places(finding: Finding) -> list[str]:
    return [example.where for example in finding.examples]
