"""``duobiao score``: answers, side file, kill and going on, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from commands import done, duobiao, refused
from score_files import contents, many_rows, records

from duobiao.classifier import Classifier
from duobiao.errors import DuobiaoError
from duobiao.score import local
from duobiao.score.journal import JOURNAL, Summary
from duobiao.score.run import score


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_answers_are_those_of_predict(chain: Any, tmp_path: Path):
    sound = [record for record in records(60) if record["text"]]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in sound), encoding="utf-8")
    done("predict", chain.linear, "--input", source, "--output", tmp_path / "wanted.jsonl")
    result = done(
        "score", chain.linear, "--input", source, "--output", tmp_path / "found.jsonl", "--part-rows", 17, "--workers", 1
    )
    assert (tmp_path / "found.jsonl").read_bytes() == (tmp_path / "wanted.jsonl").read_bytes()
    assert result.stdout == ""
    assert f"{len(sound)} rows" in result.stderr
    assert not (tmp_path / "found.jsonl.bad.jsonl").exists()
    assert not (tmp_path / "found.jsonl.run").exists()


def test_a_torch_bundle_gives_the_same_bytes_with_one_worker_and_with_two(chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "rows.parquet", 90)
    for workers in (1, 2):
        score(chain.student, [source], tmp_path / f"w{workers}", {"part_rows": 20, "keep": "all"}, workers=workers)
    assert contents(tmp_path / "w1") == contents(tmp_path / "w2")
    assert len(contents(tmp_path / "w1")) == 5


def test_formats_say_the_same_and_columns_are_passed_on(chain: Any, tmp_path: Path):
    names = ("rows.csv", "rows.jsonl", "rows.parquet")
    for name in names:
        many_rows(tmp_path / name, 80)
    found = []
    for name in names:
        out = tmp_path / f"{name}.out.parquet"
        score(chain.linear, [tmp_path / name], out, {"keep": ("note", "id"), "scores": "chosen", "part_rows": 30}, workers=1)
        found.append(pyarrow.parquet.read_table(out).to_pylist())
    assert found[0] == found[1] == found[2]
    assert list(found[0][0]) == ["id", "labels", "scores", "note", "id_"]
    assert all(dict(row["scores"]).keys() == set(row["labels"]) for row in found[0])
    assert [row["id"] for row in found[0]] == [record["id"] for record in records(80) if record["text"]]
    assert {row["note"] for row in found[0]} == {record["note"] for record in records(80) if record["text"]}
    assert all(row["id"] == row["id_"] for row in found[0])


def test_bad_rows_go_to_the_side_file_with_reasons_and_cost_nobody_else(chain: Any, tmp_path: Path):
    source = tmp_path / "rows.jsonl"
    source.write_bytes(
        '{"text":"物流"}\n{"text":" "}\n{broken\n[1]\n\n{"note":1}\n{"text":["a"]}\n'.encode()
        + b'{"text":"\xff\xfe\xfa"}\n'
        + '{"text":"质量","id":"q"}\n'.encode()
    )
    out = tmp_path / "out.jsonl"
    result = duobiao(
        "score", chain.linear, "--input", source, "--output", out, "--scores", "none", "--part-rows", 2, "--workers", 1
    )
    assert result.exit_code == 0
    assert "6 bad rows" in result.stderr
    assert [list(answer) for answer in lines(out)] == [["id", "labels"]] * 2
    assert [answer["id"] for answer in lines(out)] == [f"{source}:1", "q"]
    bad = lines(tmp_path / "out.jsonl.bad.jsonl")
    assert [one["row"] for one in bad] == [2, 3, 4, 6, 7, 8]
    assert {one["file"] for one in bad} == {str(source)}
    reasons = ["the text is empty", "broken JSON", "not a JSON object", "has no 'text'", "is a list", "damaged encoding"]
    assert all(reason in one["reason"] for reason, one in zip(reasons, bad, strict=True))
    assert bad[1]["raw"] == "{broken"
    assert bad[5]["raw"] == '{"text":"\\xff\\xfe\\xfa"}'
    strict = duobiao("score", chain.linear, "--input", source, "--output", tmp_path / "b.jsonl", "--strict")
    assert strict.exit_code == 1
    assert len(lines(tmp_path / "b.jsonl")) == 2


def test_a_model_that_reads_numbers_refuses_rows_without_them(made: Any, tmp_path: Path):
    source = tmp_path / "rows.jsonl"
    names = Classifier.load(made.paths["linear-numbers"]).columns
    assert "年龄" in names
    whole: dict[str, Any] = {"text": "物流", **dict.fromkeys(names, 3)}
    rows = [whole, {"text": "物流"}, {**whole, "年龄": "many"}, {**whole, "年龄": ""}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    score(made.paths["linear-numbers"], [source], tmp_path / "out.jsonl", workers=1)
    assert [one["id"] for one in lines(tmp_path / "out.jsonl")] == [f"{source}:1", f"{source}:4"], (
        "blank is unknown, not missing"
    )
    bad = lines(tmp_path / "out.jsonl.bad.jsonl")
    assert [one["row"] for one in bad] == [2, 3]
    assert "there is no column '年龄'" in bad[0]["reason"]
    assert "'many'" in bad[1]["reason"]
    table = many_rows(tmp_path / "rows.csv", 3)
    refused("score", made.paths["linear-numbers"], "--input", table, "--output", tmp_path / "o", names=("no column '年龄'",))


# ---- kill and go on ----------------------------------------------------------------------------------


def start(bundle: Path, source: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "duobiao", "score", bundle, "--input", source, "--output", out]
    options = ["--part-rows", "20", "--workers", "2", "--keep", "all"]
    return subprocess.Popen([*map(str, command), *options], start_new_session=True, stderr=subprocess.PIPE)


def killed_after(process: subprocess.Popen[bytes], journal: Path, parts: int) -> None:
    """Kills a whole process group once so many parts are done."""
    until = time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= parts):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("name", ["out", "out.jsonl"])
def test_a_killed_run_goes_on_without_a_lost_or_doubled_row(chain: Any, tmp_path: Path, name: str):
    source = many_rows(tmp_path / "rows.csv", 2000)
    settings = {"part_rows": 20, "keep": "all"}
    wanted = tmp_path / "wanted" / name
    summary = score(chain.linear, [source], wanted, settings, workers=1)
    out = tmp_path / "killed" / name
    run = out.with_name(f"{name}.run")
    for parts in (3, 30):
        killed_after(start(chain.linear, source, out), run / JOURNAL, parts)
        assert not out.exists(), "nothing half-written is ever there"
    with (run / JOURNAL).open("ab") as file:
        file.write(b"[99, 2")  # as a kill may leave the last line
    done_before = (run / JOURNAL).read_bytes().count(b"\n")
    assert 30 <= done_before < summary.parts
    scored: list[int] = []
    patched = local.scored
    try:
        local.scored = lambda job, parts, workers=None: patched(job, (scored.append(p.number) or p for p in parts), workers)
        assert score(chain.linear, [source], out, settings) == summary
    finally:
        local.scored = patched
    assert len(scored) == len(set(scored)) == summary.parts - done_before
    if out.is_dir():
        assert contents(out) == contents(wanted)
    else:
        assert out.read_bytes() == wanted.read_bytes()
    assert (tmp_path / "killed" / f"{name}.bad.jsonl").read_bytes() == (tmp_path / "wanted" / f"{name}.bad.jsonl").read_bytes()
    assert sorted(path.name for path in out.parent.iterdir()) == sorted(path.name for path in wanted.parent.iterdir())


def test_a_kill_at_the_very_end_is_gone_on_from_without_scoring_again(
    chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    source = many_rows(tmp_path / "rows.jsonl", 60)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("duobiao.score.journal.place_finished", stop)
        with pytest.raises(KeyboardInterrupt):
            score(chain.linear, [source], out, {"part_rows": 30}, workers=1)
    assert not out.exists()
    monkeypatch.setattr(local, "scored", stop)
    with monkeypatch.context() as patch:
        patch.setattr("duobiao.score.journal.shutil.rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            score(chain.linear, [source], out, {"part_rows": 30})
    assert score(chain.linear, [source], out, {"part_rows": 30}) == Summary(58, 2, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.bad.jsonl", "out.score.json", "rows.jsonl"]
    assert len(contents(out)) == 2


@pytest.mark.parametrize("name", ["out", "out.jsonl"])
def test_a_kill_between_the_last_two_steps_is_gone_on_from_too(
    chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    real, source, out = os.replace, many_rows(tmp_path / "rows.jsonl", 60), tmp_path / name

    def stop_at_the_report(old: Any, new: Any) -> None:
        if Path(new).name == f"{name}.score.json":
            raise KeyboardInterrupt
        real(old, new)

    with monkeypatch.context() as patch:
        patch.setattr("duobiao.score.journal.os.replace", stop_at_the_report)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                score(chain.linear, [source], out, {"part_rows": 30}, workers=1)
            assert out.exists()
            assert not (tmp_path / f"{name}.run" / "run.json").exists()
    monkeypatch.setattr(local, "scored", None)  # nothing is left to do
    assert score(chain.linear, [source], out, {"part_rows": 30}) == Summary(58, 2, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [name, *(f"{name}.{end}" for end in ("bad.jsonl", "score.json")), "rows.jsonl"]
    )


def test_a_part_whose_worker_is_killed_is_done_by_another(chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "rows.csv", 400)
    summary = score(chain.linear, [source], tmp_path / "wanted", {"part_rows": 20}, workers=1)
    killed: list[int] = []
    real = local._Process.give

    def give(self: Any, part: Any) -> None:
        real(self, part)
        if part.number in (5, 11) and part.number not in killed:
            killed.append(part.number)
            self.process.kill()

    local._Process.give = give  # type: ignore[method-assign]
    try:
        assert score(chain.linear, [source], tmp_path / "out", {"part_rows": 20}, workers=2) == summary
    finally:
        local._Process.give = real  # type: ignore[method-assign]
    assert sorted(killed) == [5, 11]
    assert contents(tmp_path / "out") == contents(tmp_path / "wanted")


def test_a_part_that_ends_every_worker_is_named(chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = many_rows(tmp_path / "rows.csv", 40)
    monkeypatch.setattr(local._Process, "give", lambda self, part: (setattr(self, "part", part), self.process.kill()))
    with pytest.raises(DuobiaoError, match=r"rows\.csv: the 20 rows from row 2 ended 3 workers"):
        score(chain.linear, [source], tmp_path / "out", {"part_rows": 20}, workers=1)


def test_what_a_worker_cannot_do_is_told_as_an_error(chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "rows.csv", 40)
    real = local._Process.give

    def give(self: Any, part: Any) -> None:
        source.unlink(missing_ok=True)
        real(self, part)

    local._Process.give = give  # type: ignore[method-assign]
    try:
        with pytest.raises(DuobiaoError, match="cannot be read"):
            score(chain.linear, [source], tmp_path / "out")
    finally:
        local._Process.give = real  # type: ignore[method-assign]


# ---- the same run, and another one -------------------------------------------------------------------


def test_a_finished_run_is_left_as_it_is_and_another_one_is_refused(chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "rows.jsonl", 30)
    command = ("score", chain.linear, "--input", source, "--output", tmp_path / "out", "--workers", 1)
    done(*command)
    before = contents(tmp_path / "out")
    again = done(*command)
    assert "finished before" in again.stderr
    assert "29 rows" in again.stderr
    refused(*command, "--scores", "none", names=("scores is 'none' now, was 'all'", "--force"))
    refused("score", chain.student, *command[2:], names=("the bundle is",))
    many_rows(tmp_path / "more.jsonl", 3)
    refused(*command, "--input", tmp_path / "more.jsonl", names=("more.jsonl: is new",))
    many_rows(source, 31)
    refused(*command, names=("rows.jsonl: has changed",))
    assert contents(tmp_path / "out") == before
    done(*command, "--force")
    assert contents(tmp_path / "out") != before


def test_an_interrupted_run_is_not_gone_on_with_as_another_one(chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "rows.csv", 3000)
    out = tmp_path / "out"
    killed_after(start(chain.linear, source, out), tmp_path / "out.run" / JOURNAL, 2)
    refused("score", chain.linear, "--input", source, "--output", out, "--part-rows", 20, names=("keep is [] now, was 'all'",))
    done("score", chain.linear, "--input", source, "--output", out, "--part-rows", 1000, "--force", "--workers", 1)
    assert sorted(contents(out)) == [f"part-0000{n}.parquet" for n in range(3)]


def test_two_processes_are_never_at_one_run(chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "rows.csv", 4000)
    process = start(chain.linear, source, tmp_path / "out")
    try:
        while not (tmp_path / "out.run" / JOURNAL).exists():
            assert process.poll() is None
            time.sleep(0.005)
        refused("score", chain.linear, "--input", source, "--output", tmp_path / "out", names=("another process",))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_places_that_are_not_ours_are_never_touched(chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "in" / "rows.jsonl" if (tmp_path / "in").mkdir() is None else tmp_path, 5)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x", encoding="utf-8")
    (tmp_path / "free.run").mkdir()
    (tmp_path / "free.run" / "run.json").write_text('{"run": 1}', encoding="utf-8")
    (tmp_path / "busy.run").mkdir()
    (tmp_path / "busy.run" / "last.pt").write_bytes(b"")
    command = ("score", chain.linear, "--input", tmp_path / "in", "--force", "--output")
    refused(*command, tmp_path / "mine", names=("not written by duobiao score",))
    refused(*command, tmp_path / "free", names=("is no run of duobiao score",))
    refused(*command, tmp_path / "busy", names=("is no run of duobiao score",))
    refused(*command, source, names=("the output is the input itself", "stands in the input folder"))
    refused(*command, tmp_path / "in" / "out", names=("stands in the input folder",))
    refused(*command, tmp_path / "a.jsonl", "--format", "parquet", names=("is no parquet file",))
    refused(*command, tmp_path / "a", "--format", "csv", names=("parquet or jsonl",))
    refused(*command, tmp_path / "a", "--engine", "spark", names=("local or ray",))
    refused(*command, tmp_path / "a", "--scores", "some", names=("scores",))
    refused(*command, tmp_path / "a", "--keep", "all", names=("--keep a,b",))
    assert (tmp_path / "mine" / "x").exists()
    assert (tmp_path / "busy.run" / "last.pt").exists()


def test_all_that_is_wrong_with_the_inputs_is_told_before_any_work(chain: Any, tmp_path: Path):
    (tmp_path / "a.csv").write_text("内容,id\n物流,1\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("text,text\n物流,1\n", encoding="utf-8")
    (tmp_path / "c.parquet").write_bytes(b"no parquet")
    (tmp_path / "d.jsonl").write_bytes("物流".encode("utf-16"))
    pyarrow.parquet.write_table(pyarrow.table({"text": [1, 2]}), tmp_path / "e.parquet")
    text = refused("score", chain.linear, "--input", tmp_path, "--output", tmp_path / ".." / "out", "--keep", "note")
    for wanted in ("a.csv: there is no column 'text'", "'note'", "b.csv", "c.parquet", "d.jsonl: is UTF-16"):
        assert wanted in text
    for one in ("a.csv", "b.csv", "c.parquet", "d.jsonl"):
        (tmp_path / one).unlink()
    refused("score", chain.linear, "--input", tmp_path, "--output", tmp_path / ".." / "out", names=("holds int64, not text",))
    (tmp_path / "e.parquet").unlink()
    refused("score", chain.linear, "--input", tmp_path, "--output", "out", names=("holds no file",))
    refused("score", chain.linear, "--input", tmp_path / "*.csv", "--output", "out", names=("there is no such file",))
    (tmp_path / "calls.xlsx").write_bytes(b"x")
    refused("score", chain.linear, "--input", tmp_path / "calls.xlsx", "--output", "out", names=("is not read row by row",))
    (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
    refused("score", chain.linear, "--input", tmp_path / "empty.jsonl", "--output", tmp_path / "o", names=("hold no rows",))
