"""The whole examination: files in, findings out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duobiao import progress
from duobiao.bundle import MANIFEST, read_manifest
from duobiao.doctor.dataset import Split, read_dataset
from duobiao.doctor.duplicates import Twins, check_duplicates, check_near_duplicates
from duobiao.doctor.findings import EXAMPLES, SEVERITIES, Example, Finding, ordered, spread
from duobiao.doctor.texts import check_scripts, check_texts
from duobiao.doctor.tokens import check_tokens, count_tokens, length_table, load_reader
from duobiao.doctor.truth import check_truth, positives
from duobiao.labels import LabelSpace

FORMAT = "duobiao-check"
_PLACE = re.compile(r"^(?P<file>.*?): (?:row|line) (?P<number>\d+): (?P<what>.*)$", re.DOTALL)


@dataclass(frozen=True)
class Report:
    """What an examination found.

    Attributes:
        files: Split name to its path and its number of sound rows.
        findings: The worst first.
        lengths: For each split the rows that are longer than 64, 128, 256 and 512 tokens.
        exact_lengths: Whether a tokenizer counted them.
        positives: Label to how often it is true in each split.
        skipped: Checks that were not made, with the reason's name.
        command: The command that checks these files.
    """

    files: Mapping[str, Mapping[str, Any]]
    findings: Sequence[Finding]
    lengths: Mapping[str, Mapping[str, Any]]
    exact_lengths: bool
    positives: Mapping[str, Mapping[str, int]]
    skipped: Sequence[tuple[str, str]] = field(default_factory=tuple)
    command: str = "duobiao check"

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each severity."""
        return {name: sum(finding.severity == name for finding in self.findings) for name in SEVERITIES}

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "files": self.files,
            "counts": self.counts,
            "findings": [finding.to_dict() for finding in self.findings],
            "lengths": self.lengths,
            "exact_lengths": self.exact_lengths,
            "positives": self.positives,
            "skipped": [list(one) for one in self.skipped],
        }


def check(
    files: Mapping[str, Path],
    *,
    labels: Path | None = None,
    model: Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Report:
    """Examines files of rows; what cannot be read is a finding too.

    Args:
        files: ``data``, ``train``, ``dev``, ``test`` to a path; one at least.
        labels: The label space; by default the bundle's, else it is inferred.
        model: A bundle, or the folder of an encoder, for its tokenizer.
        columns: Own column names.
        separator: What parts the labels in a cell.

    Raises:
        DataError: If a file does not exist or has an unknown format.
        ConfigError: If the model has no tokenizer that can be read.
        LabelSpaceError: If the label space cannot be read.
    """
    reader = load_reader(model) if model else None
    data = read_dataset(files, label_space(labels, model), columns, separator)
    skipped = [] if reader else [("unknown", "no_tokenizer" if model else "no_model")]
    findings = [finding for split in data.splits for finding in _file_findings(split)]
    twins = Twins(data)
    tokens = count_tokens(data, reader)
    if data.rows:
        with progress.task("checks", 5) as task:
            for examine in (check_texts, check_truth):
                findings += examine(data)
                task.advance()
            try:
                findings += check_scripts(data)
            except ImportError:
                skipped.append(("scripts", "no_opencc"))
            task.advance()
            findings += check_duplicates(data, twins)
            task.advance()
            findings += check_tokens(data, tokens)
            task.advance()
        findings += check_near_duplicates(data, twins)
    space, counts = data.labels, positives(data)
    return Report(
        files={split.name: {"path": str(split.path), "rows": len(split.rows)} for split in data.splits},
        findings=ordered(_merged(findings)),
        lengths=length_table(data, tokens),
        exact_lengths=tokens.exact,
        positives={label: {name: count[label] for name, count in counts.items()} for label in (space.names if space else ())},
        skipped=skipped,
        command=_command(files, labels, model, columns),
    )


def label_space(labels: Path | None, model: Path | None) -> LabelSpace | None:
    """The label space that the user names, else the bundle's, else none."""
    if labels is not None:
        return LabelSpace.from_yaml(labels)
    if model is not None and (model / MANIFEST).is_file():
        return LabelSpace.from_dict(read_manifest(model)["label_space"], str(model))
    return None


def _file_findings(split: Split) -> list[Finding]:
    rows = len(split.rows)
    found = []
    for kind, problems in (("unreadable", split.problems), ("encoding", split.damaged)):
        if problems:
            examples = [_place(problem) for problem in (problems[at] for at in spread(range(len(problems))))]
            count = len(problems)
            found.append(Finding(kind, "error", count, rows + count, "rows", {split.name: count}, {}, examples))
    if not rows:
        found.append(Finding("no_rows", "error", 1, 1, "files", {split.name: 1}, {}, [Example(str(split.path))]))
    return found


def _place(problem: str) -> Example:
    match = _PLACE.match(problem)
    return Example(f"{match['file']}:{match['number']}", note=match["what"]) if match else Example(problem)


def place_of(problem: str) -> int | None:
    """The row number that a message names."""
    match = _PLACE.match(problem)
    return int(match["number"]) if match else None


def _merged(findings: Sequence[Finding]) -> list[Finding]:
    """One finding a kind: those of several files are put together."""
    found: dict[str, Finding] = {}
    for one in findings:
        other = found.get(one.kind)
        if other is not None:
            one = Finding(
                one.kind,
                one.severity,
                one.count + other.count,
                one.total + other.total,
                one.unit,
                {**other.splits, **one.splits},
                one.values,
                [*other.examples, *one.examples][: 2 * EXAMPLES],
            )
        found[one.kind] = one
    return list(found.values())


def _command(files: Mapping[str, Path], labels: Path | None, model: Path | None, columns: Mapping[str, str] | None) -> str:
    words = ["duobiao", "check"]
    for name, path in files.items():
        words += [str(path)] if name == "data" else [f"--{name}", str(path)]
    for option, value in (("--labels", labels), ("--model", model)):
        words += [option, str(value)] if value else []
    if columns:
        words += ["--columns", ",".join(f"{field}={column}" for field, column in columns.items())]
    return shlex.join(words)
