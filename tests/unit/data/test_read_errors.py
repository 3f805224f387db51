"""Every refusal names file, row and cure, and all problems stand in one message."""

import json
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from duobiao.data.files import FORMATS
from duobiao.data.read import read_rows
from duobiao.errors import DataError, MissingExtraError
from duobiao.labels import Group, LabelSpace

SPACE = LabelSpace(("物流", "质量"), (Group("情感", ("正面", "负面")), Group("身份", ("是", "否"), contexts=("身份确认",))))


def file(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path | str, **how: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read_rows(path, **how)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


def places(error: DataError, path: Path) -> list[str]:
    assert all(problem.startswith(f"{path}: ") for problem in error.problems)
    return [problem.removeprefix(f"{path}: ").split(":")[0] for problem in error.problems]


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path):
    lines = [
        '{"text": "好", "labels": ["物流"]}',
        '{"text": "坏"',
        '["text"]',
        '{"labels": []}',
        '{"text": ["好"], "labels": []}',
        '{"text": "好", "labels": ["价格", "正面", "负面"]}',
        '{"text": "好", "labels": {"物流": 1}}',
        '{"text": "好", "labels": [null]}',
        '{"text": "好", "labels": ["是"], "context": "时间"}',
        '{"text": "好", "labels": [], "unknown": ["没有"]}',
    ]
    path = file(tmp_path, "a.jsonl", "\n".join(lines))
    error = refused(path, space=SPACE)
    assert sorted(places(error, path)) == sorted(
        ["line 2", "line 3", "row 4", "row 5", "row 6", "row 6", "row 7", "row 8", "row 9", "row 10"]
    )
    for said in (
        "broken JSON",
        "not a JSON object",
        "has no 'text'",
        "'text' is a list, not a text",
        "label '价格' is not in the label space",
        "group '情感' is exclusive, but the row has 正面, 负面",
        "'labels' must be a list or a cell of names, not an object",
        "'labels' must be a list of names",
        "group '身份' is not asked of context '时间'",
        "unknown: '没有' is neither a label nor a group",
    ):
        assert said in str(error)
    assert "10 problems" in error.message


def test_a_missing_column_is_told_with_the_cure(tmp_path: Path):
    path = file(tmp_path, "a.csv", "内容,标签\n好,物流\n")
    error = refused(path)
    assert error.problems == (
        f"{path}: there is no column 'text' for text (there are: 内容, 标签); name it with --columns text=...",
    )
    error = refused(path, columns={"text": "内容", "context": "节点", "labels": "labels"})
    assert [problem.rsplit("--columns ")[-1] for problem in error.problems] == ["context=...", "labels=..."]


def test_a_missing_column_and_broken_lines_are_told_together(tmp_path: Path):
    path = file(tmp_path, "no column.jsonl", '{"内容": "好"}\n{\n')
    assert len(refused(path).problems) == 2
    path = file(tmp_path, "no column b.jsonl", '{"text": "好", "物流": 1}\n{\n{"text": "好", "物流": "也许"}\n')
    assert sorted(places(refused(path, space=LabelSpace(("物流",))), path)) == ["line 2", "row 3"]


def test_a_field_that_does_not_exist_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no such field: txet") as caught:
        read_rows(file(tmp_path, "a.csv", "text\n好\n"), columns={"txet": "text"})
    assert "text, context, labels" in caught.value.hint


def test_label_columns_hold_nothing_but_0_1_and_blanks(tmp_path: Path):
    path = file(tmp_path, "a.csv", "text,物流,质量\n一,1,2\n二,是,0\n")
    space = LabelSpace(("物流", "质量"))
    error = refused(path, space=space)
    assert error.problems == (
        f"{path}: row 2: column '质量' holds '2'; write 1, 0, or nothing if unknown",
        f"{path}: row 3: column '物流' holds '是'; write 1, 0, or nothing if unknown",
    )


def test_label_columns_must_be_there_for_all_labels_of_the_space(tmp_path: Path):
    path = file(tmp_path, "a.csv", "text,物流,质 量\n一,1,1\n二,x,1\n")
    error = refused(path, space=LabelSpace(("物流", "质量")))
    assert error.problems == (
        f"{path}: there is no column '质量', though labels stand in columns of their own (there are: text, 物流, 质 量); "
        "add it, blank where unknown",
        f"{path}: row 3: column '物流' holds 'x'; write 1, 0, or nothing if unknown",
    )


def test_two_true_columns_of_an_exclusive_group(tmp_path: Path):
    path = file(tmp_path, "a.csv", "text,正面,负面\n一,1,0\n二,1,1\n")
    error = refused(path, space=LabelSpace((), SPACE.groups[:1]))
    assert error.problems == (f"{path}: row 3: group '情感' is exclusive, but the row has 正面, 负面",)


@pytest.mark.parametrize(
    ("name", "text", "where", "said"),
    [
        ("a.csv", "text,labels\n一,a\n二\n三,a,b\n", ["line 3", "line 4"], "1 cells, but the header has 2"),
        ("a.csv", 'text,labels\n一,a\n"二,a\n三,a\n', ["line 3"], "unexpected end of data"),
        ("a.csv", 'text,labels\n"两\n行"x,a\n', ["line 2"], "expected after"),
        ("a.csv", "text,text,labels\n一,二,a\n", ["line 1"], "column names stand there twice: text"),
        ("a.tsv", "text,labels\n一,a\n", ["there is no column 'text' for text (there are"], "text,labels"),
    ],
)
def test_a_crooked_table(tmp_path: Path, name: str, text: str, where: list[str], said: str):
    path = file(tmp_path, name, text)
    error = refused(path)
    assert places(error, path) == where
    assert said in str(error)


def test_an_excel_sheet_with_a_column_twice(tmp_path: Path):
    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    for cells in (["text", "labels", "labels"], ["好", "物流", "质量"]):
        book.active.append(cells)
    book.save(path)
    assert refused(path).problems == (f"{path}: line 1: column names stand there twice: labels",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", "broken JSON"),
        ('{"text": "好"}', "is no list of objects"),
        ('[{"text": "好"}, "好"]', "is no list of objects"),
        ("[" * 100_000, "broken JSON"),
    ],
)
def test_a_json_file_that_is_no_list_of_objects(tmp_path: Path, text: str, said: str):
    error = refused(file(tmp_path, "a.json", text))
    assert said in error.message


def test_json_lines_nested_beyond_reason_are_broken_and_nothing_worse(tmp_path: Path):
    path = file(tmp_path, "a.jsonl", "[" * 100_000 + "\n" + '{"text": "好", "labels": "' + "[" * 100_000 + '"}\n')
    assert places(refused(path), path) == ["line 1"]


@pytest.mark.parametrize(("name", "said"), [("a.parquet", "Parquet"), ("a.xlsx", "Excel")])
def test_a_broken_binary_file(tmp_path: Path, name: str, said: str):
    error = refused(file(tmp_path, name, "nonsense"))
    assert f"not readable as {said}" in error.message


def test_what_is_no_file_or_of_no_known_format(tmp_path: Path):
    assert "there is no such file" in refused(tmp_path / "none.csv").message
    (tmp_path / "folder.csv").mkdir()
    assert "there is no such file" in refused(tmp_path / "folder.csv").message
    error = refused(file(tmp_path, "a.doc", ""))
    assert "'.doc' is not read" in error.message
    assert all(ending in error.hint for ending in FORMATS)
    assert "without ending" in refused(file(tmp_path, "rows", "")).message


@pytest.mark.parametrize(("name", "package"), [("a.parquet", "pyarrow"), ("a.xlsx", "openpyxl")])
def test_a_missing_package_is_told_with_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf'{package}(.|\n)*pip install "duobiao\[tables\]"'):
        read_rows(file(tmp_path, name, ""))


def test_many_problems_are_all_kept(tmp_path: Path):
    path = file(tmp_path, "a.jsonl", "".join(json.dumps({"text": "好", "labels": ["x"]}) + "\n" for _ in range(120)))
    assert len(refused(path, space=SPACE).problems) == 120
