"""Cleaning files: every format, every row and column, and what must be refused."""

import csv
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.clean_file import clean_file
from duobiao.errors import ConfigError, DataError

STEPS = ("invisible", "stutter", "punctuation", "whitespace")


def refused(source: Path, output: Path | None, *names: str, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        clean_file(source, output, STEPS, **options)
    for name in names:
        assert name in str(caught.value), (name, str(caught.value))
    assert output is None or output == source or not output.exists()
    assert [path.name for path in source.parent.iterdir() if path.name.endswith(".part")] == []
    return caught.value


def test_csv_keeps_columns_rows_quotes_and_blank_lines(tmp_path: Path):
    source, output = tmp_path / "a.csv", tmp_path / "new" / "b.csv"
    source.write_bytes('id,text,备注\r\n1,"我我要,退款！！","a ""b"" "\r\n\r\n2,,空\r\n3,"第一行\n第二行",c\r\n'.encode())
    report = clean_file(source, output, STEPS)
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["id", "text", "备注"], ["1", "我要,退款！", 'a "b" '], [], ["2", "", "空"], ["3", "第一行 第二行", "c"]]
    assert (report.rows, report.changed, report.emptied) == (3, 2, 0)
    assert {step.name: step.changed for step in report.steps} == {
        "invisible": 0, "stutter": 1, "punctuation": 1, "whitespace": 1,
    }  # fmt: skip


def test_jsonl_lines_that_need_nothing_are_copied_as_they_stand(tmp_path: Path):
    source, output = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    lines = [
        '{"text":  "好", "n": 1.50, "m": 12345678901234567890}',
        "",
        '{"text": "我我要", "标签": ["甲"], "x": null}',
        '{"text": 5}',
    ]
    source.write_text("\n".join(lines), encoding="utf-8")
    report = clean_file(source, output, STEPS)
    found = output.read_text(encoding="utf-8").split("\n")
    assert found[:2] == lines[:2]
    assert json.loads(found[2]) == {"text": "我要", "标签": ["甲"], "x": None}
    assert found[3] == lines[3]
    assert (report.rows, report.changed) == (3, 1)


@pytest.mark.parametrize(("encoding", "marked"), [("utf-8", False), ("utf-8-sig", True), ("gb18030", True)])
def test_encodings_and_what_spreadsheets_need(tmp_path: Path, encoding: str, marked: bool):
    source, output = tmp_path / "a.csv", tmp_path / "b.tsv"
    source.write_bytes("text,c\n我我现在没空，快递员打打电话,1\n".encode(encoding))
    report = clean_file(source, output, STEPS)
    assert output.read_bytes().startswith(b"\xef\xbb\xbf") == marked
    assert output.read_text(encoding="utf-8-sig").splitlines()[1].startswith("我现在没空")
    assert bool(report.notes) == (encoding == "gb18030")


def test_json_lists_parquet_and_excel(tmp_path: Path):
    import openpyxl
    import pyarrow
    import pyarrow.parquet as parquet

    (tmp_path / "a.json").write_text('[{"text": "我我要", "k": 1}]', encoding="utf-8")
    clean_file(tmp_path / "a.json", tmp_path / "b.json", STEPS)
    assert json.loads((tmp_path / "b.json").read_text(encoding="utf-8")) == [{"text": "我要", "k": 1}]

    table = pyarrow.table({"k": [1, 2, 3], "text": ["我我要", None, "好"], "l": [["甲"], [], None]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    clean_file(tmp_path / "a.parquet", tmp_path / "b.parquet", STEPS)
    found = parquet.read_table(tmp_path / "b.parquet")
    assert found.schema == table.schema
    assert found.to_pydict() == {"k": [1, 2, 3], "text": ["我要", None, "好"], "l": [["甲"], [], None]}

    book = openpyxl.Workbook()
    book.active.append(["编号", "内容", "数"])
    book.active.append([1, "我我要", 2.5])
    book.active.append([2, None, None])
    book.active.cell(4, 2).value = "=好！！"
    book.active.cell(4, 2).data_type = "s"
    book.create_sheet("另一张").append(["x"])
    book.save(tmp_path / "a.xlsx")
    report = clean_file(tmp_path / "a.xlsx", tmp_path / "b.xlsx", STEPS, columns={"text": "内容"})
    sheet = openpyxl.load_workbook(tmp_path / "b.xlsx").active
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert rows == [["编号", "内容", "数"], [1, "我要", 2.5], [2, None, None], [None, "=好！", None]]
    assert sheet.cell(4, 2).data_type == "s"
    assert "2 sheets" in report.notes[0]


def test_context_is_cleaned_only_where_it_is_named(tmp_path: Path):
    source, output = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_text('{"text": "好！！", "context": "时间！！"}\n', encoding="utf-8")
    clean_file(source, output, STEPS)
    assert json.loads(output.read_text(encoding="utf-8"))["context"] == "时间！！"
    clean_file(source, output, STEPS, columns={"context": "context"})
    assert json.loads(output.read_text(encoding="utf-8"))["context"] == "时间！"


def test_examples_emptied_rows_and_no_output(tmp_path: Path):
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in ["\u200b", "A！！", "A！！", "B！！", "C！！"]))
    report = clean_file(source, None, STEPS, examples=2)
    signs = next(step for step in report.steps if step.name == "punctuation")
    assert (signs.changed, signs.examples) == (4, [("A！！", "A！"), ("B！！", "B！")])
    assert (report.emptied, report.rows) == (1, 5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_what_cannot_be_read_is_named_row_by_row_and_nothing_is_written(tmp_path: Path):
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(b'{"text": "a"}\n{"text": \n[1]\n{"txt": "b"}\n{"text": {}}\n')
    error = refused(
        bad, tmp_path / "o.jsonl", "line 2: broken JSON", "line 3: not a JSON object", "line 4: has no 'text'", "line 5"
    )
    assert len(error.problems) == 4
    table = tmp_path / "bad.csv"
    table.write_text("text,b\n1,2\n1,2,3\n1\n", encoding="utf-8")
    refused(table, tmp_path / "o.csv", "line 3: 3 cells", "line 4: 1 cells")
    table.write_text("text,b,b\n", encoding="utf-8")
    refused(table, tmp_path / "o.csv", "twice")
    table.write_text('text,b\n"1,2\n', encoding="utf-8")
    refused(table, tmp_path / "o.csv", "line 2")
    table.write_text("内容,b\n1,2\n", encoding="utf-8")
    refused(table, tmp_path / "o.csv", "no column 'text'", "内容", "--columns text=")
    table.write_bytes("text\n好的好的好的好的\n".encode() + b"\xff\xfe\xff\n" + "好的\n".encode() + "好".encode()[:2])
    refused(table, tmp_path / "o.csv", "line 3: bytes are neither", "line 5: bytes are neither")
    table.write_bytes(b"text\na\0b\n")
    refused(table, tmp_path / "o.csv", "UTF-16, or no text")


def test_more_problems_than_anyone_reads_end_the_reading(tmp_path: Path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text("x\n" * 3000)
    assert len(refused(bad, None, "1000 problems or more").problems) == 1000


def test_wrong_places_and_wrong_options(tmp_path: Path):
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "a"}\n')
    refused(source, source, "is the input itself")
    refused(source, tmp_path / "b.csv", "written as .jsonl or .ndjson")
    refused(tmp_path / "none.jsonl", tmp_path / "b.jsonl", "no such file")
    refused(source.with_suffix(".txt"), None, "'.txt' is not read")
    refused(source, None, "no such field: txt", columns={"txt": "a"})
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    refused(tmp_path / "broken.parquet", tmp_path / "o.parquet", "not readable as Parquet")
    (tmp_path / "broken.xlsx").write_bytes(b"PK")
    refused(tmp_path / "broken.xlsx", tmp_path / "o.xlsx", "not readable as Excel")
    with pytest.raises(ConfigError, match="no such step: lower"):
        clean_file(source, tmp_path / "b.jsonl", ["lower"])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_an_empty_file_gives_an_empty_file(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"")
    assert clean_file(tmp_path / name, tmp_path / f"new-{name}", STEPS).rows == 0
    assert (tmp_path / f"new-{name}").read_bytes() == b""


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.text(max_size=8)), max_size=6))
def test_other_columns_and_the_number_of_rows_stay(tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]):
    folder = tmp_path_factory.mktemp("rows")
    lines = [json.dumps({"a": other, "text": text}) for text, other in cells]
    (folder / "a.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    clean_file(folder / "a.jsonl", folder / "b.jsonl", STEPS)
    found = [json.loads(line) for line in (folder / "b.jsonl").read_text(encoding="utf-8").split("\n") if line]
    assert [row["a"] for row in found] == [other for _, other in cells]


def test_a_file_is_never_in_memory_as_a_whole(tmp_path: Path):
    """30,000 rows as lists of cells would take over 10 MB."""
    source = tmp_path / "a.csv"
    source.write_text("id,text\n" + "".join(f"{at},第{at}行快递还没到！！\n" for at in range(30_000)), encoding="utf-8")
    tracemalloc.start()
    clean_file(source, tmp_path / "out.csv", ("invisible", "whitespace"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
