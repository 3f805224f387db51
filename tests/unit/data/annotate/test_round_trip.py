"""Export, what the tool does, import: the same labels, whatever they are called and whatever the texts hold."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from annotation_cases import CASES, bare, cells, dump, json_min, label_studio
from hypothesis import HealthCheck, given, settings

from duobiao.data.annotate import argilla, doccano, excel
from duobiao.data.annotate import label_studio as studio
from duobiao.data.annotate.answers import Annotation, Vocabulary
from duobiao.data.annotate.merge import merge
from duobiao.data.rows import Row

MANY = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(MANY, max_examples=8)


def same(rows: Sequence[Row], vocabulary: Vocabulary, said: list[Annotation], shown: Callable[[str], str] = str) -> None:
    """The annotations give the rows' labels to bare rows, and change nothing in the rows themselves."""
    found = merge(bare(rows), said, vocabulary, shown=shown)
    assert found.report["conflicts"] == []
    assert cells(found.rows, vocabulary).tolist() == cells(rows, vocabulary).tolist()
    again = merge(rows, said, vocabulary, shown=shown)
    assert again.rows == list(rows)
    assert again.report["conflicts"] == again.report["changes"] == []


@MANY
@given(CASES)
def test_label_studio(case: tuple[Vocabulary, list[Row]]):
    vocabulary, rows = case
    with tempfile.TemporaryDirectory() as folder:
        tasks, config = studio.export(rows, vocabulary, Path(folder) / "tasks.json")
        exported = label_studio(tasks, config)
        same(rows, vocabulary, studio.read([dump(Path(folder) / "export.json", exported)], vocabulary))
        same(rows, vocabulary, studio.read([dump(Path(folder) / "min.json", json_min(exported))], vocabulary))
        for task in exported:  # before version 1.0
            task["completions"] = task.pop("annotations")
        same(rows, vocabulary, studio.read([dump(Path(folder) / "old.json", exported)], vocabulary))


@MANY
@given(CASES)
def test_doccano(case: tuple[Vocabulary, list[Row]]):
    vocabulary, rows = case
    with tempfile.TemporaryDirectory() as folder:
        output, labels = doccano.export(rows, vocabulary, Path(folder) / "rows.jsonl")
        listed = [item["text"] for item in json.loads(labels.read_text(encoding="utf-8"))]
        assert len(set(listed)) == len(listed)
        uploaded = [json.loads(line) for line in output.read_bytes().splitlines()]  # bytes: only real line ends part lines
        assert all(set(item["label"]) <= set(listed) for item in uploaded)
        now, texts, numbers = [], [], []
        for at, item in enumerate(uploaded, 1):
            meta = {key: value for key, value in item.items() if key not in ("text", "label")}
            now.append({"id": at, "text": item["text"], **meta, "label": sorted(item["label"]), "Comments": []})
            old = {"id": at, "text": item["text"], "meta": json.dumps(meta), "annotation_approver": None}
            texts.append({**old, "labels": item["label"]})
            given_ = [{"label": listed.index(name) + 1, "user": 1} for name in item["label"]]
            numbers.append({**old, "meta": meta, "annotations": given_})
        names = dump(Path(folder) / "label_config.json", [{"id": at, "text": name} for at, name in enumerate(listed, 1)])
        for records in (now, texts, numbers):
            path = Path(folder) / "admin.jsonl"
            path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
            same(rows, vocabulary, doccano.read([path], names))


@MANY
@given(CASES)
def test_argilla(case: tuple[Vocabulary, list[Row]]):
    vocabulary, rows = case
    with tempfile.TemporaryDirectory() as folder:
        output, place = argilla.export(rows, vocabulary, Path(folder) / "records.json")
        questions = {item["name"]: item["settings"] for item in json.loads(place.read_text(encoding="utf-8"))["questions"]}
        assert all(len(item["options"]) >= 2 for item in questions.values())
        second: list[dict[str, Any]] = []
        first: list[dict[str, Any]] = []
        flat: list[dict[str, Any]] = []
        for record in json.loads(output.read_text(encoding="utf-8")):
            values = {name: item["value"] for name, item in record["suggestions"].items()}
            for name, value in values.items():
                options = {option["value"] for option in questions[name]["options"]}
                several = questions[name]["type"] == "multi_label_selection"
                assert isinstance(value, list) == several
                assert set(value if several else [value]) <= options
            responses = {name: [{"value": value, "user_id": "u-1"}] for name, value in values.items()}
            second.append({**record, "responses": responses, "status": "completed", "_server_id": "s-1"})
            given_ = {
                "user_id": "u-1",
                "values": {name: {"value": value} for name, value in values.items()},
                "status": "submitted",
            }
            offered = [{"question_name": name, "value": value, "score": None} for name, value in values.items()]
            first.append(
                {
                    "fields": record["fields"],
                    "metadata": {},
                    "external_id": record["id"],
                    "id": "uuid-1",
                    "responses": [given_] if values else [],
                    "suggestions": offered,
                }
            )
            columns = {
                "id": record["id"],
                "status": "completed",
                "_server_id": "s-1",
                **record["fields"],
                "labels.suggestion": None,
            }
            for name, value in values.items():
                columns |= {
                    f"{name}.responses": [value],
                    f"{name}.responses.users": ["u-1"],
                    f"{name}.responses.status": ["submitted"],
                }
            flat.append(columns if values else {**columns, "labels.responses": []})
        for records in (second, first, flat):
            same(rows, vocabulary, argilla.read([dump(Path(folder) / "records_back.json", records)]))


@pytest.mark.parametrize("layout", ["flags", "ticks", "cell"])
@FEW
@given(case=CASES)
def test_excel(layout: excel.Layout, case: tuple[Vocabulary, list[Row]]):
    vocabulary, rows = case
    with tempfile.TemporaryDirectory() as folder:
        (output,) = excel.export(rows, vocabulary, Path(folder) / "todo.xlsx", layout=layout)
        book = openpyxl.load_workbook(output)
        sheet = book.worksheets[0]
        assert all(cell.data_type in "sn" for page in book.worksheets for line in page.iter_rows() for cell in line)
        done = next(
            cell.column
            for cell in sheet[1]
            if cell.value and cell.value.startswith("完成") and cell.value not in vocabulary.taken
        )
        for number in range(2, len(rows) + 2):
            sheet.cell(number, done).value = "✓"
        back = Path(folder) / "back.xlsx"
        book.save(back)
        same(rows, vocabulary, excel.read([back], vocabulary), excel.shown)
