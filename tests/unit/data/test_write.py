"""Places of files: what is refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from duobiao.data.write import check_writable, write_text
from duobiao.errors import DataError


def test_all_places_that_cannot_be_written_are_told_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    bad = (tmp_path, tmp_path / "file" / "a" / "x.md", tmp_path / ("x" * 300))
    with pytest.raises(DataError, match="cannot be written") as error:
        check_writable(bad[0], tmp_path / "good" / "x.json", None, *bad[1:])
    assert [one.partition(":")[0] for one in error.value.problems] == [str(path) for path in bad]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_places_that_pass_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.txt").write_text("old", encoding="utf-8")
    places = (Path("there.txt"), Path("new.txt"), tmp_path / "a" / "b" / "c.txt")
    check_writable(*places)
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
