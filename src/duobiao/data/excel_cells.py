"""Texts in the cells of Excel files: how they are stored, so that nothing is lost on the way."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from duobiao.errors import DataError

LONGEST = 32_767
"""Characters that an Excel cell can hold."""
UNCALCULATED = "a formula without its value; open the file in Excel and save it, or paste values"
_ESCAPED = re.compile("_x(00[0189][0-9A-Fa-f]|00[57][Ff]|[Ff]{3}[EeFf])_")
_CONTROLS = "\x00-\x08\x0b-\x1f\ufffe\uffff"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_ESCAPE = re.compile(f"_(?=x[0-9A-Fa-f]{{4}}[_{_CONTROLS}])")  # a control character's own escape begins with the underline
_SURROGATE = re.compile("[\ud800-\udfff]")


def escaped(text: str) -> str:
    """A text as it is stored: control characters as ``_x000D_``, and what only looks like that as ``_x005F_x000D_``.

    Tabs and line feeds stay. Lone surrogates, which no file in UTF-8 can hold, become U+FFFD.
    """
    text = _ESCAPE.sub("_x005F_", text)
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", text))


def unescaped(text: str) -> str:
    """The text of a stored cell. Only control characters and the underline are decoded: ``_x4E2D_`` is somebody's own."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def read_cells(cells: Iterable[Any]) -> list[Any]:
    """What the cells of a row hold, as it was meant."""
    return [unescaped(cell) if isinstance(cell, str) else cell for cell in cells]


def uncalculated(path: Path) -> list[str]:
    """Cells of the first sheet with a formula whose value the file lacks, which would be read as blank; ``B7`` each.

    Programs that write formulas leave their values to Excel.
    """
    import openpyxl

    if not _has_formulas(path):
        return []
    found = []
    books = [openpyxl.load_workbook(path, read_only=True, data_only=values) for values in (False, True)]
    for formulas, values in zip(*(book.worksheets[0].iter_rows() for book in books), strict=True):
        for formula, value in zip(formulas, values, strict=True):
            if formula.data_type == "f" and value.value is None:
                found.append(formula.coordinate)
    for book in books:
        book.close()
    return found


def _has_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as book:
        for name in book.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                with book.open(name) as sheet:
                    end = b""
                    while block := sheet.read(1 << 20):
                        if re.search(rb"<(?:\w+:)?f[ >/]", end + block):
                            return True
                        end = block[-20:]
    return False


def text_cell(cell: Any, value: Any) -> Any:
    """Puts a value into an openpyxl cell, which comes back; a text that begins with ``=`` is no formula.

    Raises:
        ValueError: If the text is longer than a cell can hold (openpyxl would cut it off).
    """
    if not isinstance(value, str):
        cell.value = value
        return cell
    stored = escaped(value)
    if len(stored) > LONGEST:
        raise ValueError(f"a text of {len(stored):,} characters, but an Excel cell holds {LONGEST:,}")
    cell.value = stored
    cell.data_type = "s"
    return cell


class NewSheet:
    """A workbook of one sheet, written row by row in flat memory.

    Attributes:
        source: What messages call the file that the rows come from.
    """

    def __init__(self, source: Path, title: str | None = None) -> None:
        import openpyxl

        self.source = source
        self._problems: list[str] = []
        self._rows = 0
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet(title)

    def add(self, cells: Iterable[Any]) -> None:
        """Adds a row."""
        from openpyxl.cell import WriteOnlyCell

        self._rows += 1
        try:
            self._sheet.append([text_cell(WriteOnlyCell(self._sheet), cell) for cell in cells])
        except ValueError as error:
            self._problems.append(f"{self.source}: row {self._rows}: {error}")

    def save(self, place: Path) -> None:
        """Writes the workbook, if its cells can hold everything.

        Raises:
            DataError: Naming every row with a text that is too long.
        """
        self._sheet.close()
        if self._problems:
            hint = "save it as .csv or .jsonl and go on with that; nothing was written"
            raise DataError(f"{self.source}: a workbook cannot hold the rows", hint=hint, problems=self._problems)
        self._book.save(place)
