"""Files for an annotation tool, and files from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from duobiao import progress
from duobiao.data.annotate import argilla, doccano, excel, label_studio
from duobiao.data.annotate.answers import Annotation, Vocabulary
from duobiao.data.annotate.merge import Merged, Policy, merge
from duobiao.data.frozen import has_own_ids
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.write import write_text
from duobiao.data.write_rows import check_jsonl, write_rows
from duobiao.errors import DataError
from duobiao.labels import LabelSpace
from duobiao.outputs import check_outputs

Tool = Literal["label-studio", "doccano", "argilla", "excel"]
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "label-studio": (".json",),
    "doccano": (".jsonl",),
    "argilla": (".json",),
    "excel": (".xlsx",),
}
COMPANIONS = {"label-studio": label_studio.companion, "doccano": doccano.companion, "argilla": argilla.companion}
"""Where the file beside the tasks goes, of the tools that have one."""


def export_file(
    path: Path | str,
    output: Path,
    tool: Tool,
    labels: Path,
    *,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    prefill: bool = True,
    layout: excel.Layout = "flags",
) -> tuple[int, list[Path]]:
    """Writes rows for a tool.

    Args:
        path: Rows, labelled or not.
        output: The file; its ending must be the tool's.
        tool: Which one.
        labels: The label space.
        columns: Own column names.
        separator: What parts labels in a cell.
        prefill: Whether labels that rows have already are the start of the annotation.
        layout: How Excel asks for independent labels.

    Returns:
        The number of rows, and the files written.

    Raises:
        DataError: If rows cannot be read, ids are not unique, or the output does not fit.
    """
    if output.suffix.lower() not in ENDINGS[tool]:
        raise DataError(f"{output}: {tool} reads {', '.join(ENDINGS[tool])}", hint=f"name a file ending in {ENDINGS[tool][0]}")
    companion = COMPANIONS.get(tool)
    written = [output, companion(output)] if companion else [output]
    check_outputs([("--output", one) for one in written], [path, labels])
    rows, vocabulary = _load(path, labels, columns, separator)
    if not rows:
        raise DataError(f"{path}: there are no rows", hint="give a file with at least one row")
    if tool == "excel":
        return len(rows), excel.export(rows, vocabulary, output, prefill, layout)
    writers = {"label-studio": label_studio.export, "doccano": doccano.export, "argilla": argilla.export}
    return len(rows), writers[tool](rows, vocabulary, output, prefill)


def import_files(
    base: Path | str,
    sources: Sequence[Path],
    tool: Tool,
    labels: Path,
    output: Path,
    report: Path | None = None,
    *,
    policy: Policy = "base",
    take_changed_text: bool = False,
    label_file: Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Merged:
    """Merges what a tool exported into the rows, and writes them as JSONL with a report beside.

    Args:
        base: The rows that were exported.
        sources: The tool's files, one or several (one an annotator).
        tool: Which one.
        labels: The label space.
        output: Where the merged rows go.
        report: Where the account of conflicts and changes goes.
        policy: How conflicts are settled.
        take_changed_text: Whether an annotation counts though its text is not that of the row.
        label_file: doccano's exported labels, for old exports with label numbers.
        columns: Own column names of ``base``.
        separator: What parts labels in a cell of ``base``.

    Raises:
        DataError: If a file cannot be read or an output would replace an input.
    """
    check_jsonl(output)
    check_outputs([("--output", output), ("--report", report)], [base, *sources, labels, label_file])
    rows, vocabulary = _load(base, labels, columns, separator)
    shown = excel.shown if tool == "excel" else str
    found = _read(tool, sources, vocabulary, label_file)
    merged = merge(rows, found, vocabulary, policy, shown=shown, take_changed_text=take_changed_text)
    write_rows(output, merged.rows)
    if report is not None:
        write_text(report, json.dumps({"tool": tool, **merged.report}, ensure_ascii=False, indent=1) + "\n")
    return merged


def _read(tool: Tool, sources: Sequence[Path], vocabulary: Vocabulary, label_file: Path | None) -> list[Annotation]:
    if tool == "label-studio":
        return label_studio.read(sources, vocabulary)
    if tool == "doccano":
        return doccano.read(sources, label_file)
    return argilla.read(sources) if tool == "argilla" else excel.read(sources, vocabulary)


def _load(
    path: Path | str, labels: Path, columns: Mapping[str, str] | None, separator: str | None
) -> tuple[list[Row], Vocabulary]:
    space = LabelSpace.from_yaml(labels)
    rows = read_rows(path, space=space, columns=columns, separator=separator)
    seen: dict[str, str] = {}
    problems = []
    for row in rows:
        if row.id in seen:
            problems.append(f"{row.source}: id {row.id!r} is also that of {seen[row.id]}")
        seen.setdefault(row.id, row.source)
    if problems:
        raise DataError(f"{path}: ids are not unique", hint="give each row an id of its own", problems=problems)
    if rows and not has_own_ids(rows):
        progress.say(f"{path} has no ids: rows are called by their number, so do not change the file before the import")
    return rows, Vocabulary(space)
