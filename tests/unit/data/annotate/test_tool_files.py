"""Files in the shape that each tool writes, put down by hand."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from annotation_cases import SPACE, WORDS, dump, read_config

from duobiao.data.annotate import argilla, doccano, label_studio
from duobiao.data.annotate.answers import Annotation, Vocabulary
from duobiao.data.rows import Row
from duobiao.errors import DataError
from duobiao.labels import LabelSpace


def short(found: list[Annotation]) -> list[tuple[object, ...]]:
    return [(one.id, one.annotator, one.status, *one.chosen) for one in found]


# ---- Label Studio ------------------------------------------------------------------------------------


def choice(name: str, *choices: str) -> dict[str, object]:
    value = {"choices": list(choices)}
    return {"value": value, "id": "Dx_aB91ISN", "from_name": name, "to_name": "text", "type": "choices", "origin": "manual"}


def annotation(*result: dict[str, object], **details: object) -> dict[str, object]:
    times = {"created_at": "2024-03-05T01:02:03.728353Z", "updated_at": "2024-03-05T02:02:03.728378Z"}
    return {
        "id": 1001,
        "result": list(result),
        "was_cancelled": False,
        "completed_by": 10,
        "lead_time": 4.2,
        **times,
        **details,
    }


DATA = {"row_id": "r1", "text": "快递坏了", "context": ""}


def test_label_studio_json(tmp_path: Path):
    person = {"id": 3, "email": "li@example.com", "first_name": "", "last_name": ""}
    tasks = [
        {
            "id": 1,
            "data": DATA,
            "annotations": [
                annotation(choice("labels", "物流", "质量"), choice("g1", "负面")),
                annotation(choice("labels", "质量"), completed_by=person, updated_at="2024-03-06T00:00:00Z"),
                annotation(was_cancelled=True, completed_by=12),
            ],
            "drafts": [],
            "predictions": [{"id": 5, "result": [choice("labels", "发票")], "model_version": "duobiao"}],
            "meta": {},
            "project": 83,
        },
        {"id": 2, "data": {**DATA, "row_id": "r2"}, "annotations": [], "predictions": []},
    ]
    found = label_studio.read([dump(tmp_path / "export.json", tasks)], WORDS)
    assert short(found) == [
        ("r1", "10", "done", "物流", "质量", "负面"),
        ("r1", "li@example.com", "done", "质量"),
        ("r1", "12", "skipped"),
        ("r2", None, "open"),
    ]
    assert found[1].time == "2024-03-06T00:00:00Z"
    assert found[0].text == "快递坏了"


def test_label_studio_of_old_versions(tmp_path: Path):
    tasks = [
        {
            "id": 1,
            "data": DATA,
            "completions": [{"created_at": 1600000000, "id": 1001, "lead_time": 3.9, "result": [choice("labels", "物流")]}],
        },
        {"id": 2, "data": DATA, "completions": [{"id": 1002, "skipped": True, "was_cancelled": True, "result": []}]},
    ]
    found = label_studio.read([dump(tmp_path / "old.json", tasks)], WORDS)
    assert short(found) == [("r1", None, "done", "物流"), ("r1", None, "skipped")]
    assert found[0].time == "1600000000"


def test_label_studio_json_min(tmp_path: Path):
    records = [
        {
            **DATA,
            "id": 7,
            "labels": {"choices": ["物流", "质量"]},
            "g1": "负面",
            "asked_groups": "q0",
            "annotator": 10,
            "annotation_id": 1001,
            "created_at": "2024-03-05T01:02:03Z",
            "lead_time": 4.1,
        }
    ]
    found = label_studio.read([dump(tmp_path / "min.json", records)], WORDS)
    assert short(found) == [("r1", "10", "done", "物流", "质量", "负面")]


def test_label_studio_files_that_hold_no_annotations(tmp_path: Path):
    boxes = {"type": "rectanglelabels", "from_name": "tag", "value": {"rectanglelabels": ["x"]}}
    tasks = [
        {"data": DATA},
        {"text": "x"},
        {"data": DATA, "annotations": [annotation(boxes, {"type": "choices", "value": {}})]},
    ]
    with pytest.raises(DataError) as caught:
        label_studio.read([dump(tmp_path / "export.json", tasks)], WORDS)
    assert [problem.partition(": row ")[2][0] for problem in caught.value.problems] == ["1", "2", "3", "3"]


def test_the_labeling_interface_asks_what_the_space_asks(tmp_path: Path):
    controls = read_config(label_studio.export([Row("1", "x")], WORDS, tmp_path / "t.json")[1])
    assert controls["labels"] == {"choice": "multiple", "choices": ["物流", "质量", "发票", "以上都不成立"], "gate": None}
    assert controls["g1"] == {"choice": "single-radio", "choices": ["正面", "负面", "情感：不确定"], "gate": None}
    assert controls["g2"]["choices"] == ["要求升级", "升级：都不是", "升级：不确定"]
    assert controls["g3"]["gate"] == ("asked_groups", ["q1"])
    tasks = list(label_studio.tasks([Row("1", "x", context="身份确认"), Row("2", "y")], WORDS))
    gates = [task["predictions"][0]["result"][0]["value"]["choices"] for task in tasks]
    assert gates == [["q1"], ["q0"]]


def test_names_that_xml_lacks_are_refused():
    with pytest.raises(DataError, match="cannot be written into XML"):
        label_studio.labeling_config(Vocabulary(LabelSpace(("坏\ufffe", "b"))))


def test_a_space_of_one_label_can_be_read_by_label_studio():
    config = Xml.fromstring(label_studio.labeling_config(Vocabulary(LabelSpace(("唯一",)))))
    assert all(len(control) >= 2 for control in config.iter("Choices"))


def test_a_dollar_is_no_field(tmp_path: Path):
    space = Vocabulary(LabelSpace(("$text", "b")))
    config = label_studio.labeling_config(space)
    assert 'value="＄text" alias="$text"' in config


# ---- doccano -----------------------------------------------------------------------------------------


def lines(path: Path, *records: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def test_doccano_now(tmp_path: Path):
    path = lines(
        tmp_path / "zhang.jsonl",
        {"id": 20, "text": "快递坏了", "row_id": "r1", "context": "", "label": ["物流", "负面"], "Comments": ["看不清"]},
        {"id": 21, "text": "好", "row_id": "r2", "context": "", "label": [], "Comments": []},
    )
    assert short(doccano.read([path])) == [("r1", "zhang", "done", "物流", "负面"), ("r2", "zhang", "open")]
    assert doccano.read([lines(tmp_path / "all.jsonl", {"id": 1, "text": "x", "label": ["物流"]})])[0].annotator is None


def test_doccano_json_and_csv(tmp_path: Path):
    path = dump(tmp_path / "zhang.json", [{"id": 20, "text": "快递坏了", "row_id": "r1", "label": ["物流"]}])
    assert short(doccano.read([path])) == [("r1", "zhang", "done", "物流")]
    table = tmp_path / "li.csv"
    table.write_text("id,text,row_id,label,Comments\n20,快递坏了,r1,物流#负面,\n21,好,r2,,\n", encoding="utf-8")
    assert short(doccano.read([table])) == [("r1", "li", "done", "物流", "负面"), ("r2", "li", "open")]


def test_doccano_of_old_versions(tmp_path: Path):
    path = lines(
        tmp_path / "file.json1.jsonl",
        {"id": 1, "text": "a", "meta": {"row_id": "r1"}, "annotation_approver": None, "labels": ["物流"]},
        {"id": 2, "text": "b", "meta": '{"row_id": "r2"}', "annotation_approver": "admin", "labels": ["质量"]},
        {"doc_id": 20, "text": "c", "labels": ["负面"], "username": "admin", "metadata": '{"row_id": "r3"}'},
    )
    assert [(one.id, *one.chosen) for one in doccano.read([path])] == [("r1", "物流"), ("r2", "质量"), ("r3", "负面")]
    assert doccano.read([path])[2].annotator == "admin"


NUMBERED = {
    "id": 1,
    "text": "a",
    "meta": {"row_id": "r1"},
    "annotation_approver": None,
    "annotations": [
        {"label": 10, "user": 1, "created_at": "2020-07-11T01:00:00Z", "updated_at": "2020-07-11T01:00:00Z"},
        {"label": 11, "user": 1, "created_at": "2020-07-11T01:00:00Z", "updated_at": "2020-07-11T02:00:00Z"},
        {"label": 10, "user": 2},
    ],
}


def test_doccano_label_numbers_need_the_label_file(tmp_path: Path):
    path = lines(tmp_path / "export.jsonl", NUMBERED)
    with pytest.raises(DataError) as caught:
        doccano.read([path])
    assert len(caught.value.problems) == 3
    assert "--label-file" in caught.value.problems[0]
    labels = [{"id": 10, "text": "物流", "prefix_key": None, "suffix_key": "a"}, {"id": 11, "text": "负面"}]
    found = doccano.read([path], dump(tmp_path / "label_config.json", labels))
    assert short(found) == [("r1", "1", "done", "物流", "负面"), ("r1", "2", "done", "物流")]
    assert found[0].time == "2020-07-11T02:00:00Z"
    for content in ("{", "[1]", '[{"id": 1}]'):
        (tmp_path / "bad.json").write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match="no list of labels"):
            doccano.read([path], tmp_path / "bad.json")
    with pytest.raises(DataError, match="No such file"):
        doccano.read([path], tmp_path / "none.json")


def test_doccano_of_another_task_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="1 problems"):
        doccano.read([lines(tmp_path / "ner.jsonl", {"id": 1, "text": "x", "label": [[0, 1, "LOC"]]})])


# ---- Argilla -----------------------------------------------------------------------------------------


def test_argilla_2(tmp_path: Path):
    record = {
        "id": "r1",
        "fields": {"text": "快递坏了"},
        "metadata": {"row_id": "r1"},
        "suggestions": {"labels": {"value": ["发票"], "score": None, "agent": "duobiao"}},
        "responses": {
            "labels": [{"value": ["物流", "质量"], "user_id": "u-1"}, {"value": ["质量"], "user_id": "u-2"}],
            "g1": [{"value": "负面", "user_id": "u-1"}],
        },
        "vectors": {},
        "_server_id": "0f3c",
    }
    waiting = {**record, "id": "r2", "metadata": {}, "responses": {}}
    found = argilla.read([dump(tmp_path / "records.json", [record, waiting])])
    assert short(found) == [("r1", "u-1", "done", "物流", "质量", "负面"), ("r1", "u-2", "done", "质量"), ("r2", None, "open")]


def test_argilla_1_and_the_server(tmp_path: Path):
    def response(user: str, status: str, **values: object) -> dict[str, object]:
        entries = {name: {"value": value} for name, value in values.items()}
        return {"user_id": user, "values": entries, "status": status, "updated_at": "2024-01-02T00:00:00"}

    record = {
        "fields": {"text": "快递坏了"},
        "metadata": {},
        "external_id": "r1",
        "responses": [
            response("u-1", "submitted", labels=["物流"], g1="负面"),
            response("u-2", "discarded"),
            response("u-3", "draft", labels=["质量"]),
            {"user_id": "u-4", "values": None, "status": "discarded"},
        ],
        "suggestions": [{"question_name": "labels", "value": ["发票"], "score": 0.9, "type": "model"}],
    }
    found = argilla.read([lines(tmp_path / "records.jsonl", record)])
    assert short(found) == [
        ("r1", "u-1", "done", "物流", "负面"),
        ("r1", "u-2", "skipped"),
        ("r1", "u-3", "draft", "质量"),
        ("r1", "u-4", "skipped"),
    ]
    assert found[0].time == "2024-01-02T00:00:00"


def test_argilla_of_something_else_is_refused(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        argilla.read([dump(tmp_path / "records.json", [{"text": "x"}])])
    assert "has no 'responses'" in caught.value.problems[0]


def test_argilla_settings_name_every_question():
    questions = argilla.settings(WORDS)["questions"]
    assert [(item["name"], item["title"], item["required"]) for item in questions] == [
        ("labels", "标签", True),
        ("g1", "情感", True),
        ("g2", "升级", True),
        ("g3", "身份确认", False),
    ]
    assert all(name.isascii() for name in (item["name"] for item in questions))


def test_markers_never_equal_a_label():
    space = LabelSpace.from_dict(
        {"labels": ["以上都不成立", "a：不确定", "a"], "groups": {"g": {"labels": ["g：都不是"], "at_most_one": True}}}
    )
    names = Vocabulary(space).everything
    assert len(set(names)) == len(names)
    assert set(SPACE.names) <= set(WORDS.everything)
