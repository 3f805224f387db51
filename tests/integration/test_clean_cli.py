"""``duobiao clean``, as a user types it."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from duobiao.cli import clean

app = typer.Typer()
clean.register(app)


@app.callback()
def _root() -> None: ...


def run(*arguments: Any) -> Result:
    result = CliRunner().invoke(app, ["clean", *(str(argument) for argument in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*arguments: Any) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "What to do: " in result.stderr
    return result.stderr


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    path = tmp_path / "calls.jsonl"
    texts = ["呃我我现在忙！！", "好的", "<b>請打</b>138" + "0" * 8, "\u200b"]
    path.write_text("".join(json.dumps({"内容": text, "n": 1}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return path


def texts(path: Path) -> list[str]:
    return [json.loads(line)["内容"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_chain_for_calls_is_what_is_run_by_default(calls: Path, tmp_path: Path):
    result = run("--input", calls, "--output", tmp_path / "o.jsonl", "--columns", "text=内容")
    assert result.exit_code == 0, result.output
    assert texts(tmp_path / "o.jsonl") == ["我现在忙！", "好的", "请打[电话]", ""]
    assert "4 rows, 3 changed" in result.stdout
    assert "1 texts have nothing left" in result.stderr


def test_show_prints_before_and_after_of_each_step_and_needs_no_output(calls: Path, tmp_path: Path):
    result = run("--input", calls, "--columns", "text=内容", "--show", 2)
    assert result.exit_code == 0, result.output
    lines = [line.strip() for line in result.stdout.splitlines()]
    for before, after in (("我我现在忙！！", "我现在忙！！"), ("\\u200b", ""), ("请打138" + "0" * 8, "请打[电话]")):
        at = next(number for number, line in enumerate(lines) if line.endswith(f"- {before}"))
        assert lines[at + 1] == f"+ {after}".strip()
    assert list(tmp_path.iterdir()) == [calls]


def test_show_without_a_number_prints_a_few_wherever_it_stands(tmp_path: Path):
    path = tmp_path / "calls.jsonl"
    path.write_text("".join(json.dumps({"text": f"第{n}句！！"}) + "\n" for n in range(9)), encoding="utf-8")
    for arguments in (("--show", "--input", path), ("--input", path, "--show"), ("--input", path, "--show", "5")):
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        assert result.stdout.count("句！！") == 5
    assert run("--input", path, "--show=2").stdout.count("句！！") == 2
    assert "greater than or equal to 0" in run("--input", path, "--show", "-1").stderr
    assert "many" in run("--input", path, "--show", "many").stderr


def test_steps_by_name_and_by_configuration(calls: Path, tmp_path: Path):
    run("--input", calls, "--output", tmp_path / "o.jsonl", "--columns", "text=内容", "--steps", "html, invisible")
    assert texts(tmp_path / "o.jsonl") == ["呃我我现在忙！！", "好的", "請打138" + "0" * 8, ""]
    config = tmp_path / "mine.yaml"
    config.write_text(
        "kind: linear\ninput:\n  clean:\n    - stutter: {dictionary: [青禾里]}\n    - punctuation\n", encoding="utf-8"
    )
    run("--input", calls, "--output", tmp_path / "p.jsonl", "--columns", "text=内容", "--config", config)
    assert texts(tmp_path / "p.jsonl")[0] == "呃我现在忙！"
    more = ["--set", "input.clean=[{keep_only: chinese}]"]
    result = run("--input", calls, "--output", tmp_path / "q.jsonl", "--columns", "text=内容", "--config", config, *more)
    assert texts(tmp_path / "q.jsonl")[2] == "請打"
    assert "dates, amounts" in result.stderr


def test_what_is_refused(calls: Path, tmp_path: Path):
    out = ("--output", tmp_path / "o.jsonl")
    assert "nothing to do" in refused("--input", calls)
    assert "both name a chain" in refused("--input", calls, *out, "--config", "linear", "--steps", "html")
    assert "there is none" in refused("--input", calls, *out, "--set", "input.clean=[html]")
    told = refused("--input", calls, *out, "--steps", "htm,lower")
    assert "no such step: htm" in told
    assert "no such step: lower" in told
    assert told.count("keep_only") == 1  # the steps that there are, once
    assert "no column" in refused("--input", calls, *out) or "has no 'text'" in refused("--input", calls, *out)
    assert "there is no such file" in refused("--input", tmp_path / "x.csv", *out)
    assert "is the input itself" in refused("--input", calls, "--output", calls, "--columns", "text=内容")
    assert not (tmp_path / "o.jsonl").exists()


def test_help_names_the_steps_and_an_example():
    result = run("--help")
    assert "Example: duobiao clean" in result.output
