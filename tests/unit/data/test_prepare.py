"""Calls to rows: the node, the next node, the weak label; what has none is kept; every turn is counted exactly once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao import builtin
from duobiao.data.flow import Flow
from duobiao.data.prepare import Summary, prepare_transcripts
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, targets
from duobiao.errors import ConfigError, DataError
from duobiao.labels import LabelSpace

FLOW: dict[str, Any] = {
    "prefixes": {"robot": ["AI"], "customer": ["ME"]},
    "repeat": ["没听清"],
    "nodes": {
        "身份": ["本人吗"],
        "时间": {"phrases": ["时间可以吗"], "context": "约时间"},
        "再见": {"phrases": ["再见"], "ask": False},
    },
    "edges": [
        {"from": "身份", "to": "时间", "labels": ["是"]},
        {"from": "身份", "to": "身份", "labels": ["不明"]},
        {"from": "身份", "to": "再见", "labels": ["否"]},
        {"from": "时间", "to": "再见", "labels": ["可以"]},
        {"from": "时间", "to": "end", "labels": ["挂断"]},
    ],
}
Q1, Q2, BYE, ODD, AGAIN = "AI: 是本人吗", "AI: 时间可以吗", "AI: 再见", "AI: 请稍等", "AI: 没听清"


class Run:
    """One preparation of calls given as lists of lines, with all it wrote."""

    def __init__(self, folder: Path, *calls: list[str], flow: dict[str, Any] | None = None, **options: Any) -> None:
        source = folder / "calls.jsonl"
        source.write_text(
            "".join(json.dumps({"id": f"c{at}", "call": "\n".join(lines)}) + "\n" for at, lines in enumerate(calls)),
            encoding="utf-8",
        )
        self.places = {"output": folder / "rows.jsonl", "todo": folder / "todo.jsonl", "turns": folder / "turns.jsonl"}
        self.summary: Summary = prepare_transcripts(source, Flow.from_dict(flow or FLOW), **self.places, **options)
        self.rows, self.todo, self.turns = (
            [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in self.places.values()
        )

    @property
    def fates(self) -> list[str]:
        return [turn["fate"] for turn in self.turns]

    @property
    def short(self) -> list[tuple[Any, ...]]:
        """Text, node, next node and label of each labelled row."""
        return [(row["text"], row["in_node"], row["out_node"], *row["labels"]) for row in self.rows]


# ---- nodes and labels -------------------------------------------------------------------------------------


def test_an_answer_gets_its_node_the_next_one_and_the_label_of_the_edge(tmp_path: Path):
    run = Run(tmp_path, [Q1, "ME: 对", Q2, "ME: 行", BYE])
    assert run.rows == [
        {"id": "c0-2", "text": "对", "context": "身份", "labels": ["是"], "group_id": "c0"}
        | {"in_node": "身份", "out_node": "时间", "turn": 2, "weak": True},
        {"id": "c0-4", "text": "行", "context": "约时间", "labels": ["可以"], "group_id": "c0"}
        | {"in_node": "时间", "out_node": "再见", "turn": 4, "weak": True},
    ]
    assert run.todo == []


def test_a_robot_that_repeats_itself_stays_at_its_node(tmp_path: Path):
    run = Run(tmp_path, [Q1, "ME: 啊", AGAIN, "ME: 我说是", Q2])
    assert run.short == [("啊", "身份", "身份", "不明"), ("我说是", "身份", "时间", "是")]
    assert run.fates[2] == "robot: repeats itself"


def test_hanging_up_is_the_end(tmp_path: Path):
    assert Run(tmp_path, [Q2, "ME: 喂"]).short == [("喂", "时间", "end", "挂断")]
    assert Run(tmp_path, [Q2, "ME: 喂", ODD]).short == [("喂", "时间", "end", "挂断")]


def test_unknown_words_of_the_robot_end_the_node_and_give_no_label(tmp_path: Path):
    run = Run(tmp_path, [Q1, "ME: 等下", ODD, "ME: 好了", Q2, "ME: 行", BYE, "ME: 嗯"])
    assert run.short == [("行", "时间", "再见", "可以")]
    assert run.fates == [
        "robot: a node",
        "customer: the robot's next turn has no known phrase",
        "robot: no known phrase",
        "customer: after a robot's turn without a known phrase",
        "robot: a node",
        "customer: labelled",
        "robot: a node",
        "customer: the node asks nothing",
    ]
    assert [(item["text"], item.get("context")) for item in run.todo] == [("等下", "身份"), ("嗯", "再见"), ("好了", None)]
    assert run.summary.counts.unknown == {"请稍等": 1}


def test_a_node_may_live_on_but_such_answers_still_get_no_label(tmp_path: Path):
    run = Run(tmp_path, [Q1, "ME: 等下", ODD, "ME: 好了", Q2], flow={**FLOW, "unrecognised": "keep"})
    assert run.rows == []
    assert [item["context"] for item in run.todo] == ["身份", "身份"]


def test_turns_before_any_node_are_kept(tmp_path: Path):
    run = Run(tmp_path, ["ME: 喂", ODD, "ME: 谁啊", Q1, "ME: 对", Q2])
    assert run.fates[:4] == [
        "customer: before any node",
        "robot: no known phrase",
        "customer: before any node",
        "robot: a node",
    ]
    assert [item["text"] for item in run.todo] == ["喂", "谁啊"]
    assert run.short == [("对", "身份", "时间", "是")]


def test_the_next_node_is_the_first_one_known_before_the_customer_speaks_again(tmp_path: Path):
    run = Run(tmp_path, [Q1, "ME: 对", ODD, Q2, BYE, "ME: 嗯"])
    assert run.short == [("对", "身份", "时间", "是")]
    assert run.summary.to_dict()["ways"][0] == {"from": "身份", "to": "时间", "answers": 1, "labelled": 1}


def test_customers_turns_in_a_row_joined_or_kept_apart(tmp_path: Path):
    call = [Q1, "ME: 对", "系统: 静音", "ME:", "ME: 是我", Q2]
    joined = Run(tmp_path, call)
    assert joined.short == [("对 是我", "身份", "时间", "是")]
    apart = Run(tmp_path, call, join=False)
    assert apart.short == [("对", "身份", "时间", "是"), ("是我", "身份", "时间", "是")]
    assert [row["id"] for row in apart.rows] == ["c0-2", "c0-5"]
    for run in (joined, apart):
        assert run.fates == [
            *("robot: a node", "customer: labelled", "unknown speaker", "empty", "customer: labelled", "robot: a node")
        ]
    assert [turn["row"] for turn in joined.turns] == [None, "c0-2", None, None, "c0-2", None]
    assert Run(tmp_path, call, flow={**FLOW, "join": False}).short == apart.short


def test_a_window_of_earlier_turns_never_holds_what_comes_later(tmp_path: Path):
    run = Run(tmp_path, [Q1, "ME: 对", "ME: 是我", Q2, "ME: 行", BYE], window=2)
    assert [row["context"] for row in run.rows] == ["身份\nAI：是本人吗", "约时间\nME：是我\nAI：时间可以吗"]
    run = Run(tmp_path, [Q1, "ME: 对", "ME: 是我", Q2, "ME: 行", BYE], window=9, join=False)
    assert run.rows[1]["context"] == "身份\nAI：是本人吗\nME：对"
    assert run.rows[2]["context"] == "约时间\nAI：是本人吗\nME：对\nME：是我\nAI：时间可以吗"
    run = Run(tmp_path, ["ME: 喂", "系统: 一\n二", ODD, "ME: 谁"], flow={**FLOW, "window": 1})
    assert [item.get("context") for item in run.todo] == [None, "\nAI：请稍等"]


def test_labels_that_an_edge_leaves_open_are_unknown(tmp_path: Path):
    groups = {
        "身份": {"labels": ["是", "否", "不明"], "contexts": ["身份"]},
        "时间": {"labels": ["可以", "挂断"], "contexts": ["约时间"]},
        "升级": {"labels": ["要求升级"], "at_most_one": True},
        "回电": {"labels": ["要求回电"], "at_most_one": True, "contexts": ["约时间"]},
    }
    space = LabelSpace.from_dict({"labels": ["投诉"], "groups": groups})
    run = Run(tmp_path, [Q1, "ME: 对", Q2], labels=space)
    assert run.rows[0]["unknown"] == ["投诉", "升级"]
    rows = read_rows(run.places["output"], space=space)
    assert dict(zip(space.names, targets(rows, space)[0].tolist(), strict=True)) == {
        **{"投诉": -1, "是": 1, "否": 0, "不明": 0, "可以": -2, "挂断": -2, "要求升级": -1, "要求回电": -2}
    }


def test_a_flow_that_does_not_fit_the_labels_is_refused_and_nothing_written(tmp_path: Path):
    (tmp_path / "flow.yaml").write_text(json.dumps(FLOW), encoding="utf-8")
    (tmp_path / "labels.yaml").write_text("labels: [是]", encoding="utf-8")
    (tmp_path / "calls.jsonl").write_text('{"call": "AI: 喂"}', encoding="utf-8")
    with pytest.raises(ConfigError, match="label '否' is not in the label space"):
        prepare_transcripts(
            tmp_path / "calls.jsonl", tmp_path / "flow.yaml", tmp_path / "rows.jsonl", labels=tmp_path / "labels.yaml"
        )
    assert not (tmp_path / "rows.jsonl").exists()


def test_two_calls_with_one_id_stay_in_one_group_under_rows_of_their_own(tmp_path: Path):
    source = tmp_path / "calls.jsonl"
    talks = [[Q1, f"ME: {text}", Q2] for text in ("对", "是")]
    source.write_text("".join(json.dumps({"id": "a", "call": "\n".join(talk)}) + "\n" for talk in talks), encoding="utf-8")
    prepare_transcripts(source, Flow.from_dict(FLOW), tmp_path / "rows.jsonl")
    assert [(row.id, row.group_id) for row in read_rows(tmp_path / "rows.jsonl")] == [("a-2", "a"), ("a#2-2", "a")]


# ---- rows for a person ------------------------------------------------------------------------------------


def test_answers_to_annotate_stand_there_once_a_node_the_frequent_ones_first(tmp_path: Path):
    odd = [[Q1, f"ME: {text}", ODD, "ME: 好"] for text in ("嗯", "对", "对 ", "对")]
    run = Run(tmp_path, *odd, [Q2, "ME: 对", ODD, "ME: 好"])
    assert [(item.get("context"), item["text"], item["count"]) for item in run.todo] == [
        *(("身份", "对", 3), ("身份", "嗯", 1), ("约时间", "对", 1), (None, "好", 5))
    ]
    assert run.todo[0]["group_id"] == "c1"
    assert run.summary.answers.total() - run.summary.labelled.total() == sum(item["count"] for item in run.todo) == 10


def test_what_nobody_asks_comes_last_whatever_the_order_of_the_nodes(tmp_path: Path):
    nodes = {"再见": FLOW["nodes"]["再见"], "身份": FLOW["nodes"]["身份"]}
    run = Run(
        tmp_path,
        *[[Q1, "ME: 等下", ODD, BYE, f"ME: {text}"] for text in "嗯嗯"],
        flow={
            **FLOW,
            "nodes": nodes,
            "edges": [
                {"from": "身份", "to": "身份", "labels": ["不明"]},
                {"from": "身份", "to": "end"},
                {"from": "身份", "to": "再见"},
            ],
        },
    )
    assert [item["text"] for item in run.todo] == ["等下", "嗯"]


SPACE = LabelSpace.from_dict(
    {
        "labels": ["投诉"],
        "groups": {
            "身份": {"labels": ["是", "否", "不明"], "contexts": ["身份"]},
            "时间": {"labels": ["可以", "挂断"], "at_most_one": True, "contexts": ["约时间"]},
        },
    }
)
NAN = float("nan")


PROBABILITIES = {
    "肯定": [0.0, 1.0, 0.0, 0.0, NAN, NAN],
    "难说": [0.02, 0.4, 0.3, 0.3, NAN, NAN],
    "投诉": [0.5, 0.0, 1.0, 0.0, NAN, NAN],
    "时间": [0.0, NAN, NAN, NAN, 0.5, 0.45],
    "没问": [NAN] * 6,
}


class Oracle:
    """A model that knows a few texts."""

    space = SPACE

    def decide(self, texts: Any, context: Any, label: str = "") -> tuple[Any, Any]:
        proba = np.array([PROBABILITIES[text] for text in texts])
        return proba, np.nan_to_num(proba) >= 0.4


def test_with_a_model_the_least_sure_come_first(tmp_path: Path):
    calls = [[Q1, f"ME: {text}", ODD] + ["ME: 没问"] * (text == "肯定") for text in ("肯定", "难说", "投诉")]
    flow = {**FLOW, "edges": None}
    run = Run(tmp_path, *calls, [Q2, "ME: 时间", ODD, "ME: 没问"], model=Oracle(), flow=flow)
    assert [item["text"] for item in run.todo] == ["投诉", "难说", "时间", "肯定", "没问"]
    entropy = -(0.4 * np.log(0.4) + 0.6 * np.log(0.3)) / np.log(3)
    three = -(0.5 * np.log(0.5) + 0.45 * np.log(0.45) + 0.05 * np.log(0.05)) / np.log(3)
    assert [item.get("score") for item in run.todo] == pytest.approx([1.0, entropy, three, 0.0, None], abs=1e-4)
    assert [item["suggestion"] for item in run.todo] == [["投诉", "否"], ["是"], ["可以", "挂断"], ["是"], []]
    assert run.summary.notes[-1].startswith("no edge of the flow has labels")


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_tables_to_annotate_are_read_again_as_rows(tmp_path: Path, ending: str):
    texts = ["=1+1", 'a,b"c', "+86", "\x01控制", "半个\ud800"]
    source = tmp_path / "calls.jsonl"
    source.write_text(
        "".join(json.dumps({"call": f"{Q1}\nME: {text}\n{ODD}\nME: 好"}) + "\n" for text in texts), encoding="utf-8"
    )
    todo = tmp_path / f"todo{ending}"
    prepare_transcripts(source, Flow.from_dict(FLOW), tmp_path / "rows.jsonl", todo=todo)
    rows = read_rows(todo)
    assert [row.context for row in rows] == ["身份"] * 5 + [None]
    assert [row.text for row in rows][:3] == texts[:3]
    assert all("控制" in rows[3].text for row in rows)
    assert rows[4].text.startswith("半个")
    assert [row.labels for row in rows] == [()] * 6
    assert [row.group_id for row in rows] == [f"calls-{number}" for number in (1, 2, 3, 4, 5, 1)]


def test_a_workbook_offers_the_labels_of_each_node(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    calls = [[Q1, "ME: 甲", ODD, "ME: 好"], [Q2, "ME: 乙", ODD, "ME: 好"], [Q1, "ME: 丙", ODD, "ME: 好"]]
    source = tmp_path / "calls.jsonl"
    source.write_text("".join(json.dumps({"call": "\n".join(call)}) + "\n" for call in calls), encoding="utf-8")
    for labels, expected in (
        (SPACE, {"身份": "投诉 是 否 不明", "约时间": "投诉 可以 挂断"}),
        (None, {"身份": "是 不明 否", "约时间": "可以 挂断"}),
    ):
        prepare_transcripts(source, Flow.from_dict(FLOW), tmp_path / "rows.jsonl", todo=tmp_path / "todo.xlsx", labels=labels)
        book = openpyxl.load_workbook(tmp_path / "todo.xlsx")
        offered: dict[int, str] = {}
        for rule in book["rows"].data_validations.dataValidation:
            cells = book["labels"][rule.formula1.removeprefix("labels!")]
            names = " ".join(cell.value for (cell,) in cells)
            offered |= {row: names for part in rule.sqref.ranges for row in range(part.min_row, part.max_row + 1)}
            assert all(part.min_col == part.max_col == 4 for part in rule.sqref.ranges)
        contexts = [row[1] for row in book["rows"].iter_rows(min_row=2, values_only=True)]
        assert contexts == ["身份", "身份", "约时间", None]
        assert offered == {number: expected[context] for number, context in enumerate(contexts, 2) if context}


def test_a_workbook_never_cuts_a_text_off(tmp_path: Path):
    source = tmp_path / "c.jsonl"
    source.write_text(json.dumps({"call": f"{Q1}\nME: {'好' * 40_000}\n{ODD}"}), encoding="utf-8")
    with pytest.raises(DataError, match=r"row c-1-2: longer") as error:
        prepare_transcripts(source, Flow.from_dict(FLOW), tmp_path / "rows.jsonl", todo=tmp_path / "todo.xlsx")
    assert ".jsonl" in error.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.jsonl"]


# ---- nothing is lost --------------------------------------------------------------------------------------

SAID = st.sampled_from([Q1, Q2, BYE, ODD, AGAIN, "AI:", "ME:", "ME: 对", "ME: 不", "系统: 静音", "接着说", ""])


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(st.lists(SAID, max_size=9), min_size=1, max_size=5),
    join=st.booleans(),
    window=st.integers(0, 2),
    keep=st.sampled_from(["keep", "break"]),
)
def test_every_turn_is_counted_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[str]], join: bool, window: int, keep: str
):
    calls = [[Q1, "ME: 好"], *calls]
    run = Run(tmp_path_factory.mktemp("x"), *calls, flow={**FLOW, "unrecognised": keep}, join=join, window=window)
    found = run.summary.to_dict()
    turns, fates = found["turns"], Counter(run.fates)
    assert turns["read"] == sum(turns["fates"].values())
    assert {**fates, **({"call repeated": n} if (n := run.summary.tally.repeated_turns) else {})} == turns["fates"]
    marks = ("AI:", "ME:", "系统:")
    spoken = sum(1 for call in calls for line in call if line.startswith(marks))
    loose = sum(1 for call in calls for at, line in enumerate(call) if line == "接着说" and not "".join(call[:at]))
    assert turns["read"] == spoken + loose
    assert sum(item["count"] for item in run.todo) == found["answers"]["to annotate"]
    assert len(run.rows) + found["answers"]["to annotate"] == found["answers"]["all"]
    assert len({turn["row"] for turn in run.turns} - {None}) == found["answers"]["all"]
    assert fates["customer: labelled"] == sum(turn["row"] in {row["id"] for row in run.rows} for turn in run.turns)
    customers = sum(count for fate, count in fates.items() if fate.startswith("customer"))
    assert customers == sum(turn["row"] is not None for turn in run.turns) >= found["answers"]["all"]
    assert sum(found["labels"].values()) == len(run.rows) == sum(way["labelled"] for way in found["ways"])
    assert (
        sum(node["answers"] for node in found["nodes"].values()) + found["without node"]["answers"] == found["answers"]["all"]
    )


def test_the_notes_tell_what_a_person_should_know(tmp_path: Path):
    flow = {**FLOW, "nodes": {**FLOW["nodes"], "地址": ["地址"]}, "edges": [*FLOW["edges"], {"from": "时间", "to": "身份"}]}
    notes = "\n".join(Run(tmp_path, [Q1, "系统: 静音", "ME: 对", Q2], flow=flow).summary.notes)
    for part in ("may come back: 身份, 时间", "no robot's turn reached: 再见, 地址", "unknown speakers"):
        assert part in notes
    summary = prepare_transcripts(tmp_path / "calls.jsonl", Flow.from_dict({**FLOW, "edges": None}), tmp_path / "rows.jsonl")
    assert any("1 answers without a label are only counted; --todo keeps them" in note for note in summary.notes)


def test_phrases_of_two_nodes_in_one_turn_are_counted(tmp_path: Path):
    run = Run(tmp_path, ["AI: 是本人吗，时间可以吗", "ME: 对", BYE])
    assert run.summary.counts.rivals == {"时间 / 身份": 1}
    assert run.short == [("对", "时间", "再见", "可以")]


# ---- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "options", "parts"),
    [
        ("", {}, ("there are no calls",)),
        ('{"call": "", "s": 1}', {}, ("no call has a turn", "--columns call=")),
        ('{"call": "AI: 好", "s": 1}', {"where": ["s=2"]}, ("filters leave no call", "s=1: 1 calls")),
        ('{"call": "坐席: 好\\n用户: 好", "s": 1}', {}, ("no turn is of the robot", "'坐席': 1", "robot: AI; customer: ME")),
        ('{"call": "AI: 好"}', {"todo": "x.docx"}, ("x.docx", ".xlsx")),
        ('{"call": "AI: 好"}', {"turns": "x.csv"}, ("x.csv", ".jsonl")),
        ('{"call": "AI: 好"}', {"output": "x.xlsx"}, ("x.xlsx", ".jsonl")),
        ('{"call": "AI: 好"}', {"output": "calls.jsonl"}, ("would be overwritten",)),
        ('{"call": "AI: 好"}', {"todo": "rows.jsonl"}, ("would be overwritten",)),
    ],
)
def test_refusals_leave_nothing_behind(tmp_path: Path, records: str, options: dict[str, Any], parts: tuple[str, ...]):
    source = tmp_path / "calls.jsonl"
    source.write_text(records, encoding="utf-8")
    places = {name: tmp_path / options.pop(name) for name in ("todo", "turns", "output") if name in options}
    with pytest.raises(DataError) as error:
        prepare_transcripts(source, Flow.from_dict(FLOW), **{"output": tmp_path / "rows.jsonl", **places}, **options)
    for part in parts:
        assert part in str(error.value)
    assert sorted(tmp_path.iterdir()) == [source]
    assert source.read_text(encoding="utf-8") == records


def test_no_input_at_all(tmp_path: Path):
    with pytest.raises(DataError, match="no transcripts"):
        prepare_transcripts([], Flow.from_dict(FLOW), tmp_path / "rows.jsonl")


# ---- the built-in calls -----------------------------------------------------------------------------------

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
