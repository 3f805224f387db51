"""``add_label`` from files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from duobiao.bundle import read_bundle
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, check_labelled
from duobiao.data.write import write_text
from duobiao.errors import DataError
from duobiao.evaluate.diff import Limits
from duobiao.evaluate.diff_wording import render
from duobiao.evaluate.wording import Language
from duobiao.labels import LabelSpace
from duobiao.outputs import check_outputs
from duobiao.train.add_label import Added, Settings, add_label
from duobiao.train.add_label_rows import NewLabels, reading_space
from duobiao.train.add_label_work import rejected


def add_label_files(
    bundle: Path,
    asked: NewLabels,
    train: Path,
    dev: Path,
    out: Path,
    *,
    replay: Path | None = None,
    settings: Settings | None = None,
    limits: Limits | None = None,
    force: bool = False,
    markdown: Path | None = None,
    json_out: Path | None = None,
    language: Language = "zh",
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Added:
    """``add_label`` from files, as the command takes them; files that cannot be read are told together, before any work.

    Raises:
        DuobiaoError: As ``add_label`` and ``read_rows`` do.
    """
    files = [("--md", markdown), ("--json", json_out)]
    check_outputs(files, [bundle, train, dev, replay], [("--out", place) for place in (out, rejected(out))])
    space = reading_space(asked, read_bundle(bundle).space)
    paths = [train, dev, *([replay] if replay else [])]
    found, errors = list[list[Row]](), list[DataError]()
    for path in paths:
        try:
            found.append(_read(path, space, columns, separator))
        except DataError as error:
            errors.append(error)
    if errors:
        problems = [problem for error in errors for problem in error.problems or (error.message,)]
        raise DataError("; ".join(error.message for error in errors), hint=errors[0].hint, problems=problems)
    old_rows = found[2] if replay else []
    result = add_label(bundle, asked, found[0], found[1], out, replay=old_rows, settings=settings, limits=limits, force=force)
    if markdown is not None:
        write_text(markdown, render(result.gate.found, language))
    if json_out is not None:
        write_text(json_out, json.dumps(result.to_dict(), ensure_ascii=False, indent=1) + "\n")
    return result


def _read(path: Path, space: LabelSpace, columns: Mapping[str, str] | None, separator: str | None) -> list[Row]:
    rows = read_rows(path, space=space, columns=columns, separator=separator)
    check_labelled(rows)
    return rows
