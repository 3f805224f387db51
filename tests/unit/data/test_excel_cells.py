"""Texts in Excel cells, through real files: escapes, formulas, limits."""

import re
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from duobiao.data.clean_file import clean_file
from duobiao.data.excel_cells import LONGEST, NewSheet, escaped, unescaped
from duobiao.data.files import records_of
from duobiao.data.read import read_rows
from duobiao.errors import DataError

STORED = {  # as Excel stores it -> as it was typed
    "第一行_x000D_\n第二行": "第一行\r\n第二行",
    "_x005F_x000D_": "_x000D_",
    "_x005F_x4E2D_": "_x4E2D_",
    "_x4E2D_": "_x4E2D_",
    "a_x000d_b": "a\rb",
    "_x0007_": "\x07",
    "_x0070_": "_x0070_",
    "_x000D": "_x000D",
    "x000D_": "x000D_",
    "_x00 D_": "_x00 D_",
    "__x000D__": "_\r_",
}


def workbook(path: Path, *rows: list[Any]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def raw(path: Path) -> list[Any]:
    return [cell for (cell,) in openpyxl.load_workbook(path).active.iter_rows(values_only=True)]


@pytest.mark.parametrize(("stored", "meant"), STORED.items())
def test_only_control_characters_and_the_underline_are_decoded(stored: str, meant: str):
    assert unescaped(stored) == meant


@given(st.text() | st.lists(st.sampled_from(["_", "x", "000D", "_x000D_", "_x005F_", "\r", "\n", "4E2D", "\x00"])).map("".join))
@example("_x000D\r")
@example("_X0000\x1f")
def test_what_is_stored_comes_back(text: str):
    assert unescaped(escaped(text)) == "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in text)
    assert not re.search("[\x00-\x08\x0b-\x1f\ud800-\udfff]", escaped(text))


def test_escapes_are_decoded_in_heads_and_cells(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", ["text", "备注_x000D_\n二"], *[[stored, "_x000D_"] for stored in STORED])
    rows = read_rows(path)
    assert [row.text for row in rows] == list(STORED.values())
    assert rows[0].extra == {"备注\r\n二": "\r"}


def test_cleaning_a_workbook_corrupts_nothing_that_it_leaves_alone(tmp_path: Path):
    cells = ["_x005F_x000D_", "一_x000D_\n二", "=1+1", "_x4E2D_"]
    path = workbook(tmp_path / "a.xlsx", ["text"], *[[cell] for cell in cells])
    path_sheet = openpyxl.load_workbook(path)
    path_sheet.active["A4"].data_type = "s"
    path_sheet.save(path)
    clean_file(path, tmp_path / "b.xlsx", ["urls"])
    assert raw(tmp_path / "b.xlsx") == ["text", "_x005F_x000D_", "一_x000D_\n二", "=1+1", "_x005F_x4E2D_"]
    assert [row.text for row in read_rows(tmp_path / "b.xlsx")] == [row.text for row in read_rows(path)]
    clean_file(path, tmp_path / "c.xlsx", ["whitespace"])
    assert raw(tmp_path / "c.xlsx")[2] == "一 二"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=12).map(lambda text: "文" + text), min_size=1, max_size=8))
def test_any_text_survives_a_workbook(tmp_path_factory: pytest.TempPathFactory, texts: list[str]):
    path = tmp_path_factory.mktemp("x") / "a.xlsx"
    sheet = NewSheet(path)
    for text in ["text", *texts]:
        sheet.add([text])
    sheet.save(path)
    found = [str(record["text"]) for _, record in records_of(path, "a", [])]
    assert [text.encode("utf-8", "replace") for text in found] == [
        re.sub("[\ud800-\udfff]", "\ufffd", text).encode() for text in texts
    ]


def test_a_text_that_a_cell_cannot_hold_is_refused_not_cut(tmp_path: Path):
    sheet = NewSheet(Path("calls.xlsx"))
    sheet.add(["好" * LONGEST])
    sheet.add(["好" * (LONGEST + 1)])
    sheet.add(["\r" * (LONGEST // 7 + 1)])  # stored as _x000D_
    with pytest.raises(DataError, match=r"calls.xlsx: row 2: a text of 32,768 [\s\S]*row 3") as error:
        sheet.save(tmp_path / "b.xlsx")
    assert len(error.value.problems) == 2
    assert not (tmp_path / "b.xlsx").exists()


def test_formulas_without_values_are_told_by_cell(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", ["text", "n"], ["好", 1], ['=CONCATENATE("好","的")', 2], ["行", "=1+1"])
    with pytest.raises(DataError, match=r"cell A3: a formula without its value[\s\S]*cell B4") as error:
        read_rows(path)
    assert len(error.value.problems) == 2
    with pytest.raises(DataError, match="cell A3"):
        clean_file(path, tmp_path / "b.xlsx", ["urls"])
    assert not (tmp_path / "b.xlsx").exists()


def test_formulas_with_values_are_their_values(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", ["text"], ["=A1"], ["行"])
    calculated = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(calculated, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert re.search(rb'<c r="A2"[^>]*>', data)
                data = re.sub(rb'<c r="A2"[^>]*>.*?</c>', '<c r="A2" t="str"><f>A1</f><v>好_x000D_的</v></c>'.encode(), data)
            new.writestr(name, data)
    assert [row.text for row in read_rows(calculated)] == ["好\r的", "行"]
    clean_file(calculated, tmp_path / "c.xlsx", ["whitespace"])
    assert raw(tmp_path / "c.xlsx") == ["text", "好 的", "行"]
