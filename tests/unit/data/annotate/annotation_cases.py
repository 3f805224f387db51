"""Label spaces and rows with awkward names, and what a tool does to a file between export and import."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
from hypothesis import strategies as st

from duobiao.data.annotate.answers import Vocabulary
from duobiao.data.rows import Row
from duobiao.errors import LabelSpaceError
from duobiao.labels import LabelSpace

SPACE = LabelSpace.from_dict(
    {
        "labels": ["物流", "质量", "发票"],
        "groups": {
            "情感": {"labels": ["正面", "负面"]},
            "升级": {"labels": ["要求升级"], "at_most_one": True},
            "身份确认": {"labels": ["本人", "他人"], "contexts": ["身份确认"]},
        },
    }
)
WORDS = Vocabulary(SPACE)

NAMES = st.text(alphabet="ab物,，\"'=+-@$#;|、<>&/ _x041😀：′✓不确定都是1?", min_size=1, max_size=6) | st.sampled_from(
    [
        "=1+1",
        "编号",
        "文本",
        "标签",
        "完成",
        "text",
        "row_id",
        "以上都不成立",
        "✓ a",
        "a",
        "a,b",
        "_x0041_",
        "$text",
        "1",
        "0",
        "✓",
    ]
)
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "=1+1",
        "+86",
        "@SUM(A1)",
        "'引号",
        '说"好"',
        "一,二\n三",
        "😀👍",
        "_x000D_",
        "$text",
        "\x00坏\x1f",
        "\ud800",
        " 空 白 ",
        "<b>&amp;</b>",
    ]
)
CONTEXTS = ["身份确认", "节点,逗号", "=2", None]


@st.composite
def spaces(draw: Any) -> LabelSpace:
    names = draw(st.lists(NAMES.map(str.strip).filter(bool), min_size=4, max_size=9, unique=True))
    cut = draw(st.integers(0, len(names) - 3))
    independent, rest = names[:cut], names[cut:]
    groups: dict[str, Any] = {rest[0]: {"labels": rest[1:3]}}
    if draw(st.booleans()):
        groups[rest[0]]["contexts"] = draw(st.sampled_from([["身份确认"], ["节点,逗号", "=2"]]))
    if draw(st.booleans()):
        groups[rest[0]]["at_most_one"] = True
    if len(rest) >= 4:
        one = rest[3] if draw(st.booleans()) else "另一组"
        groups[one] = {"labels": rest[3:4], "at_most_one": True}
    try:
        return LabelSpace.from_dict({"labels": independent, "groups": groups})
    except LabelSpaceError:
        return SPACE


@st.composite
def labelled_rows(draw: Any, space: LabelSpace) -> list[Row]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        context = draw(st.sampled_from(CONTEXTS))
        labels: list[str] = []
        unknown: list[str] = []
        for label in space.independent:
            answer = draw(st.sampled_from([True, False, False, None]))
            labels += [label] if answer else []
            unknown += [label] if answer is None else []
        for group in space.groups:
            if group.is_asked(context):
                answer = draw(st.sampled_from([*group.labels, "", None]))
                labels += [answer] if answer else []
                unknown += [group.name] if answer is None else []
        id_ = draw(st.sampled_from(["r", "=1", "00", "编号,", "1.0", "😀"])) + str(number)
        found.append(Row(id_, draw(TEXTS), context=context, labels=tuple(labels), unknown=tuple(unknown)))
    return found


CASES = spaces().flatmap(lambda space: labelled_rows(space).map(lambda rows: (Vocabulary(space), rows)))


def bare(rows: Sequence[Row]) -> list[Row]:
    return [dataclasses.replace(row, labels=None, unknown=()) for row in rows]


def cells(rows: Sequence[Row], vocabulary: Vocabulary) -> np.ndarray:
    """What is known; a row without labels knows nothing."""
    known = [row if row.labels is not None else vocabulary.labelled(row, {}) for row in rows]
    return np.array([vocabulary.space.encode(row.labels or (), row.unknown, row.context) for row in known])


def dump(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


# ---- Label Studio ------------------------------------------------------------------------------------


def read_config(path: Path) -> dict[str, dict[str, Any]]:
    """Control -> how it chooses, what can be chosen, and what must be chosen in which control to see it."""
    tree = Xml.parse(path).getroot()
    above = {child: parent for parent in tree.iter() for child in parent}
    found = {}
    for control in tree.iter("Choices"):
        choices = [choice.get("alias") or choice.get("value") for choice in control.iter("Choice")]
        assert len(choices) >= 2, "Label Studio cannot read a control of one choice"
        assert all(not choice.get("value", "").startswith("$") for choice in control.iter("Choice"))
        gate, place = None, control
        while place in above:
            place = above[place]
            if place.get("visibleWhen") == "choice-selected":
                gate = (place.get("whenTagName"), place.get("whenChoiceValue", "").split(","))
        found[control.get("name", "")] = {"choice": control.get("choice"), "choices": choices, "gate": gate}
    return found


def label_studio(tasks: Path, config: Path) -> list[dict[str, Any]]:
    """Every prediction becomes an annotation that is submitted as it is."""
    controls = read_config(config)
    exported = []
    for number, task in enumerate(json.loads(tasks.read_text(encoding="utf-8")), 1):
        result = [
            {**item, "id": f"x{at}", "origin": "prediction"}
            for at, item in enumerate((task["predictions"] or [{"result": []}])[0]["result"])
        ]
        chosen = {item["from_name"]: item["value"]["choices"] for item in result}
        assert len(chosen) == len(result)
        for name, choices in chosen.items():
            control = controls[name]
            assert set(choices) <= set(control["choices"])
            assert control["choice"] == "multiple" or len(choices) == 1
            if control["gate"] is not None:
                assert set(control["gate"][1]) & set(chosen.get(control["gate"][0], ()))
        annotation = {
            "id": 100 + number,
            "completed_by": 1,
            "result": result,
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": "2024-03-05T01:02:03.000000Z",
            "updated_at": "2024-03-05T01:02:04.000000Z",
            "draft_created_at": None,
            "lead_time": 2.5,
            "prediction": {},
            "result_count": 0,
            "unique_id": "0f",
            "import_id": None,
            "last_action": None,
            "task": number,
            "project": 7,
            "updated_by": 1,
            "parent_prediction": None,
            "parent_annotation": None,
            "last_created_by": None,
        }
        exported.append(
            {
                "id": number,
                "annotations": [annotation],
                "file_upload": "tasks.json",
                "drafts": [],
                "predictions": [],
                "data": task["data"],
                "meta": {},
                "created_at": "2024-03-05T01:02:00.000000Z",
                "updated_at": "2024-03-05T01:02:04.000000Z",
                "inner_id": number,
                "total_annotations": 1,
                "cancelled_annotations": 0,
                "total_predictions": 0,
                "comment_count": 0,
                "unresolved_comment_count": 0,
                "last_comment_updated_at": None,
                "project": 7,
                "updated_by": 1,
                "comment_authors": [],
            }
        )
    return exported


def json_min(exported: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Label Studio's JSON-MIN of an export: one object an annotation."""
    found = []
    for task in exported:
        for annotation in task["annotations"]:
            values = {item["from_name"]: item["value"]["choices"] for item in annotation["result"]}
            found.append(
                {
                    **task["data"],
                    "id": task["id"],
                    **{name: own[0] if len(own) == 1 else {"choices": own} for name, own in values.items()},
                    "annotator": annotation["completed_by"],
                    "annotation_id": annotation["id"],
                    "created_at": annotation["created_at"],
                    "updated_at": annotation["updated_at"],
                    "lead_time": annotation["lead_time"],
                }
            )
    return found
