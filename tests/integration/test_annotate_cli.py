"""``duobiao annotate export`` and ``import`` as a user types them."""

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import typer
from typer.testing import CliRunner, Result

from duobiao.cli import annotate
from duobiao.data.read import read_rows

APP = typer.Typer(pretty_exceptions_enable=False)
annotate.register(APP)
LABELS = """
labels: [物流, 质量]
groups:
  情感: {labels: [正面, 负面]}
  身份确认: {labels: [本人, 他人], contexts: [身份确认]}
"""
ROWS = [
    {"id": "r1", "text": "=快递坏了", "labels": ["物流", "负面"], "来源": "app"},
    {"id": "r2", "text": "是我", "context": "身份确认"},
    {"id": "r3", "text": "好\n的"},
]


def run(*arguments: Any, code: int = 0) -> Result:
    result = CliRunner().invoke(APP, ["annotate", *(str(argument) for argument in arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    if code:
        assert "What to do: " in result.stderr
        assert result.stdout == ""
    return result


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rows, labels = tmp_path / "rows.jsonl", tmp_path / "labels.yaml"
    rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    labels.write_text(LABELS, encoding="utf-8")
    return rows, labels


def test_excel_there_and_back(tmp_path: Path, files: tuple[Path, Path]):
    rows, labels = files
    assert "3 rows" in run("export", rows, "--format", "excel", "--labels", labels, "--output", tmp_path / "t.xlsx").stdout
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    sheet = book.worksheets[0]
    at = {cell.value: cell.column for cell in sheet[1]}
    sheet.cell(2, at["情感"]).value = "正面"  # against the row
    for head, value in (("物流", "0"), ("质量", "1"), ("情感", "正面"), ("身份确认", "本人"), ("标注人", "小王")):
        sheet.cell(3, at[head]).value = value
    book.save(tmp_path / "done.xlsx")
    back = ("--base", rows, "--from", tmp_path / "done.xlsx", "--format", "excel", "--labels", labels)
    output = run("import", *back, "--output", tmp_path / "m.jsonl", "--report", tmp_path / "r.json").stdout
    assert "3 rows; 1 newly labelled, 0 changed, 1 confirmed" in output
    assert "1 conflicts (1 against_base), settled by --on-conflict base" in output
    merged = read_rows(tmp_path / "m.jsonl")
    assert [row.labels for row in merged] == [("物流", "负面"), ("质量", "正面", "本人"), None]
    assert dict(merged[0].extra) == {"来源": "app"}
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["changes"][0]["by"] == [{"annotator": "小王", "time": None}]
    assert report["conflicts"][0]["id"] == "r1"
    run("import", *back, "--output", tmp_path / "n.jsonl", "--on-conflict", "new")
    assert read_rows(tmp_path / "n.jsonl")[0].labels == ("物流", "正面")


@pytest.mark.parametrize(
    ("tool", "name", "beside"),
    [
        ("label-studio", "t.json", "t.config.xml"),
        ("doccano", "t.jsonl", "t.labels.json"),
        ("argilla", "t.json", "t.settings.json"),
    ],
)
def test_each_tool_gets_its_files(tmp_path: Path, files: tuple[Path, Path], tool: str, name: str, beside: str):
    rows, labels = files
    output = run("export", rows, "--format", tool, "--labels", labels, "--output", tmp_path / "out" / name, "--blank").stdout
    assert "3 rows: " in output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([name, beside])
    assert "负面" not in (tmp_path / "out" / name).read_text(encoding="utf-8")


def test_two_people_in_two_files(tmp_path: Path, files: tuple[Path, Path]):
    rows, labels = files
    for who, choice in (("zhang", "正面"), ("li", "负面")):
        record = {"id": 1, "text": "好\n的", "row_id": "r3", "label": ["质量", choice], "Comments": []}
        (tmp_path / f"{who}.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    sources = ("--from", tmp_path / "zhang.jsonl", "--from", tmp_path / "li.jsonl")
    output = run(
        "import", "--base", rows, *sources, "--format", "doccano", "--labels", labels, "--output", tmp_path / "m.jsonl"
    ).stdout
    assert "1 conflicts (1 disagreement)" in output
    assert "zhang: 1 done" in output
    assert read_rows(tmp_path / "m.jsonl")[2].labels == ("质量",)


def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path: Path, files: tuple[Path, Path]):
    rows, labels = files
    before = sorted(tmp_path.iterdir())
    assert ".xlsx" in run("export", rows, "--format", "excel", "--labels", labels, "--output", "x.csv", code=2).stderr
    run("export", rows, "--format", "doccano", "--labels", labels, "--output", rows, code=2)
    back = ("--format", "argilla", "--labels", labels)
    run("import", "--base", rows, "--from", tmp_path / "none.json", *back, "--output", tmp_path / "m.jsonl", code=2)
    run("import", "--base", rows, "--from", rows, *back, "--output", rows, code=2)
    run("import", "--base", rows, "--from", rows, *back, "--output", tmp_path / "m.csv", code=2)
    assert sorted(tmp_path.iterdir()) == before
    rows.write_text('{"id": "r1", "text": "a"}\n{"id": "r1", "text": "b"}\n', encoding="utf-8")
    assert "ids are not unique" in run("export", rows, *back, "--output", tmp_path / "t.json", code=2).stderr
    rows.write_text("", encoding="utf-8")
    assert "no rows" in run("export", rows, *back, "--output", tmp_path / "t.json", code=2).stderr


def test_rows_without_ids_are_warned_about(tmp_path: Path, files: tuple[Path, Path]):
    rows, labels = files
    rows.write_text('{"text": "a"}\n{"text": "b"}\n', encoding="utf-8")
    found = run("export", rows, "--format", "argilla", "--labels", labels, "--output", tmp_path / "t.json")
    assert "has no ids" in found.stderr


def test_help_has_an_example():
    for command in ("export", "import"):
        assert "Example: duobiao annotate" in run(command, "--help").stdout
