"""What ``duobiao compare`` answers to a budget, on real bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import done, refused


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("duobiao.evaluate.latency.ROUNDS", {1: 5, 32: 2})


def test_a_budget_is_answered_on_the_terminal_and_in_both_files(chain: Any, tmp_path: Path):
    out, doubts = tmp_path / "out", tmp_path / "suspects.jsonl"
    budget = ("--max-ms", 1e6, "--max-mb", 1e6, "--keep", "50%")
    shown = done(
        *("compare", chain.linear, chain.student, "--data", chain.test, "--out", out, "--lang", "en"),
        *(*budget, "--no-texts", "--suspects", doubts, "--examine", "linear"),
    ).stdout
    answer = next(line for line in shown.splitlines() if line.startswith("With p95"))
    systems = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    best = max(systems, key=lambda system: system["micro_f1"])
    assert f"deploy {best['name']} (micro-F1 {best['micro_f1']:.4f}" in answer
    assert "50 % of the best micro-F1 kept" in answer
    for file in ("compare.md", "report.html"):
        assert answer in (out / file).read_text(encoding="utf-8")
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "Errors it was surest of: linear" in html
    texts = [json.loads(line)["text"] for line in chain.test.read_text(encoding="utf-8").splitlines()]
    assert not [text for text in texts if text in html]
    known = {json.loads(line)["id"] for line in chain.test.read_text(encoding="utf-8").splitlines()}
    assert {json.loads(line)["id"] for line in doubts.read_text(encoding="utf-8").splitlines()} <= known
    assert str(doubts.resolve()) in shown


def test_what_cannot_be_reached_is_said_in_chinese_too(chain: Any, tmp_path: Path):
    shown = done("compare", chain.linear, "--data", chain.test, "--out", tmp_path / "out", "--max-mb", "0.000001").stdout
    assert "没有模型能同时满足不超过 1e-06 MB。" in shown
    assert "这一条满足不了" in shown


def test_a_column_of_numbers_may_be_in_few_rows(tmp_path: Path):
    records = [
        {
            "id": str(number),
            "text": f"{'苹果很甜' if number % 2 else '快递太慢'}{number}",
            "labels": ["水果"] if number % 2 else [],
        }
        for number in range(40)
    ]
    for number, age in enumerate((20, 30, 40)):
        records[number]["年龄"] = age
    rows, labels = tmp_path / "rows.jsonl", tmp_path / "labels.yaml"
    rows.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
    labels.write_text("labels: [水果]\n", encoding="utf-8")
    model = ("--labels", labels, "--config", "linear", "--set", "features.numeric=[年龄]", "--out", tmp_path / "model")
    done("train", "--train", rows, "--dev", rows, *model)
    for one in records[1:9]:  # so that there are mistakes to explain
        one["labels"] = [] if one["labels"] else ["水果"]
    rows.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
    out = tmp_path / "out"
    done("compare", tmp_path / "model", "--data", rows, "--out", out, "--lang", "en")
    assert "words for" in (out / "report.html").read_text(encoding="utf-8")
    done("suspects", rows, *model[:2], "--set", model[5], "--output", tmp_path / "suspects.jsonl")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--keep", "most"), ("--keep 'most'", "98%")),
        (("--keep", "98"), ("--keep is 98",)),
        (("--max-ms", "0", "--min-micro-f1", "2"), ("--max-ms is 0", "--min-micro-f1 is 2")),
        (("--examine", "nobody"), ("'nobody'", "linear")),
        (("--suspects", "x.csv"), ("JSONL",)),
        (("--slice", "渠道"), ("渠道",)),
    ],
)
def test_options_that_make_no_sense_are_refused(chain: Any, tmp_path: Path, options: tuple[str, ...], names: tuple[str, ...]):
    refused("compare", chain.linear, "--data", chain.test, "--out", tmp_path / "out", *options, names=names)
    assert not (tmp_path / "out").exists()


def test_the_rows_are_never_replaced_by_what_is_written(chain: Any, tmp_path: Path):
    rows = Path(chain.test).read_text(encoding="utf-8")
    data, train, out = tmp_path / "data.jsonl", tmp_path / "train.jsonl", tmp_path / "out"
    for place in (data, train):
        place.write_text(rows, encoding="utf-8")
    command = ("compare", tmp_path / "no-bundle", "--data", data, "--train", train)
    for place in (data, tmp_path / "." / "train.jsonl"):
        refused(*command, "--out", out, "--suspects", place, names=("is the input itself", "--suspects", str(place.name)))
    linked = tmp_path / "folder" / "compare.json"
    linked.parent.mkdir()
    linked.symlink_to(data)
    refused(*command, "--out", linked.parent, names=("is the input itself", "--out"))
    assert data.read_text(encoding="utf-8") == train.read_text(encoding="utf-8") == rows
    assert not out.exists()
