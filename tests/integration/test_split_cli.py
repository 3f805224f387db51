"""``duobiao split`` and ``duobiao sample`` as a user types them."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from duobiao.builtin import DATASETS
from duobiao.cli import split
from duobiao.data.read import read_rows

BUILTIN = Path(split.__file__).parent.parent / "builtin"
APP = typer.Typer(pretty_exceptions_enable=False)
split.register(APP)


def run(*arguments: Any, code: int = 0) -> Result:
    result = CliRunner().invoke(APP, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    if code:
        assert "What to do: " in result.stderr
        assert result.stdout == ""
    return result


@pytest.mark.parametrize("name", DATASETS)
def test_the_built_in_data_is_split_and_split_again_after_it_grew(tmp_path: Path, name: str):
    source = BUILTIN / name / "train.jsonl"
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    small = tmp_path / "small.jsonl"
    small.write_text("".join(lines[:600]), encoding="utf-8")
    labels = BUILTIN / name / "labels.yaml"
    common = ("--labels", labels)
    output = run("split", small, "--out", tmp_path / "a", *common, "--freeze", tmp_path / "ids.json").stdout
    assert "imbalance left: mean deviation of a label's share 0.0" in output
    assert "on several sides: 0 rows by text, 0 rows by dialogue" in output
    old = {row.id: part for part in ("train", "dev", "test") for row in read_rows(tmp_path / "a" / f"{part}.jsonl")}
    assert len(old) == 600
    grown = run("split", source, "--out", tmp_path / "b", *common, "--frozen", tmp_path / "ids.json").stdout
    assert "frozen: 600 old rows stay" in grown
    new = {row.id: part for part in ("train", "dev", "test") for row in read_rows(tmp_path / "b" / f"{part}.jsonl")}
    assert {id_: new[id_] for id_ in old} == old
    report = json.loads((tmp_path / "b" / "split.json").read_text(encoding="utf-8"))
    assert len(new) + len(report["frozen"]["aside"]) == len(lines)
    assert report["mean_deviation"] < 0.03


def test_by_time_states_its_cost(tmp_path: Path):
    path = tmp_path / "calls.csv"
    body = [f"第{at}句,2024-01-{at // 10 + 1:02} 0{at % 10}:00,d{at // 7}" for at in range(200)]
    path.write_text("内容,日期,通话\n" + "\n".join(body) + "\n", encoding="gb18030")
    output = run(
        "split", path, "--out", tmp_path / "o", "--by", "time", "--columns", "text=内容,group_id=通话", "--shares", "70,15,15"
    ).stdout
    assert "by 日期: dev from 2024-01-15" in output
    assert "units straddle a cut and were kept whole" in output
    assert len(read_rows(tmp_path / "o" / "test.jsonl")) in range(25, 36)


def test_a_block_that_cannot_be_parted_is_told(tmp_path: Path):
    path = tmp_path / "calls.jsonl"
    records = [{"text": "好的" if at % 3 == 0 else f"句{at}", "labels": ["x"], "group_id": f"d{at // 3}"} for at in range(300)]
    records += [{"text": f"单{at}", "labels": ["x"]} for at in range(10)]
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    found = run("split", path, "--out", tmp_path / "o")
    assert "300 of 310 rows hang together" in found.stderr
    assert "--together group" in found.stderr
    apart = run("split", path, "--out", tmp_path / "o2", "--together", "group")
    assert "on several sides: 100 rows by text, 0 rows by dialogue" in apart.stdout
    assert "hang together" not in apart.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--shares", "0.5,0.2"), "add up to 0.7"),
        (("--by", "time"), "no column is known to be a date"),
        (("--frozen", "nowhere.json"), "nowhere.json"),
        (("--labels", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_what_cannot_be_split_is_refused_and_nothing_is_written(tmp_path: Path, options: tuple[str, ...], why: str):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"text": "句{at}", "labels": []}}\n' for at in range(50)), encoding="utf-8")
    assert why in run("split", path, "--out", tmp_path / "o", *options, code=2).stderr
    assert not (tmp_path / "o").exists()


def test_a_sample_of_each_label_and_node(tmp_path: Path):
    source = BUILTIN / "callback" / "train.jsonl"
    found = run("sample", source, "--n", 30, "--per", "node", "--output", tmp_path / "s.jsonl", "--seed", 5).stdout
    rows = read_rows(tmp_path / "s.jsonl")
    counts = {node: sum(row.context == node for row in rows) for node in {row.context for row in rows}}
    assert set(counts.values()) == {30}
    assert f"{len(rows)} of 1310 rows, for {len(counts)} categories" in found
    found = run("sample", source, "--n", 30, "--output", tmp_path / "l.jsonl").stdout
    assert "short of 30: " in found
    run("sample", source, "--n", 0, "--output", tmp_path / "l.jsonl", code=2)


def test_help_has_an_example():
    for command in ("split", "sample"):
        assert "Example: duobiao" in run(command, "--help").stdout
