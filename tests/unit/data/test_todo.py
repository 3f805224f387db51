"""Rows for a person: which, in which order, and in which files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prepare_cases import BYE, FLOW, ODD, Q1, Q2, Run

from duobiao.data.flow import Flow
from duobiao.data.prepare import prepare_transcripts
from duobiao.data.read import read_rows
from duobiao.errors import DataError
from duobiao.labels import LabelSpace


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


class Equal:
    """A model to which everything is about as open, the later texts a little less."""

    space = SPACE

    def decide(self, texts: Any, context: Any, label: str = "") -> tuple[Any, Any]:
        proba = np.array([[0.45 - at / 10_000, 0.0, 1.0, 0.0, NAN, NAN] for at in range(len(texts))])
        return proba, np.nan_to_num(proba) >= 0.4


def test_among_equally_open_answers_those_unlike_the_ones_before_come_first(tmp_path: Path):
    said = ["我要投诉快递", "我要投诉快递员", "我要投诉快递啊", "什么时候到账", "好"]
    calls = [[Q1, f"ME: {text}", ODD] for text in said]
    run = Run(tmp_path, *calls, model=Equal(), flow={**FLOW, "edges": None})
    # new bigrams: all, all, all, then 1 of 6 each
    assert [item["text"] for item in run.todo] == ["我要投诉快递", "什么时候到账", "好", "我要投诉快递员", "我要投诉快递啊"]
    again = Run(tmp_path, *calls, model=Equal(), flow={**FLOW, "edges": None})
    assert again.todo == run.todo


def test_the_same_words_at_another_node_are_another_answer(tmp_path: Path):
    calls = [[Q1, "ME: 可以的", ODD], [Q1, "ME: 可以的吧", ODD], [Q2, "ME: 可以的", ODD]]
    run = Run(tmp_path, *calls, model=Equal(), flow={**FLOW, "edges": None})
    assert [(item["context"], item["text"]) for item in run.todo] == [
        *(("身份", "可以的"), ("约时间", "可以的"), ("身份", "可以的吧"))
    ]


def test_the_most_open_stay_before_those_that_are_unlike(tmp_path: Path):
    calls = [[Q1, f"ME: {text}", ODD] for text in ("投诉", "难说", "肯定")]
    PROBABILITIES["投诉了"] = PROBABILITIES["投诉"]
    run = Run(tmp_path, *calls, [Q1, "ME: 投诉了", ODD], model=Oracle(), flow={**FLOW, "edges": None})
    assert [item["text"] for item in run.todo] == ["投诉", "难说", "投诉了", "肯定"]  # 难说 is nearly as open, 肯定 is not


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
    assert rows[3].text == texts[3]
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
