"""Places of results: what is refused before any work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from duobiao.data.write import write_text
from duobiao.errors import DataError
from duobiao.outputs import FORMAT, MANIFEST, check_outputs


def check_writable(*places: Path | None) -> None:
    check_outputs([(f"--{number}", place) for number, place in enumerate(places)])


def bundle(place: Path) -> Path:
    """A folder that says it is a bundle."""
    place.mkdir(parents=True)
    (place / MANIFEST).write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
    return place


def test_all_places_that_cannot_be_written_are_told_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere" / "at all")
    os.mkfifo(tmp_path / "pipe")
    bad = (
        tmp_path,
        tmp_path / "file" / "a" / "x.md",
        tmp_path / ("x" * 300),
        tmp_path / ("标" * 83),  # the name would do, but not that of the file beside it
        tmp_path / "new" / ("x" * 300) / "x.md",
        tmp_path / "lost" / "x.md",
        tmp_path / "pipe",
    )
    with pytest.raises(DataError, match="cannot be written") as error:
        check_writable(bad[0], tmp_path / "good" / "x.json", None, *bad[1:])
    assert [one.partition(": ")[0] for one in error.value.problems] == [str(path) for path in bad]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "lost", "pipe"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
@pytest.mark.parametrize("place", ["/proc/nope/x.md", "/proc/x.md"])
def test_folders_that_take_no_files_are_found_out(place: str) -> None:
    for attempt in (lambda: check_outputs([("--md", place)]), lambda: check_outputs(folders=[("--out", place)])):
        with pytest.raises(DataError, match=r"no file can be made in /proc|/proc: Permission denied"):
            attempt()


def test_places_that_pass_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.txt").write_text("old", encoding="utf-8")
    places = (Path("there.txt"), Path("new.txt"), tmp_path / "a" / "b" / "c.txt")
    check_writable(*places)
    assert [path.name for path in tmp_path.iterdir()] == ["there.txt"]
    for place in places:
        write_text(place, "new")
        assert place.read_text(encoding="utf-8") == "new"


def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    real = os.access  # whoever runs the tests may be allowed everything
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and real(path, mode))
    check_writable(tmp_path / "x.json")
    with pytest.raises(DataError) as error:
        check_writable(tmp_path / "x.json", closed / "x.json", closed / "a" / "y.json")
    assert list(error.value.problems) == [f"{closed / name}: {closed}: Permission denied" for name in ("x.json", "a/y.json")]


def test_an_input_is_known_through_links_and_other_spellings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "in.jsonl"
    source.write_text("mine", encoding="utf-8")
    (tmp_path / "soft.jsonl").symlink_to(source)
    (tmp_path / "hard.jsonl").hardlink_to(source)
    (tmp_path / "linked").symlink_to(tmp_path)
    for written in ("in.jsonl", "./in.jsonl", "linked/in.jsonl", "linked/linked/in.jsonl", "soft.jsonl", "hard.jsonl", source):
        with pytest.raises(DataError, match="is the input itself") as error:
            check_outputs([("--flips", written)], [None, "elsewhere.jsonl", "in.jsonl"])
        assert error.value.hint == "name another --flips"
    check_outputs([("--flips", "elsewhere.jsonl")], ["elsewhere.jsonl", "x" * 5000])  # the name of a configuration is no file


def test_two_results_have_two_places(tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(tmp_path)
    for other in (tmp_path / "d.json", tmp_path / "linked" / "d.json"):
        with pytest.raises(DataError, match=r"d.json: is the place of two results \(--md and --json\)"):
            check_outputs([("--md", tmp_path / "d.json"), ("--json", other)])
    with pytest.raises(DataError, match=r"lies in .*new \(--out\), which is replaced whole") as error:
        check_outputs([("--json", tmp_path / "new" / "x.json")], folders=[("--out", tmp_path / "new")])
    assert error.value.hint == "name another --json"
    check_outputs([("--json", tmp_path / "new.json")], folders=[("--out", tmp_path / "new")])


def test_nothing_is_written_into_a_bundle_or_over_what_is_read(tmp_path: Path) -> None:
    place = bundle(tmp_path / "runs" / "one")
    (tmp_path / "link").symlink_to(place)
    for inside in (place / "x.md", place / "a" / "x.md", tmp_path / "link" / "x.md"):
        with pytest.raises(DataError, match=r"lies in the bundle .*runs/one, whose folder holds nothing else"):
            check_outputs([("--md", inside)])
        with pytest.raises(DataError, match="lies in the bundle"):
            check_outputs(folders=[("--out", inside)])
    with pytest.raises(DataError, match="is the input itself"):
        check_outputs(inputs=[place], folders=[("--out", tmp_path / "link")])
    (place / "rows.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match=r"is replaced whole, and holds the input .*rows.jsonl"):
        check_outputs(inputs=[place / "rows.jsonl"], folders=[("--out", place)])
    check_outputs([("--md", place.parent / "x.md")], [place], [("--out", place.parent / "two")])
    check_outputs(folders=[("--out", place)])  # that one may be replaced is for the command to say
