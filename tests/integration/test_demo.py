"""``duobiao demo`` on a tiny data set in place of the built-in ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import done, duobiao, tree

from duobiao import builtin
from duobiao.bundle import read_bundle
from duobiao.demo import run_demo
from duobiao.errors import DataError
from duobiao.labels import LabelSpace
from duobiao.train import run

SYSTEMS = ["linear", "teacher-mini", "bigru-a", "bigru-a-control", "bigru-b", "bigru-b-control"]
QUICK = ["train.epochs=1", "input.max_length=32"]


@pytest.fixture
def tiny_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_rows: Any, tiny_space: LabelSpace, write_rows: Callable[..., Path]
) -> Path:
    """A folder as ``builtin.folder`` gives it; few rounds of timing."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, rows in {"train": tiny_rows.train, "dev": tiny_rows.dev, "test": tiny_rows.dev[:8]}.items():
        write_rows(folder / f"{name}.jsonl", rows)
    (folder / "labels.yaml").write_text(tiny_space.to_yaml(), encoding="utf-8")
    monkeypatch.setattr(builtin, "folder", lambda name: folder)
    monkeypatch.setattr("duobiao.evaluate.latency.ROUNDS", {1: 3, 32: 2})
    return folder


def count_fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the systems that are trained from now on."""
    fitted: list[str] = []
    fit, fit_linear = run.fit, run.fit_linear

    def counted(*arguments: Any, **options: Any) -> Any:
        fitted.append(options["label"])
        return fit(*arguments, **options)

    def counted_linear(*arguments: Any, **options: Any) -> Any:
        fitted.append("linear")
        return fit_linear(*arguments, **options)

    monkeypatch.setattr(run, "fit", counted)
    monkeypatch.setattr(run, "fit_linear", counted_linear)
    return fitted


@pytest.mark.usefixtures("tiny_data")
def test_it_trains_and_compares_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fitted = count_fits(monkeypatch)
    out = tmp_path / "demo"
    found = run_demo(out, datasets=["hotline"], overrides=QUICK)
    assert fitted == SYSTEMS
    assert [system["name"] for system in found["hotline"]] == SYSTEMS
    assert [system["reference"] for system in found["hotline"]] == [name == "teacher-mini" for name in SYSTEMS]
    assert {path.name for path in (out / "hotline").iterdir()} == {
        *SYSTEMS,
        *("compare.json", "compare.md", "report.html", ".soft_labels"),
    }
    teachers = [read_bundle(out / "hotline" / name).metrics.get("teacher") for name in SYSTEMS[2:]]
    assert teachers == ["teacher-mini", "none (control)"] * 2
    assert all("unseen_text" in system for system in found["hotline"])
    bundles = {name: tree(out / "hotline" / name) for name in SYSTEMS}

    again = run_demo(out, datasets=["hotline"], overrides=QUICK, language="en")
    assert fitted == SYSTEMS, "nothing was trained again"
    assert {name: tree(out / "hotline" / name) for name in SYSTEMS} == bundles
    scores = [[(system["name"], system["micro_f1"]) for system in one["hotline"]] for one in (found, again)]
    assert scores[0] == scores[1]
    assert "Quality against time" in (out / "hotline" / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("tiny_data")
def test_the_command_goes_on_after_an_interruption_and_shows_tables_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fitted = count_fits(monkeypatch)
    command = ("demo", "--out", tmp_path / "demo", "--lang", "en", *(part for value in QUICK for part in ("--set", value)))
    counted = run.fit

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if options["label"] == "bigru-b":
            raise KeyboardInterrupt
        return counted(*arguments, **options)

    monkeypatch.setattr(run, "fit", interrupted)
    result = duobiao(*command)
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr
    assert fitted == SYSTEMS[:4]
    monkeypatch.setattr(run, "fit", counted)
    result = done(*command)
    assert fitted == [*SYSTEMS, *SYSTEMS], "the rest of the first data set, then the second"
    for name in ("hotline", "callback"):
        report = tmp_path / "demo" / name / "report.html"
        assert f"report: {report.resolve()}" in result.stdout
        assert f"duobiao · {name}" in report.read_text(encoding="utf-8")
        assert len(json.loads(report.with_name("compare.json").read_text(encoding="utf-8"))) == len(SYSTEMS)
        assert f"== {name}: 48 training, 16 dev, 8 test rows ==" in result.stderr
    for word in (*SYSTEMS, "micro-F1", "speed-up"):
        assert result.stdout.count(word) >= 2
    assert "random weights" not in result.stdout, "the teacher of the demo is pre-trained"


def test_a_data_set_that_is_not_built_in(tmp_path: Path):
    with pytest.raises(DataError, match="weather"):
        run_demo(tmp_path, datasets=["weather"])


@pytest.mark.parametrize("name", builtin.DATASETS)
def test_the_built_in_folders_hold_what_the_demo_reads(name: str):
    assert {"train.jsonl", "dev.jsonl", "test.jsonl", "labels.yaml"} <= {path.name for path in builtin.folder(name).iterdir()}
