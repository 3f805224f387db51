"""Calls to rows: the node, the next node, the weak label; what has none is kept; every turn is counted exactly once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepare_cases import AGAIN, BYE, FLOW, ODD, Q1, Q2, Run

from duobiao.data.flow import Flow
from duobiao.data.prepare import prepare_transcripts
from duobiao.data.read import read_rows
from duobiao.data.rows import targets
from duobiao.errors import ConfigError, DataError
from duobiao.labels import LabelSpace

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
        ('{"call": "AI: 好"}', {"output": "calls.jsonl"}, ("is the input itself",)),
        ('{"call": "AI: 好"}', {"todo": "rows.jsonl"}, ("is the place of two results",)),
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
