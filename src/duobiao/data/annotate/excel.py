"""Excel: a protected sheet with drop-down lists out; the filled sheet in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from duobiao.data.annotate.answers import Annotation, Vocabulary, split_names
from duobiao.data.annotate.common import read_records, text_of
from duobiao.data.excel_cells import LONGEST, escaped
from duobiao.data.rows import Row
from duobiao.data.write import written_beside
from duobiao.errors import DataError, MissingExtraError

Layout = Literal["flags", "ticks", "cell"]
"""Independent labels: a 0/1 column each (blank: not answered), a ✓ column each (blank: false), or one cell of names."""

TICK, SKIP, UNSURE = "✓", "跳过", "?"
RANGES = 100
"""Cell ranges that one rule of validation names."""
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_TRUE = {"1", "1.0", "true", TICK, "√", "v", "y", "yes", "是", "对"}
_FALSE = {"0", "0.0", "false", "✗", "×", "x", "n", "no", "否", "错"}
_WIDTHS = {"id": 14, "context": 18, "text": 60, "note": 24}


@dataclass(frozen=True)
class Heads:
    """The names of the columns; none of them is a label's or a group's. ``ticks`` are those of labels with a ✓ or nothing."""

    id: str
    context: str
    text: str
    labels: str
    done: str
    annotator: str
    note: str
    ticks: Mapping[str, str]

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Heads:
        """The heads for a label space; the same for an export and its import."""
        taken = {*vocabulary.space.names, *(group.name for group in vocabulary.space.groups)}

        def free(name: str) -> str:
            while name in taken:
                name += "′"
            taken.add(name)
            return name

        return cls(
            id=free("编号"),
            context=free("上下文"),
            text=free("文本"),
            labels=free("标签"),
            done=free("完成"),
            annotator=free("标注人"),
            note=free("备注"),
            ticks={label: free(f"{TICK} {label}") for label in vocabulary.space.independent},
        )


def shown(text: str) -> str:
    """A text as a cell can hold it: what XML lacks is replaced, and what is beyond Excel's limit is cut off."""
    clean = _ILLEGAL.sub("\ufffd", text)
    if len(clean.encode("utf-16-le", "surrogatepass")) // 2 <= LONGEST - 40:
        return clean
    return clean[: (LONGEST - 40) // 2] + f"……（共 {len(text)} 字，其余未显示）"


def export(
    rows: Sequence[Row], vocabulary: Vocabulary, output: Path, prefill: bool = True, layout: Layout = "flags"
) -> list[Path]:
    """Writes a workbook: frozen head, locked id and text, a drop-down in every cell that is to be filled.

    A group's cells can be filled only in rows of which it is asked. Texts never become formulas.

    Returns:
        The file written.

    Raises:
        DataError: If the place cannot be written.
        MissingExtraError: If openpyxl is not installed.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtraError("openpyxl", "tables") from error
    _check(rows, vocabulary)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "标注"
    lists = book.create_sheet("lists")
    lists.sheet_state = "hidden"
    _Sheet(sheet, lists, vocabulary, layout).fill(rows, prefill)
    with written_beside(output) as beside:
        book.save(beside)
    return [output]


def _check(rows: Sequence[Row], vocabulary: Vocabulary) -> None:
    """Refuses names that would come back as others, and more rows or columns than a sheet has."""
    problems = [f"label {name!r} holds a character that Excel has not" for name in vocabulary.taken if _ILLEGAL.search(name)]
    problems += [
        f"{row.source or 'row'}: id {row.id!r} holds a character that Excel does not keep"
        for row in rows
        if _ILLEGAL.search(row.id) or "\r" in row.id or len(row.id) > LONGEST
    ]
    if len(rows) >= 2**20 or len(vocabulary.space) >= 2**14 - 16:
        problems.append("a sheet holds 1,048,575 rows below its head and 16,384 columns")
    if problems:
        raise DataError("this cannot be written as Excel", hint="rename these, or export fewer rows", problems=problems)


class _Sheet:
    """The sheet under construction."""

    def __init__(self, sheet: Any, lists: Any, vocabulary: Vocabulary, layout: Layout) -> None:
        from openpyxl.styles import Alignment, Font, PatternFill, Protection

        self.sheet, self.lists, self.vocabulary, self.layout = sheet, lists, vocabulary, layout
        self.heads = Heads.of(vocabulary)
        self.space = vocabulary.space
        self.wrapped = Alignment(wrap_text=True, vertical="top")
        self.open, self.grey, self.bold = Protection(locked=False), PatternFill("solid", fgColor="DDDDDD"), Font(bold=True)
        heads = self.heads
        self.label_heads = dict(heads.ticks) if layout == "ticks" else {label: label for label in self.space.independent}
        self.independent = list(self.label_heads.values())
        if layout == "cell":
            self.independent = [heads.labels] if self.space.independent else []
        self.columns = [heads.id, heads.context, heads.text, *self.independent, *(g.name for g in self.space.groups)]
        self.columns += [heads.done, heads.annotator, heads.note]
        self.at = {name: number for number, name in enumerate(self.columns, 1)}

    def fill(self, rows: Sequence[Row], prefill: bool) -> None:
        for name, column in self.at.items():
            self._put(1, column, name).font = self.bold
        for number, row in enumerate(rows, 2):
            self._row(number, row, prefill)
        self._widths()
        self._rules(rows)
        self.sheet.freeze_panes = self.sheet.cell(2, 4)
        protection = self.sheet.protection
        protection.sheet = True
        protection.formatColumns = protection.formatRows = protection.autoFilter = protection.sort = False

    def _put(self, row: int, column: int, text: str) -> Any:
        """A cell that holds text, whatever the text looks like."""
        cell = self.sheet.cell(row, column)
        self._as_text(cell, text)
        cell.alignment = self.wrapped
        return cell

    @staticmethod
    def _as_text(cell: Any, text: str) -> None:
        cell.number_format = "@"
        if text:
            cell.value = escaped(_ILLEGAL.sub("\ufffd", text))
            cell.data_type = "s"  # never a formula, a date or an error
            cell.quotePrefix = text[0] in "=+-@'\t\r"

    def _row(self, number: int, row: Row, prefill: bool) -> None:
        heads = self.heads
        for name, text in ((heads.id, row.id), (heads.context, row.context or ""), (heads.text, shown(row.text))):
            self._put(number, self.at[name], text)
        cells = self._answers(row) if prefill else {}
        asked = set(self.vocabulary.decisions(row.context))
        groups = {group.name for group in self.space.groups}
        for name in self.columns[3:]:
            if name in groups and name not in asked:
                self._put(number, self.at[name], "").fill = self.grey
                continue
            self._put(number, self.at[name], cells.get(name, "")).protection = self.open

    def _answers(self, row: Row) -> dict[str, str]:
        answers = self.vocabulary.answers(row)
        found: dict[str, str] = {}
        for group in self.space.groups:
            answer = answers.get(group.name, False)
            if answer is None:
                found[group.name] = self.vocabulary.unsure[group.name]
            elif isinstance(answer, str):
                found[group.name] = answer or self.vocabulary.none_of[group.name]
        if self.layout == "cell":
            own = {*self.vocabulary.of_labels, *self.vocabulary.unsure_labels}
            found[self.heads.labels] = "\n".join(name for name in self.vocabulary.chosen(row) if name in own)
            return found
        words = {True: "1", False: "0", None: UNSURE} if self.layout == "flags" else {True: TICK, False: "", None: UNSURE}
        for label in self.space.independent if answers else ():
            answer = answers[label]
            found[self.label_heads[label]] = words[answer if answer is None else bool(answer)]
        return found

    def _widths(self) -> None:
        from openpyxl.utils import get_column_letter

        special = {getattr(self.heads, name): width for name, width in _WIDTHS.items()}
        special[self.heads.labels] = 30
        groups = {group.name for group in self.space.groups}
        for name, column in self.at.items():
            width = special.get(name, 18 if name in groups else min(8 + len(name), 16))
            self.sheet.column_dimensions[get_column_letter(column)].width = width

    def _rules(self, rows: Sequence[Row]) -> None:
        everywhere = list(range(2, len(rows) + 2))
        if self.layout != "cell":
            words = ["1", "0", UNSURE] if self.layout == "flags" else [TICK, UNSURE]
            for head in self.independent:
                self._list(self.at[head], words, everywhere)
        for group in self.space.groups:
            asked = [number for number, row in enumerate(rows, 2) if group.is_asked(row.context)]
            self._list(self.at[group.name], self.vocabulary.of_group(group), asked)
        self._list(self.at[self.heads.done], [TICK, SKIP], everywhere)
        if self.layout == "cell" and self.independent:  # for looking up and copying; a cell of several names has no drop-down
            self._column([*self.vocabulary.of_labels, *self.vocabulary.unsure_labels])

    def _column(self, words: Sequence[str]) -> str:
        """Writes words into the hidden sheet; returns where they are."""
        from openpyxl.utils import get_column_letter

        column = self.lists.max_column + (self.lists.cell(1, 1).value is not None)
        for number, word in enumerate(words, 1):
            self._as_text(self.lists.cell(number, column), word)
        letter = get_column_letter(column)
        return f"lists!${letter}$1:${letter}${len(words)}"

    def _list(self, column: int, words: Sequence[str], numbers: Sequence[int]) -> None:
        from openpyxl.utils import get_column_letter
        from openpyxl.worksheet.datavalidation import DataValidation

        if not numbers:
            return
        source, letter = self._column(words), get_column_letter(column)
        spans = list(_spans(numbers))
        for start in range(0, len(spans), RANGES):
            rule = DataValidation(type="list", formula1=source, allow_blank=True, showErrorMessage=True)
            rule.errorTitle, rule.error = "请从列表中选择", "这一格只能填列表里的值"
            for first, last in spans[start : start + RANGES]:
                rule.add(f"{letter}{first}:{letter}{last}")
            self.sheet.add_data_validation(rule)


def _spans(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


# ---- reading ---------------------------------------------------------------------------------------


def read(paths: Sequence[Path], vocabulary: Vocabulary) -> list[Annotation]:
    """Reads filled sheets; the layout is seen from their columns.

    A row counts as annotated if its column 完成 has a tick or any answer is filled in. The annotator is its column 标注人, or
    the file's name.

    Raises:
        DataError: If a file cannot be read, lacks a column, or a cell of a label holds something else than yes or no.
    """
    heads = Heads.of(vocabulary)
    found: list[Annotation] = []
    for where, cells, problems in read_records(paths):
        record = {head: text_of(cell) or "" for head, cell in cells.items()}
        if heads.id not in record:
            problems.append(f"{where}: there is no column {heads.id!r}; give the sheet that the export wrote")
            continue
        found.append(_annotation(where, record, vocabulary, heads, problems))
    return found


def _annotation(where: str, record: Mapping[str, str], vocabulary: Vocabulary, heads: Heads, problems: list[str]) -> Annotation:
    chosen: list[str] = []
    denied: list[str] = []
    flags = False
    for label in vocabulary.space.independent:
        head = next((head for head in (label, heads.ticks[label]) if head in record), None)
        value = record[head].strip() if head is not None else ""
        flags = flags or head == label
        if value.lower() in _TRUE:
            chosen.append(label)
        elif value.lower() in _FALSE:
            denied.append(label)
        elif value in (UNSURE, "？"):
            chosen.append(vocabulary.unsure[label])
        elif value:
            problems.append(f"{where}: column {head!r} holds {value!r}; choose from the list")
    chosen += split_names(record.get(heads.labels, ""), vocabulary.meaning.keys() | {vocabulary.nothing})
    chosen += [value for group in vocabulary.space.groups if (value := record.get(group.name, "").strip())]
    state = record.get(heads.done, "").strip()
    ticked = state.lower() in _TRUE
    if state and not ticked and state != SKIP:
        problems.append(f"{where}: column {heads.done!r} holds {state!r}; choose {TICK} or {SKIP}")
    return Annotation(
        record[heads.id] or None,
        where,
        record.get(heads.text),
        tuple(chosen),
        tuple(denied),
        complete=False if flags else True if ticked else None,
        annotator=record.get(heads.annotator, "").strip() or Path(where.rpartition(": row ")[0]).stem,
        status="skipped" if state == SKIP else "done" if ticked or chosen or denied else "open",
    )
