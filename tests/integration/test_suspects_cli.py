"""``duobiao suspects``, and its way through the annotation round trip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import done, refused

SPACE = "labels: [水果, 快递]\ngroups:\n  情感: {labels: [正面, 负面]}\n"


def record(number: int) -> dict[str, Any]:
    fruit = number % 2
    text = f"{'苹果很甜好吃' if fruit else '快递太慢生气'}{number}"
    return {"id": f"r{number}", "text": text, "labels": ["水果", "正面"] if fruit else ["快递", "负面"], "日期": "周一"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    records = [record(number) for number in range(240)]
    records[8]["labels"] = ["快递", "正面"]  # the sentiment is wrong
    records[11] |= {"labels": ["水果"], "unknown": ["情感"]}
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), "utf-8")
    (tmp_path / "labels.yaml").write_text(SPACE, "utf-8")
    return tmp_path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_wrong_label_is_found_looked_at_and_mended(files: Path):
    labels = ("--labels", files / "labels.yaml")
    shown = done("suspects", files / "train.jsonl", *labels, "--output", files / "suspects.jsonl").stdout
    assert "1 of 1 suspect rows, of 240" in shown
    assert "情感: 1" in shown
    found = read(files / "suspects.jsonl")
    assert [(one["id"], one["labels"], one["suggestion"]) for one in found] == [("r8", ["快递", "正面"], ["快递", "负面"])]
    assert found[0]["日期"] == "周一"
    assert found[0]["suspects"][0] | {"probability": 0, "typical": 0} == {
        "decision": "情感",
        "given": ["正面"],
        "suggested": ["负面"],
        "probability": 0,
        "typical": 0,
    }

    todo = files / "todo.jsonl"
    done("annotate", "export", files / "suspects.jsonl", "--format", "doccano", *labels, "--output", todo)
    tasks = read(todo)
    assert len(tasks) == 1
    tasks[0]["label"] = ["快递" if name == "快递" else name.replace("正面", "负面") for name in tasks[0]["label"]]
    (files / "answers.jsonl").write_text(json.dumps(tasks[0], ensure_ascii=False) + "\n", "utf-8")
    merged = files / "merged.jsonl"
    source = ("--base", files / "train.jsonl", "--from", files / "answers.jsonl", "--format", "doccano")
    done("annotate", "import", *source, *labels, "--output", merged, "--on-conflict", "new")
    before, after = read(files / "train.jsonl"), read(merged)
    assert sorted(after[8]["labels"]) == sorted(["快递", "负面"])
    assert [one["id"] for one, other in zip(before, after, strict=True) if one["labels"] != other["labels"]] == ["r8"]


def test_what_cannot_be_done_is_refused(files: Path):
    train, labels = files / "train.jsonl", ("--labels", files / "labels.yaml")
    out = files / "out.jsonl"
    refused("suspects", train, *labels, "--output", train, names=("is the input itself",))
    space = (files / "labels.yaml").rename(files / "labels.jsonl")
    refused("suspects", train, "--labels", space, "--output", space, names=("is the input itself", "--output"))
    space.rename(files / "labels.yaml")
    refused("suspects", train, *labels, "--output", files / "out.csv", names=("JSONL",))
    refused("suspects", train, *labels, "--output", out, "--folds", 1, names=("--folds 1",))
    refused("suspects", train, *labels, "--output", out, "--config", "bigru-a", names=("'bigru'", "--config linear"))
    refused("suspects", train, "--labels", files / "none.yaml", "--output", out, names=("none.yaml",))
    (files / "bare.jsonl").write_text('{"text": "没有标签"}\n{"text": "", "labels": []}\n', "utf-8")
    refused("suspects", files / "bare.jsonl", *labels, "--output", out, names=("bare.jsonl:",))
    assert not out.exists()


def test_rows_without_ids_are_called_by_their_number_and_the_user_is_told(files: Path):
    records = read(files / "train.jsonl")
    for one in records:
        del one["id"]
    (files / "bare.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), "utf-8")
    labels = ("--labels", files / "labels.yaml")
    shown = done("suspects", files / "bare.jsonl", *labels, "--output", files / "out.jsonl", "--most", 1).stdout
    assert "do not change the file" in shown
    assert [one["id"] for one in read(files / "out.jsonl")] == ["9"]
