"""The workbook that people fill in."""

from pathlib import Path
from zipfile import ZipFile

import openpyxl
import pytest
from annotation_cases import WORDS, bare

from duobiao.data.annotate import excel
from duobiao.data.annotate.answers import Vocabulary
from duobiao.data.annotate.merge import merge
from duobiao.data.rows import Row
from duobiao.errors import DataError
from duobiao.labels import LabelSpace

ROWS = [
    Row("r1", "=1+1", labels=("物流", "负面", "要求升级")),
    Row("r2", "是我", context="身份确认", labels=("本人",)),
    Row("r3", "=HYPERLINK(1)", context="身份确认"),
    Row("r4", "喂"),
    Row("r5", "在", context="身份确认", labels=("正面", "他人"), unknown=("发票",)),
]


def made(tmp_path: Path, layout: excel.Layout = "flags", rows: list[Row] = ROWS):
    (path,) = excel.export(rows, WORDS, tmp_path / "todo.xlsx", layout=layout)
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    heads = {cell.value: cell.column for cell in sheet[1]}
    return path, book, sheet, heads


def test_texts_are_never_formulas(tmp_path: Path):
    path, book, sheet, heads = made(tmp_path)
    cell = sheet.cell(2, heads["文本"])
    assert (cell.value, cell.data_type, cell.quotePrefix) == ("=1+1", "s", True)
    assert not any(cell.data_type == "f" for page in book.worksheets for line in page.iter_rows() for cell in line)
    with ZipFile(path) as files:
        sheets = [files.read(name).decode() for name in files.namelist() if name.startswith("xl/worksheets/")]
    assert sheets
    assert not any("<f>" in content for content in sheets)


def test_a_group_has_a_list_in_rows_of_its_contexts_only(tmp_path: Path):
    _, book, sheet, heads = made(tmp_path)
    assert list(heads) == [
        "编号",
        "上下文",
        "文本",
        "物流",
        "质量",
        "发票",
        "情感",
        "升级",
        "身份确认",
        "完成",
        "标注人",
        "备注",
    ]
    rules = {}
    for rule in sheet.data_validations.dataValidation:
        page, _, span = rule.formula1.partition("!")
        words = [cell.value for line in book[page][span.replace("$", "")] for cell in line]
        for area in rule.sqref.ranges:
            for row in range(area.min_row, area.max_row + 1):
                rules[row, area.min_col] = words
    assert {row for row, column in rules if column == heads["身份确认"]} == {3, 4, 6}
    assert rules[3, heads["身份确认"]] == ["本人", "他人", "身份确认：不确定"]
    assert rules[2, heads["升级"]] == ["要求升级", "升级：都不是", "升级：不确定"]
    assert rules[5, heads["物流"]] == ["1", "0", "?"]
    assert book["lists"].sheet_state == "hidden"
    assert sheet.freeze_panes == "D2"


def test_only_answers_can_be_filled_in(tmp_path: Path):
    _, _, sheet, heads = made(tmp_path)
    assert sheet.protection.sheet
    for name, column in heads.items():
        locked = name in ("编号", "上下文", "文本")
        assert sheet.cell(3, column).protection.locked == locked, name
    assert sheet.cell(2, heads["身份确认"]).protection.locked  # not asked of this row
    assert sheet.cell(2, heads["文本"]).alignment.wrap_text


def test_labels_that_rows_have_are_filled_in_already(tmp_path: Path):
    for layout, column, values in (
        ("flags", "物流", ["1", "0", None, None, "0"]),
        ("ticks", "✓ 物流", ["✓", None, None, None, None]),
        ("cell", "标签", ["物流", "以上都不成立", None, None, "以上都不成立\n发票：不确定"]),
    ):
        _, _, sheet, heads = made(tmp_path, layout)
        assert [sheet.cell(row, heads[column]).value for row in range(2, 7)] == values
    _, _, sheet, heads = made(tmp_path, "flags", bare(ROWS))
    assert {sheet.cell(row, column).value for row in range(2, 7) for column in range(4, 13)} == {None}


def fill(tmp_path: Path, layout: excel.Layout, **cells: object):
    """A bare sheet in which somebody fills the first row; what comes back."""
    path, book, sheet, heads = made(tmp_path, layout, bare(ROWS))
    for name, value in cells.items():
        sheet.cell(2, heads[name.replace("tick_", "✓ ")]).value = value
    book.save(path)
    return path


def answers(tmp_path: Path, layout: excel.Layout, **cells: object):
    found = merge(bare(ROWS), excel.read([fill(tmp_path, layout, **cells)], WORDS), WORDS, shown=excel.shown)
    return found.rows[0].labels, found.rows[0].unknown, found.report["annotations"]


def test_a_blank_flag_is_not_answered(tmp_path: Path):
    labels, unknown, counts = answers(tmp_path, "flags", 物流=1, 质量=0)
    assert (labels, unknown) == (("物流",), ("发票", "情感", "升级"))
    assert counts == {"all": 5, "done": 1, "skipped": 0, "draft": 0, "open": 4}


def test_a_missing_tick_is_a_no_in_a_row_that_was_worked_on(tmp_path: Path):
    assert answers(tmp_path, "ticks", tick_物流="√")[:2] == (("物流",), ("情感", "升级"))
    assert answers(tmp_path, "ticks", 完成="✓", 情感="正面")[:2] == (("正面",), ("升级",))
    assert answers(tmp_path, "ticks", 情感="正面")[:2] == (("正面",), ("物流", "质量", "发票", "升级"))
    assert answers(tmp_path, "ticks", tick_物流="？", 完成="✓")[:2] == ((), ("物流", "情感", "升级"))


def test_a_cell_of_names(tmp_path: Path):
    assert answers(tmp_path, "cell", 标签="物流，发票", 升级="升级：都不是")[:2] == (("物流", "发票"), ("情感",))
    assert answers(tmp_path, "cell", 标签="以上都不成立")[:2] == ((), ("情感", "升级"))


def test_rows_that_were_skipped_or_left_alone(tmp_path: Path):
    labels, _, counts = answers(tmp_path, "flags", 完成="跳过", 物流=1)
    assert labels is None
    assert (counts["skipped"], counts["open"]) == (1, 4)


def test_the_annotator_is_the_column_or_the_files_name(tmp_path: Path):
    found = excel.read([fill(tmp_path, "flags", 物流=1, 标注人="小王")], WORDS)
    assert [one.annotator for one in found[:2]] == ["小王", "todo"]


def test_a_cell_that_is_neither_yes_nor_no_is_named(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        excel.read([fill(tmp_path, "flags", 物流="也许", 完成="好")], WORDS)
    assert len(caught.value.problems) == 2
    assert "row 2: column '物流' holds '也许'" in caught.value.problems[0]


def test_an_edited_text_is_seen(tmp_path: Path):
    path = fill(tmp_path, "flags", 文本="改过", 物流=1)
    found = merge(bare(ROWS), excel.read([path], WORDS), WORDS, shown=excel.shown)
    assert found.report["conflicts_by_kind"] == {"changed_text": 1}
    assert found.rows[0].labels is None


def test_a_text_beyond_excels_limit_is_cut_and_still_known(tmp_path: Path):
    for text in ("长" * 100_000, "😀" * 40_000):
        rows = [Row("r1", text, labels=("物流", "正面"))]
        path, _, sheet, heads = made(tmp_path, "flags", rows)
        cell = sheet.cell(2, heads["文本"]).value
        assert len(cell.encode("utf-16-le")) // 2 <= excel.LONGEST
        assert f"共 {len(text)} 字" in cell
        assert merge(rows, excel.read([path], WORDS), WORDS, shown=excel.shown).report["conflicts"] == []


def test_what_excel_cannot_hold_is_refused(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        excel.export([Row("r\x01", "x"), Row("r\r2", "y")], Vocabulary(LabelSpace(("a\ufffe", "b"))), tmp_path / "t.xlsx")
    assert len(caught.value.problems) >= 3
    assert not (tmp_path / "t.xlsx").exists()
    (tmp_path / "folder.xlsx").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        excel.export(ROWS, WORDS, tmp_path / "folder.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.xlsx"]


def test_a_sheet_of_something_else_is_refused(tmp_path: Path):
    book = openpyxl.Workbook()
    book.active.append(["id", "text"])
    book.active.append(["r1", "x"])
    book.save(tmp_path / "other.xlsx")
    with pytest.raises(DataError) as caught:
        excel.read([tmp_path / "other.xlsx"], WORDS)
    assert "there is no column '编号'" in caught.value.problems[0]
