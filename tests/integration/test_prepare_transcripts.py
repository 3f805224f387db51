"""``duobiao prepare transcripts``: from the built-in calls to rows that train, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from duobiao import builtin
from duobiao.cli.prepare import register
from duobiao.config import load_config
from duobiao.data.load import load_splits
from duobiao.data.read import read_rows
from duobiao.train import recipe


def command(*arguments: Any) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    register(app)
    result = CliRunner().invoke(app, ["prepare", "transcripts", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


BUILT_IN = ("--flow", "callback", "--input", "callback", "--labels", "callback", "--where", "通话状态=已接听")


def test_from_calls_to_rows_to_a_model_that_orders_what_is_left(tmp_path: Path):
    rows, todo, summary = tmp_path / "rows.jsonl", tmp_path / "todo.xlsx", tmp_path / "summary.json"
    result = command(*BUILT_IN, "--output", rows, "--todo", todo, "--json", summary)
    assert result.exit_code == 0, result.output
    for part in (
        "left out: 通话状态=占线",
        "customer: before any node",
        "身份确认/是",
        "rows.jsonl: 125 labelled rows",
        "56 rows",
    ):
        assert part in result.stdout
    assert json.loads(summary.read_text(encoding="utf-8"))["turns"]["read"] == 396
    before = [row.id for row in read_rows(todo)]

    folder = builtin.folder("callback")
    splits = load_splits(folder / "train.jsonl", folder / "dev.jsonl", folder / "labels.yaml")
    weak = read_rows(rows, space=splits.space)
    recipe.train(load_config("linear"), [*splits.train, *weak], splits.dev, splits.space, tmp_path / "linear")
    result = command(*BUILT_IN, "--output", rows, "--todo", todo, "--model", tmp_path / "linear")
    assert result.exit_code == 0, result.output
    ordered = read_rows(todo)
    assert sorted(row.id for row in ordered) == sorted(before)
    asked = [row for row in ordered if row.context in {group.name for group in splits.space.groups}]
    scores = [float(row.extra["score"]) for row in asked]
    assert len(scores) == 38
    steps = [score // 0.05 for score in scores]  # of rows about as open, those come first that are unlike the ones before
    assert steps == sorted(steps, reverse=True)
    assert scores[0] > 0.5 > scores[-1]
    assert all(row.extra["suggestion"].startswith(f"{row.context}/") for row in asked)
    assert ordered[: len(asked)] == asked
    assert all(row.extra["score"] in (None, "") for row in ordered[len(asked) :])


def test_options_reach_the_rows(tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    result = command(
        *BUILT_IN, "--output", rows, "--window", 1, "--apart", "--keep", "呼叫时间", "--turns", tmp_path / "t.jsonl"
    )
    assert result.exit_code == 0, result.output
    assert "note: 58 answers without a label are only counted; --todo keeps them" in result.stdout
    first = json.loads(rows.read_text(encoding="utf-8").splitlines()[0])
    assert first["context"] == "身份确认\nAI：您好，请问是预约上门服务的客户本人吗？"
    assert first["呼叫时间"] == "2026-03-01 09:02:11"
    assert len((tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()) == 396
    assert len(rows.read_text(encoding="utf-8").splitlines()) == 128


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--flow", "nowhere.yaml", "--input", "callback"), ("nowhere.yaml", "flow file")),
        (("--flow", "hotline", "--input", "callback"), ("hotline",)),
        (("--flow", "callback", "--input", "nowhere.csv"), ("nowhere.csv", "no such file")),
        (("--flow", "callback", "--input", "callback", "--where", "通话状态"), ("'通话状态'", "列=值")),
        (("--flow", "callback", "--input", "callback", "--columns", "call=内容"), ("'内容'", "对话内容")),
        (("--flow", "callback", "--input", "callback", "--labels", "hotline"), ("does not fit", "'身份确认/是'")),
    ],
)
def test_bad_input_ends_with_the_reason(tmp_path: Path, arguments: tuple[str, ...], parts: tuple[str, ...]):
    result = command(*arguments, "--output", tmp_path / "rows.jsonl")
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "What to do: " in result.stderr
    for part in parts:
        assert part in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_phrase_in_two_nodes_is_refused_with_both_names(tmp_path: Path):
    flow = tmp_path / "flow.yaml"
    flow.write_text("nodes: {开场: [您好], 结束: [再见, 您好]}", encoding="utf-8")
    result = command("--flow", flow, "--input", "callback", "--output", tmp_path / "rows.jsonl")
    assert result.exit_code == 2
    assert "phrase '您好' stands in node '结束' and in node '开场'" in result.stderr
