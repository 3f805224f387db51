"""The built-in calls, against counts made by hand."""

from __future__ import annotations

from pathlib import Path

from duobiao import builtin
from duobiao.data.prepare import prepare_transcripts
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.labels import LabelSpace

GOLDEN_NODES = {
    "身份确认": (37, 38, 37),
    "来意说明": (30, 30, 27),
    "时间确认": (27, 27, 21),
    "地址确认": (21, 21, 19),
    "转告": (6, 6, 3),
    "二次确认": (23, 23, 18),
    "满意度": (18, 18, 0),
    "结束": (31, 3, 0),
}
GOLDEN_LABELS = {
    **{"身份确认/是": 26, "身份确认/否": 1, "身份确认/家属": 5, "身份确认/不明": 5},
    **{"来意说明/愿意": 21, "来意说明/没空": 1, "来意说明/拒绝": 2, "来意说明/追问": 3},
    **{"时间确认/可以": 17, "时间确认/改期": 3, "时间确认/不明": 1},
    **{"地址确认/正确": 14, "地址确认/有误": 1, "地址确认/补充": 3, "地址确认/不明": 1},
    **{"转告/答应": 2, "转告/不明": 1},
    **{"二次确认/确认": 16, "二次确认/反悔": 1, "二次确认/更正": 1},
}


def test_the_built_in_calls(tmp_path: Path):
    places = {"todo": tmp_path / "todo.xlsx", "turns": tmp_path / "turns.jsonl"}
    summary = prepare_transcripts(
        "callback", "callback", tmp_path / "rows.jsonl", **places, labels="callback", where=["通话状态=已接听"]
    )
    found = summary.to_dict()
    assert found["calls"] == {
        **{"read": 40, "used": 33, "without turns": 0, "repeated": 0, "same id, other turns (kept)": 0},
        "filtered": {"通话状态=未接听": 3, "通话状态=占线": 2, "通话状态=无法接通": 2},
    }
    assert found["turns"] == {
        "read": 396,
        "fates": {
            "robot: a node": 193,
            "robot: repeats itself": 1,
            "robot: no known phrase": 16,
            "customer: labelled": 128,
            "customer: no edge labels this way": 26,
            "customer: the robot's next turn has no known phrase": 14,
            "customer: after a robot's turn without a known phrase": 13,
            "customer: the node asks nothing": 3,
            "customer: before any node": 2,
        },
    }
    assert {name: tuple(node.values())[:3] for name, node in found["nodes"].items()} == GOLDEN_NODES
    assert found["labels"] == GOLDEN_LABELS
    assert (found["answers"]["all"], found["answers"]["labelled"], found["without node"]["answers"]) == (181, 125, 15)
    assert found["unknown speakers"] == found["robot turns with phrases of several nodes"] == {}
    assert summary.notes == []
    rows = read_rows(tmp_path / "rows.jsonl", space=LabelSpace.from_yaml(builtin.folder("callback") / "labels.yaml"))
    assert len(rows) == 125
    assert all(row.id.startswith(f"{row.group_id}-") for row in rows)
    assert sum(int(row.extra["count"]) for row in read_rows(places["todo"])) == 56


def test_the_built_in_calls_as_a_person_reads_them(tmp_path: Path):
    """Calls with a relative, a change of mind, a question asked again, a hang-up."""
    prepare_transcripts("callback", "callback", tmp_path / "rows.jsonl", todo=tmp_path / "todo.jsonl")
    rows: dict[str, Row] = {row.id.removeprefix("C20260301-"): row for row in read_rows(tmp_path / "rows.jsonl")}
    assert rows["003-2"].labels == ("身份确认/家属",)
    assert rows["003-4"].labels == ("转告/答应",)
    assert rows["010-10"].labels == ("二次确认/反悔",)
    assert rows["015-4"].text == "我说我是"
    assert rows["015-4"].labels == ("身份确认/是",)
    assert rows["029-11"].labels == ("时间确认/改期",)
    assert rows["027-10"].labels == ("地址确认/有误",)
    assert rows["014-2"].text == "是的 你是那个修冰箱的吧"
    todo = {row.id.removeprefix("C20260301-"): row for row in read_rows(tmp_path / "todo.jsonl", labelled=False)}
    assert todo["013-6"].context == "时间确认"  # hung up: nobody knows
    assert todo["016-1"].context is None
    assert not set(rows) & set(todo)
