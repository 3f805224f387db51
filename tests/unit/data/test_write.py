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


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(DataError, match="closed"):
        check_writable(tmp_path / "closed" / "x.json")
