"""Where a run may write, and that one process alone does."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from duobiao.errors import DataError
from duobiao.score.inputs import files_of
from duobiao.score.lock import held
from duobiao.score.places import Places


def refusal(out: Path, inputs: Sequence[Any]) -> Sequence[str]:
    with pytest.raises(DataError, match="would be read as an input, or replace one") as error:
        Places.of(out, None, inputs, files_of(inputs))
    return error.value.problems


@pytest.mark.parametrize(
    ("out", "glob"),
    [
        ("calls/out.jsonl", "calls/*.jsonl"),
        ("calls/out", "calls/*.jsonl"),  # its side file of bad rows
        ("calls/out", "calls/*/*.parquet"),
        ("deep/down/out", "**/*.parquet"),
        ("calls/out.jsonl", "calls/**"),
        ("calls/deep/out", "calls/**"),
        ("calls/out.jsonl", "**"),
        ("calls/out.jsonl", "**/**"),
        ("out", "o*/../calls/../*/part-*.parquet"),
        ("calls/out.parquet", "calls/out.parque[t]"),
    ],
)
def test_a_glob_that_would_find_what_is_written_is_refused_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, glob: str
):
    monkeypatch.chdir(tmp_path)
    for name in ("calls/a.jsonl", "calls/b/c.parquet", "out/part-x.parquet", "calls/out.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for place, given in ((out, glob), (out, str(tmp_path / glob)), (tmp_path / out, glob)):
        assert any(problem.startswith(f"the glob {given!r} matches ") for problem in refusal(Path(place), [given]))


@pytest.mark.parametrize(
    ("out", "glob"),
    [
        *((out, "calls/*.parquet") for out in ("out", "calls/out", "calls/sub/out.parquet", "other/part")),
        *((out, "calls/**") for out in ("out", "calls.jsonl", "other/part")),
    ],
)
def test_a_glob_beside_the_output_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, glob: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "a.parquet").write_text("")
    Places.of(Path(out), None, [glob], files_of([glob]))


def test_all_inputs_that_the_output_would_replace_are_named(tmp_path: Path):
    names = ("out/part-00000.parquet", "out/mine.jsonl", "out.run/parts/part-00000.parquet", "out.bad.jsonl", "sound.jsonl")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "out" / "mine.jsonl")
    problems = refusal(tmp_path / "out", [tmp_path / name for name in (*names, "link.jsonl")])
    assert [problem.split()[2] for problem in problems] == [str(tmp_path / name) for name in (*names[:4], "link.jsonl")]
    Places.of(tmp_path / "other", None, [tmp_path / "out"], files_of([tmp_path / "out"]))


def _try(folder: Path, told: Any) -> None:
    try:
        with held(folder):
            told.put("held")
    except DataError as error:
        told.put(error.message)


def try_elsewhere(folder: Path) -> str:
    """What another process is told that wants the folder."""
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    process = context.Process(target=_try, args=(folder, told))
    process.start()
    found = str(told.get(timeout=60))
    process.join()
    return found


def test_a_run_is_held_by_one_process_and_its_folder_goes_when_nothing_is_left_in_it(tmp_path: Path):
    folder = tmp_path / "deep" / "out.run"
    with held(folder):
        assert "another process is at this run" in try_elsewhere(folder)
    assert not folder.exists()
    assert try_elsewhere(folder) == "held"
    with held(folder):
        (folder / "run.json").write_text("{}")
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "run.json"]
    with pytest.raises(KeyError), held(folder):
        raise KeyError
    assert try_elsewhere(folder) == "held"


def test_a_lock_that_its_owner_has_removed_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "out.run"
    real, removed = os.path.samestat, list[Path]()

    def samestat(ours: os.stat_result, there: os.stat_result) -> bool:
        same = real(ours, there)
        if not removed:  # as if it had been removed, and made anew by a third, since it was opened
            removed.append(folder / "lock")
            (folder / "lock").unlink()
            (folder / "lock").touch()
            same = real(ours, (folder / "lock").stat())
        return same

    monkeypatch.setattr(os.path, "samestat", samestat)
    with held(folder):
        assert "another process is at this run" in try_elsewhere(folder)
    assert len(removed) == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"), held(tmp_path / "file" / "out.run"):
        pass
