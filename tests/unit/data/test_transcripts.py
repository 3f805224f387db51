"""Calls from files of every layout and format; filters; what is left out is counted."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from duobiao.data.flow import Flow
from duobiao.data.transcripts import Call, Tally, read_calls
from duobiao.errors import DataError

FLOW = Flow.from_dict({"nodes": {"A": ["甲"]}, "prefixes": {"robot": ["AI"], "customer": ["ME", "客户"]}})
TALK = "AI: 您好\nME: 喂\nME: 是"
TURNS = [{"speaker": "AI", "text": "您好"}, {"speaker": "ME", "text": "喂"}, {"speaker": "ME", "text": "是"}]
EXPECTED = [("robot", "您好"), ("customer", "喂"), ("customer", "是")]


def calls(path: Path, **options: Any) -> tuple[list[Call], Tally]:
    tally = Tally()
    return list(read_calls([path], FLOW, tally, **options)), tally


def spoken(call: Call) -> list[tuple[str, str]]:
    assert [turn.number for turn in call.turns] == list(range(1, len(call.turns) + 1))
    return [(turn.speaker, turn.text) for turn in call.turns]


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        calls(path, **options)
    assert error.value.hint
    return str(error.value)


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    """Records in the format of the path's ending."""
    header = list(dict.fromkeys(key for record in records for key in record))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(records)
    elif path.suffix == ".xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        book.active.append(header)
        for record in records:
            book.active.append([record.get(name) for name in header])
        book.save(path)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(records), path)
    return path


TABLES = (".csv", ".tsv", ".xlsx", ".jsonl", ".json", ".parquet")


@pytest.mark.parametrize("ending", TABLES)
def test_one_call_a_cell(tmp_path: Path, ending: str):
    path = write(tmp_path / f"x{ending}", [{"通话ID": "a", "对话内容": TALK}, {"通话ID": "b", "对话内容": "AI: 再见"}])
    found, tally = calls(path)
    assert [call.id for call in found] == ["a", "b"]
    assert spoken(found[0]) == EXPECTED
    assert (tally.calls, tally.turns) == (2, 4)


@pytest.mark.parametrize("ending", TABLES)
def test_one_turn_a_row(tmp_path: Path, ending: str):
    records = [{"dialogue": "a", **turn} for turn in TURNS]
    records.insert(1, {"dialogue": "b", "speaker": "客户", "text": "喂"})
    found, tally = calls(write(tmp_path / f"x{ending}", records))
    assert {call.id: spoken(call) for call in found} == {"a": EXPECTED, "b": [("customer", "喂")]}
    assert (tally.calls, tally.turns) == (2, 4)


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("keys", [("speaker", "text"), ("role", "content")])
def test_lists_of_turns(tmp_path: Path, ending: str, keys: tuple[str, str]):
    turns = [dict(zip(keys, turn.values(), strict=True)) for turn in TURNS]
    found, tally = calls(write(tmp_path / f"x{ending}", [{"id": "a", "turns": turns}]))
    assert [(call.id, spoken(call)) for call in found] == [("a", EXPECTED)]
    assert (tally.calls, tally.turns) == (1, 3)


def test_lists_of_lines_and_lists_inside_a_cell(tmp_path: Path):
    found, _ = calls(write(tmp_path / "x.jsonl", [{"turns": TALK.split("\n")}]))
    assert spoken(found[0]) == EXPECTED
    found, _ = calls(write(tmp_path / "x.csv", [{"call": json.dumps(TURNS)}, {"call": "[00:01] AI: 您好\nME: 喂\nME: 是"}]))
    assert [spoken(call) for call in found] == [EXPECTED, EXPECTED]


def test_own_names_for_everything(tmp_path: Path):
    path = write(tmp_path / "a.csv", [{"编号": "7", "录音": TALK}])
    found, _ = calls(path, columns={"call": "录音", "id": "编号"})
    assert (found[0].id, spoken(found[0])) == ("7", EXPECTED)
    turns = [{"谁": turn["speaker"], "话": turn["text"]} for turn in TURNS]
    found, _ = calls(write(tmp_path / "b.jsonl", [{"记录": turns}]), columns={"turns": "记录", "speaker": "谁", "text": "话"})
    assert spoken(found[0]) == EXPECTED
    path = write(tmp_path / "c.csv", [{"会": "x", **turn} for turn in turns])
    found, _ = calls(path, columns={"dialogue": "会", "speaker": "谁", "text": "话"})
    assert (found[0].id, spoken(found[0])) == ("x", EXPECTED)


def test_gb18030_and_mixed_line_ends(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_bytes('通话ID,对话内容\r\n1,"AI: 您好\r\nME: 喂\rME: 是"\n'.encode("gb18030"))
    found, _ = calls(path)
    assert spoken(found[0]) == EXPECTED


@pytest.mark.parametrize(
    "times",
    [["2", "10", "1"], ["9:05", "10:02", "8:59"], ["2026-3-1 9:00", "2026-10-1 8:00", "2026-2-1 7:00"], [2, 10, 1.5]],
)
def test_turns_are_ordered_by_time_where_there_is_one(tmp_path: Path, times: list[Any]):
    marks = ["ME", "ME", "AI"]
    texts = ["喂", "是", "您好"]
    records = [
        {"dialogue": "a", "speaker": mark, "text": text, "time": time}
        for mark, text, time in zip(marks, texts, times, strict=True)
    ]
    path = write(tmp_path / "x.csv", records)
    assert spoken(calls(path)[0][0]) == EXPECTED
    assert spoken(calls(path, columns={"time": ""})[0][0]) == [("customer", "喂"), ("customer", "是"), ("robot", "您好")]


def test_calls_without_an_id_are_named_by_file_and_row(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    paths = [write(tmp_path / folder / "x.jsonl", [{"call": TALK}] * 2) for folder in ("a", "b")]
    found = list(read_calls(paths, FLOW, Tally()))
    assert [call.id for call in found] == ["x-1", "x-2", "x-1#2", "x-2#2"]


def test_a_call_that_comes_twice_counts_once_and_one_with_other_turns_is_kept(tmp_path: Path):
    records = [
        {"id": "a", "call": TALK},
        {"id": "a", "call": "AI: 您好"},
        {"id": "a", "call": TALK},
        {"id": "a#2", "call": TALK},
    ]
    found, tally = calls(write(tmp_path / "x.jsonl", records))
    assert [(call.id, call.key, len(call.turns)) for call in found] == [("a", "a", 3), ("a", "a#2", 1), ("a#2", "a#2#2", 3)]
    assert (tally.repeated, tally.repeated_turns, tally.same_id) == (1, 3, 1)
    assert (tally.calls, tally.turns) == (4, 10)


# ---- filters ----------------------------------------------------------------------------------------------

STATES = [
    {"id": "a", "call": TALK, "状态": "已接听", "组": "甲"},
    {"id": "b", "call": "", "状态": "未接听", "组": "甲"},
    {"id": "c", "call": TALK, "状态": "占线 ", "组": "乙"},
    {"id": "d", "call": TALK, "状态": "转接", "组": "乙"},
]


@pytest.mark.parametrize(
    ("where", "stay"),
    [
        ([], "acd"),
        (["状态=已接听"], "a"),
        (["状态 = 已接听", "状态=占线"], "ac"),
        (["状态!=未接听", "状态!=占线"], "ad"),
        (["状态=已接听", "组=乙"], ""),
        (["组=乙", "状态!=占线"], "d"),
    ],
)
def test_filters(tmp_path: Path, where: list[str], stay: str):
    found, tally = calls(write(tmp_path / "x.jsonl", STATES), where=where)
    assert "".join(call.id for call in found) == stay
    assert len(found) + tally.silent + tally.filtered.total() == tally.calls == 4
    assert sum(len(call.turns) for call in found) + tally.filtered_turns == tally.turns == 9


def test_the_value_that_left_a_call_out_is_named(tmp_path: Path):
    _, tally = calls(write(tmp_path / "x.jsonl", STATES), where=["状态=已接听"])
    assert tally.filtered == {"状态=未接听": 1, "状态=占线": 1, "状态=转接": 1}


def test_filters_of_one_turn_a_row(tmp_path: Path):
    records = [{"dialogue": "a", **turn, "好": "1"} for turn in TURNS]
    records[1]["好"] = "0"
    records.append({"dialogue": "b", "speaker": "AI", "text": "您好", "好": "0"})
    found, tally = calls(write(tmp_path / "x.csv", records), where=["好=1"])
    assert [spoken(call) for call in found] == [[EXPECTED[0], EXPECTED[2]]]
    assert (tally.calls, tally.turns, tally.filtered_turns, tally.filtered) == (2, 4, 2, {"好=0": 1})


def test_columns_are_handed_on(tmp_path: Path):
    found, _ = calls(write(tmp_path / "x.jsonl", STATES), keep=["组"])
    assert [call.kept for call in found] == [{"组": "甲"}, {"组": "乙"}, {"组": "乙"}]


# ---- bad input --------------------------------------------------------------------------------------------


def test_columns_that_are_not_there_are_told_all_at_once(tmp_path: Path):
    path = write(tmp_path / "x.csv", [{"内": TALK}])
    message = refused(path, columns={"id": "号"}, where=["状态=1"], keep=["组"])
    for part in (
        "'call' for call",
        "there are: 内",
        "--columns call=..., or for one turn a row dialogue=",
        "'号' for id",
        "--where: there is no column '状态'",
        "'组'",
    ):
        assert part in message


@pytest.mark.parametrize(("where", "part"), [("状态", "'状态'"), ("=1", "'=1'"), ("!=1", "'!=1'")])
def test_filters_that_are_none(tmp_path: Path, where: str, part: str):
    assert part in refused(write(tmp_path / "x.jsonl", STATES), where=[where])


def test_a_field_that_does_not_exist(tmp_path: Path):
    assert "no such field: caller" in refused(write(tmp_path / "x.jsonl", STATES), columns={"caller": "x"})


def test_problems_of_all_rows_and_files_come_together(tmp_path: Path):
    first = tmp_path / "x.jsonl"
    first.write_text(
        '{"turns": [{"speaker": "AI"}, {"role": "AI", "text": "x"}, 3]}\n{\n{"turns": {"a": 1}}\n'
        '{"turns": [{"speaker": "AI", "text": ["x"]}]}\n',
        encoding="utf-8",
    )
    second = write(tmp_path / "y.csv", [{"dialogue": "", "speaker": "AI", "text": "x", "time": "1"}])
    third = write(tmp_path / "z.csv", [{"dialogue": "a", "speaker": "AI", "text": "x", "time": "gestern"}])
    with pytest.raises(DataError) as error:
        list(read_calls([first, second, third], FLOW, Tally()))
    message = "\n".join(error.value.problems)
    for part in (
        "row 1: turn 1: has no 'text'",
        "row 1: turn 3: is no object",
        "line 2: broken JSON",
        "row 3: the dialogue is an object",
        "row 4: turn 1: 'text' is no text",
        "y.csv: row 2: no dialogue id",
        "z.csv: row 2: 'time' holds 'gestern'",
    ):
        assert part in message
    assert len(error.value.problems) == 7


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("x.csv", None, "no such file"),
        ("x.docx", b"x", ".docx"),
        ("x.csv", b"call\nAI: \0\n", "UTF-16, or no text"),
        ("x.csv", "call\nAI: 您好".encode()[:-1], "line 2"),
        ("x.xlsx", b"x", "Excel"),
        ("x.json", b"{}", "no list"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, part: str):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert part in refused(path)


def test_an_empty_file_holds_no_calls(tmp_path: Path):
    for name in ("x.csv", "x.jsonl"):
        (tmp_path / name).write_bytes(b"")
        assert calls(tmp_path / name)[1] == Tally()


def test_cells_of_other_kinds_are_no_trouble(tmp_path: Path):
    records: list[dict[str, Any]] = [
        {"id": 1, "call": TALK},
        {"id": None, "call": None},
        {"id": 2.0, "call": 12},
        {"id": 3, "call": ""},
    ]
    found, tally = calls(write(tmp_path / "x.xlsx", records))
    assert [(call.id, len(call.turns)) for call in found] == [("1", 3), ("2", 1)]
    assert (tally.calls, tally.silent) == (3, 1)  # a row of blanks only is no row


def test_a_formula_without_its_saved_value_is_told_not_read_as_blank(tmp_path: Path):
    with pytest.raises(DataError, match=r"cell \w3: a formula without its value[\s\S]*cell \w4"):
        calls(write(tmp_path / "x.xlsx", [{"call": TALK}, {"call": '="AI: 您好"'}, {"id": 1, "call": "=1+1"}]))
