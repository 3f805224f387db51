"""The words of ``stutter`` from a file: read when the settings are, and never again."""

from pathlib import Path

import pytest

from duobiao.config import clean_step, parse_config
from duobiao.data.clean import build_chain
from duobiao.errors import ConfigError

TEXT = "呷哺呷哺在哪"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# 店名\n呷哺呷哺\r\n\n  青禾里  # 小区\n呷哺呷哺\n", encoding="utf-8")
    return path


def test_the_words_of_a_file_stand_in_the_settings(words: Path):
    held = {"stutter": {"dictionary": ["呷哺呷哺", "青禾里"]}}
    assert clean_step({"stutter": {"dictionary": str(words)}}) == held
    assert clean_step({"stutter": str(words)}) == held
    config = parse_config({"kind": "linear", "input": {"clean": [{"stutter": str(words)}]}})
    words.unlink()
    kept = config.model_dump(mode="json")["input"]["clean"]
    assert kept == [held]
    assert build_chain(kept)(TEXT) == TEXT
    assert build_chain(["stutter"])(TEXT) == "呷哺在哪"


def test_what_is_wrong_with_a_file_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none.txt: cannot be read: No such file"):
        build_chain([{"stutter": str(tmp_path / "none.txt")}])
    (tmp_path / "a.txt").write_text("甲\n乙 丙\n丁\t戊\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a.txt: one word a line: line 2: '乙 丙', line 3"):
        build_chain([{"stutter": str(tmp_path / "a.txt")}])
    (tmp_path / "a.txt").write_bytes("甲乙丙".encode("gb18030"))
    with pytest.raises(ConfigError, match="it is no UTF-8"):
        build_chain([{"stutter": {"dictionary": str(tmp_path / "a.txt")}}])
