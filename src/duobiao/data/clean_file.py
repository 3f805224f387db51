"""Cleaning a file of any size in flat memory: rows come in one by one, all columns and all rows go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duobiao.data.clean import STEPS, Chain, Entry, build_chain
from duobiao.data.read import FIELDS
from duobiao.data.rewrite import rewrite
from duobiao.errors import DataError


@dataclass
class StepReport:
    """What one step did.

    Attributes:
        name: The step.
        description: What it does.
        changed: Rows that it changed.
        examples: Some of them: (before, after).
    """

    name: str
    description: str
    changed: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class CleanReport:
    """What cleaning a file did.

    Attributes:
        rows: Rows read, and written.
        changed: Rows with a text that is another now.
        emptied: Rows whose text had something in it and has nothing now.
        steps: Each step, in order.
        notes: What else should be known.
    """

    steps: list[StepReport]
    rows: int = 0
    changed: int = 0
    emptied: int = 0
    notes: list[str] = field(default_factory=list)


class _Cleaner:
    """Cleans cells and keeps count."""

    def __init__(self, chain: Chain, examples: int) -> None:
        self.chain, self.examples = chain, examples
        self.by_name = {name: StepReport(name, STEPS[name].description) for name in chain.names}
        self.report = CleanReport(list(self.by_name.values()))

    def row(self, cells: Sequence[Any]) -> list[Any]:
        """The cells of one row that are to be cleaned; what is no text stays as it is."""
        self.report.rows += 1
        found: list[Any] = []
        touched: dict[str, tuple[str, str]] = {}
        for cell in cells:
            new = cell
            if isinstance(cell, str):
                new, changes = self.chain.traced(cell)
                for name, before, after in changes:
                    touched.setdefault(name, (before, after))
                self.report.emptied += bool(cell.strip()) and not new.strip()
            found.append(new)
        if touched:
            self.report.changed += any(new != old for new, old in zip(found, cells, strict=True))
            for name, example in touched.items():
                step = self.by_name[name]
                step.changed += 1
                if len(step.examples) < self.examples and example not in step.examples:
                    step.examples.append(example)
        return found


def clean_file(
    source: str | Path,
    output: str | Path | None,
    steps: Sequence[Entry],
    *,
    columns: Mapping[str, str] | None = None,
    examples: int = 0,
) -> CleanReport:
    """Cleans the texts of a file; every row and every other column stays as it is.

    Args:
        source: JSONL, JSON, CSV, TSV, Parquet or Excel. Memory does not grow with the file, but for JSON lists.
        output: Where the copy goes, in the format of the source; None: nothing is written, only counted.
        steps: The chain, as ``build_chain`` takes it.
        columns: Own column names: ``text``, and ``context`` if that is to be cleaned too.
        examples: So many before/after examples of each step are kept.

    Raises:
        DataError: If the file cannot be read (with every problem found; nothing is written then), or the output is the
            source, or of another format.
        ConfigError: If the chain cannot be built.
        MissingExtraError: If a format or a step needs a package that is not installed.
    """
    columns = dict(columns or {})
    foreign = [key for key in columns if key not in FIELDS]
    if foreign:
        raise DataError(f"--columns: no such field: {', '.join(foreign)}", hint="write text=NAME, or text=NAME,context=NAME")
    wanted = {"text": columns.get("text", "text"), **({"context": columns["context"]} if "context" in columns else {})}
    cleaner = _Cleaner(build_chain(steps), examples)
    cleaner.report.notes = rewrite(source, output, wanted, cleaner.row)
    return cleaner.report
