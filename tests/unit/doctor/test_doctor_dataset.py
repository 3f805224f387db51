import json
from pathlib import Path

import pytest

from duobiao.data.read import parse_rows, read_rows
from duobiao.doctor.dataset import Dataset, read_dataset
from duobiao.errors import DataError


def read(path: Path) -> Dataset:
    return read_dataset({"data": path})


def test_sound_rows_are_read_and_the_others_named(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": "一", "labels": []}\n{"text": "坏\n\n{"text": ["x"]}\n[1]\n{"text": "二", "labels": ["A"]}\n', "utf-8"
    )
    split = read(path).splits[0]
    assert [row.text for row in split.rows] == ["一", "二"]
    assert split.numbers == [1, 6]
    assert [problem.split(": ")[1] for problem in split.problems] == ["line 2", "line 5", "row 4"]


def test_parsing_and_reading_agree(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("text,A\n一,1\n二,0\n", encoding="utf-8")
    parsed = parse_rows(path)
    assert parsed.rows == read_rows(path)
    assert (parsed.numbers, parsed.problems, parsed.text_column) == ([2, 3], [], "text")


def test_damaged_bytes_cost_the_characters_and_not_the_file(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    lines = ['{"text": "一二三"}'.encode(), '{"text": "坏'.encode() + b'\xe5\xad"}', '{"text": "好的"}'.encode()]
    path.write_bytes(b"\n".join(lines))
    split = read(path).splits[0]
    assert [row.text for row in split.rows] == ["一二三", "坏\ufffd", "好的"]
    assert split.damaged == [f"{path}: line 2: bytes are neither UTF-8 nor GB18030"]
    assert split.problems == []


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030", "utf-8-sig"])
def test_other_encodings_are_read(tmp_path: Path, encoding: str):
    path = tmp_path / "a.csv"
    path.write_bytes("text,labels\n快递没到,物流\n".encode(encoding))
    split = read(path).splits[0]
    assert [(row.text, row.labels) for row in split.rows] == [("快递没到", ("物流",))]
    assert bool(split.damaged) == (encoding == "utf-16")


def test_nuls_are_dropped_and_told(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes("text\n快\0递\n".encode())
    split = read(path).splits[0]
    assert [row.text for row in split.rows] == ["快递"]
    assert len(split.damaged) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", "{"), ("a.json", '["x"]'), ("a.csv", "content\n一\n"), ("a.xlsx", "no zip"), ("a.parquet", "no table")],
)
def test_files_of_which_nothing_can_be_read_are_a_problem_and_no_error(tmp_path: Path, name: str, content: str):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    split = read(path).splits[0]
    assert split.rows == []
    assert len(split.problems) == 1
    assert str(path) in split.problems[0]


def test_what_the_user_got_wrong_is_an_error_that_names_it_all(tmp_path: Path):
    good = tmp_path / "a.jsonl"
    good.write_text(json.dumps({"text": "一"}), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_dataset({"train": good, "dev": tmp_path / "none.jsonl", "test": tmp_path / "b.doc"})
    assert len(caught.value.problems) == 2
    with pytest.raises(DataError, match="given as train and as test"):
        read_dataset({"train": good, "test": tmp_path / "." / "a.jsonl"})
    with pytest.raises(DataError, match="nothing to check"):
        read_dataset({})
    with pytest.raises(DataError, match="no such field"):
        read_dataset({"data": good}, columns={"texts": "a"})


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text('{"text": "一"}', encoding="utf-8")
    alone = read(tmp_path / "a" / "rows.jsonl")
    both = read_dataset({"train": tmp_path / "a" / "rows.jsonl", "test": tmp_path / "b" / "rows.jsonl"})
    assert alone.places == ["rows.jsonl:1"]
    assert both.places == [f"{tmp_path / name / 'rows.jsonl'}:1" for name in ("a", "b")]
