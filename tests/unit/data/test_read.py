"""What a file in good order gives; refusals stand in test_read_errors.py, encodings in test_read_encoding.py."""

import csv
import dataclasses
import io
import json
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.labels import Group, LabelSpace

LABELS = ["物流", "质量/做工", "bill", "售后 退款"]
TEXTS = st.text("你好快递没到 aB09.-/\"'，,;；|、\t\nÀ🙂\u3000", min_size=1, max_size=12).filter(str.strip)
ROWS = st.lists(
    st.builds(
        lambda text, context, labels, unknown, group: {
            "text": text,
            "context": context,
            "labels": labels,
            "unknown": [name for name in unknown if name not in labels],
            "group_id": group,
        },
        TEXTS,
        st.none() | st.sampled_from(["身份确认", "时间,地点"]),
        st.lists(st.sampled_from(LABELS), unique=True),
        st.lists(st.sampled_from(LABELS), max_size=2, unique=True),
        st.none() | st.sampled_from(["d1", "d2"]),
    ),
    min_size=1,
    max_size=5,
)


def bare(rows: list[Row]) -> list[Row]:
    return [dataclasses.replace(row, source="") for row in rows]


def write_jsonl(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n\n" for record in records), encoding="utf-8")
    return path


def table(records: list[dict[str, Any]], separator: str, delimiter: str) -> str:
    cells = [
        [separator.join(value) if isinstance(value, list) else "" if value is None else value for value in record.values()]
        for record in records
    ]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([list(records[0]), *cells])
    return out.getvalue()


@settings(deadline=None, max_examples=25)
@given(records=ROWS, separator=st.sampled_from([",", "，", ";", "；", "|", "、", "\n", ", "]))
def test_the_same_rows_come_from_every_format(tmp_path_factory: pytest.TempPathFactory, records: Any, separator: str):
    records = [{"id": n + 1, **record, "渠道": "电话"} for n, record in enumerate(records)]
    folder = tmp_path_factory.mktemp("rows")
    write_jsonl(folder / "a.jsonl", records)
    (folder / "a.json").write_text(json.dumps(records), encoding="utf-8")
    (folder / "a.csv").write_text(table(records, separator, ","), encoding="utf-8-sig", newline="")
    (folder / "b.csv").write_bytes(table(records, separator, ",").encode("gb18030"))
    (folder / "a.tsv").write_text(table(records, separator, "\t"), encoding="utf-8", newline="")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), folder / "a.parquet")
    book = openpyxl.Workbook()
    book.active.append(list(records[0]))
    for record in records:
        book.active.append([separator.join(value) if isinstance(value, list) else value for value in record.values()])
    book.save(folder / "a.xlsx")
    wanted = [
        Row(
            id=str(record["id"]),
            text=record["text"],
            context=record["context"],
            labels=tuple(record["labels"]),
            unknown=tuple(record["unknown"]),
            group_id=record["group_id"],
            extra={"渠道": "电话"},
        )
        for record in records
    ]
    for name in ("a.jsonl", "a.json", "a.csv", "b.csv", "a.tsv", "a.parquet", "a.xlsx"):
        assert bare(read_rows(folder / name)) == wanted, name


def test_a_row_knows_its_place_in_the_file(tmp_path: Path):
    (tmp_path / "a.csv").write_text('text,labels\n\n"两\n行",物流\n好的,\n', encoding="utf-8")
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n\n{"text": "b"}\n', encoding="utf-8")
    in_table, in_lines = read_rows(tmp_path / "a.csv"), read_rows(tmp_path / "a.jsonl")
    assert [row.source for row in in_table] == [f"{tmp_path / 'a.csv'}: row {line}" for line in (3, 5)]
    assert [row.source for row in in_lines] == [f"{tmp_path / 'a.jsonl'}: row {line}" for line in (1, 3)]
    assert [row.id for row in in_lines] == ["1", "3"]  # no id of its own


def test_an_input_without_labels_is_told_from_one_without_true_labels(tmp_path: Path):
    assert read_rows(write_jsonl(tmp_path / "a.jsonl", [{"text": "好"}]))[0].labels is None
    assert read_rows(write_jsonl(tmp_path / "b.jsonl", [{"text": "好", "labels": []}]))[0].labels == ()
    (tmp_path / "a.csv").write_text("text,labels\n好,\n", encoding="utf-8")
    assert read_rows(tmp_path / "a.csv")[0].labels == ()


def test_own_column_names(tmp_path: Path):
    records = [{"编号": 7, "内容": "没收到", "节点": "回访", "标签": "物流|质量", "text": "原文"}]
    columns = {"id": "编号", "text": "内容", "context": "节点", "labels": "标签"}
    row = read_rows(write_jsonl(tmp_path / "a.jsonl", records), columns=columns)[0]
    assert (row.id, row.text, row.context, row.labels) == ("7", "没收到", "回访", ("物流", "质量"))
    assert row.extra == {"text": "原文"}


@pytest.mark.parametrize(
    ("cell", "separator", "labels"),
    [
        ("物流,质量", None, ("物流", "质量")),
        (" 物流 ； ；质量、物流|", None, ("物流", "质量")),
        ("物流/质量", None, ("物流/质量",)),
        ("物流/质量", "/", ("物流", "质量")),
        ("a,b//c", "//", ("a,b", "c")),
        ("a.b", ".", ("a", "b")),
        ('["投诉,建议", "物流"]', None, ("投诉,建议", "物流")),
        ("[其他]", None, ("[其他]",)),
        ("投诉,建议", None, ("投诉,建议",)),  # a label of the space is never parted
    ],
)
def test_labels_in_a_cell(tmp_path: Path, cell: str, separator: str | None, labels: tuple[str, ...]):
    names = {"物流", "质量", "投诉,建议", *labels}
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "好", "labels": cell}])
    assert read_rows(path, space=LabelSpace(tuple(sorted(names))), separator=separator)[0].labels == labels


SPACE = LabelSpace(("物流", "质量"), (Group("情感", ("正面", "负面")), Group("升级", ("升级",), at_most_one=True)))


def test_one_column_a_label_with_blanks_as_unknown(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(
        "text,物流,质量,正面,负面,升级,年龄\n一,1,0,1,,0,30\n二,,1.0,0,,?,31\n三,TRUE,-1,,,1,32\n四, 0 ,false,0,1,NaN,33\n",
        encoding="utf-8",
    )
    rows = read_rows(path, space=SPACE)
    assert [row.labels for row in rows] == [("物流", "正面"), ("质量",), ("物流", "升级"), ("负面",)]
    assert [row.unknown for row in rows] == [(), ("物流", "负面", "升级"), ("质量", "正面", "负面"), ("升级",)]
    assert rows[0].extra == {"年龄": "30"}
    cells = [SPACE.encode(row.labels or (), row.unknown).tolist() for row in rows]
    assert cells == [[1, 0, 1, 0, 0], [-1, 1, -1, -1, -1], [1, -1, -1, -1, 1], [0, 0, 0, 1, -1]]


def test_label_columns_are_recognised_without_a_space(tmp_path: Path):
    records = [
        {"text": "一", "id": 1, "物流": 1, "质量": None, "年龄": 30, "空": None, "好": True},
        {"text": "二", "id": 0, "物流": 0.0, "质量": " 1 ", "年龄": 1, "空": None, "好": False},
    ]
    rows = read_rows(write_jsonl(tmp_path / "a.jsonl", records))
    assert [row.labels for row in rows] == [("物流", "好"), ("质量",)]
    assert [row.unknown for row in rows] == [("质量",), ()]
    assert rows[0].extra == {"年龄": 30, "空": None}


def test_a_labels_column_wins_over_label_columns(tmp_path: Path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "一", "labels": ["物流"], "质量": 1}])
    row = read_rows(path, space=SPACE)[0]
    assert (row.labels, row.extra) == (("物流",), {"质量": 1})


def test_missing_values_are_no_words(tmp_path: Path):
    records = [{"text": "一", "context": float("nan"), "labels": float("nan"), "group_id": None, "id": float("nan")}]
    row = read_rows(write_jsonl(tmp_path / "a.jsonl", records))[0]
    assert (row.context, row.labels, row.group_id, row.id) == (None, (), None, "1")


def test_whole_numbers_keep_no_decimal_point(tmp_path: Path):
    pyarrow.parquet.write_table(pyarrow.table({"text": [12.0, 0.5], "id": [3.0, 4.0]}), tmp_path / "a.parquet")
    assert [(row.id, row.text) for row in read_rows(tmp_path / "a.parquet")] == [("3", "12"), ("4", "0.5")]


def test_labels_are_left_alone_where_they_are_not_wanted(tmp_path: Path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "好", "labels": {"broken": 1}, "unknown": [[]], "物流": "x"}])
    columns = {"labels": "没有", "unknown": "没有", "text": "text"}
    row = read_rows(path, space=SPACE, columns=columns, labelled=False)[0]
    assert (row.labels, row.unknown) == (None, ())
    assert row.extra == {"labels": {"broken": 1}, "unknown": [[]], "物流": "x"}


def test_a_pipe_brings_jsonl(monkeypatch: pytest.MonkeyPatch):
    data = '{"text": "没收到"}\n'.encode("gb18030")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    row = read_rows("-")[0]
    assert (row.text, row.source) == ("没收到", "<stdin>: row 1")


def test_a_file_without_rows_gives_none(tmp_path: Path):
    for name in ("a.jsonl", "a.csv"):
        (tmp_path / name).write_bytes(b"")
        assert read_rows(tmp_path / name) == []
