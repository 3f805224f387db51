"""Swapping, dropped characters, synonyms and guesses among the ways to make synthetic rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import rjieba

from duobiao.config import AugmentSettings
from duobiao.data.augment import augment, merged
from duobiao.data.rows import Row
from duobiao.data.synonyms import read_synonyms
from duobiao.errors import DataError

TEXTS = [
    "快递昨天就应该送到我家，今天还没有看到人",
    "物流公司的电话一直打不通，客服也不理我",
    "这个发票的抬头写错了，请帮我重新开一张",
]
ROWS = [Row(str(number), text, ("物流", "物流", "发票")[number]) for number, text in enumerate(TEXTS)]
STILL = {"drop": 0.0, "replace": 0.0, "ngram": 0.0, "join": 0.0}


def make(copies: int = 10, guess: Any = None, **settings: Any) -> list[Row]:
    return augment(ROWS, AugmentSettings(copies=copies, **{**STILL, **settings}), 0, guess)


def source(row: Row) -> str:
    return TEXTS[int(row.id.split("+")[0])]


def test_settings_from_before_give_the_rows_from_before() -> None:
    rows = [
        Row("a", "快递昨天就应该送到我家，今天还没有看到人", "物流"),
        Row("b", "物流公司的电话一直打不通，客服也不理我", "物流"),
        Row("c", "这个发票的抬头写错了，请帮我重新开一张", "发票"),
        Row("d", "好", "发票"),
    ]
    found = []
    for seed in (0, 3):
        made = augment(rows, AugmentSettings(copies=40, drop=0.2, replace=0.3), seed)
        found.append(hashlib.sha256("\n".join(row.text for row in made).encode()).hexdigest()[:16])
    assert found == ["28f267329ac4cf41", "01fd2fb819b9a26f"]  # computed before the other ways came


def test_swapped_words_are_the_same_words_near_their_places() -> None:
    made = make(swap=0.3)
    assert made
    for row in made:
        words = [word for word, _ in rjieba.tag(source(row))]
        assert Counter(row.text) == Counter(source(row))
        left = row.text  # a word of the source stands at its place, or one of its neighbours does
        at = 0
        while at < len(words):
            if left.startswith(words[at]) and not (at + 1 < len(words) and left.startswith(words[at + 1] + words[at])):
                left, at = left.removeprefix(words[at]), at + 1
            else:
                left, at = left.removeprefix(words[at + 1]).removeprefix(words[at]), at + 2
        assert left == ""


def test_all_words_swapped_change_places_in_pairs() -> None:
    rows = [Row("a", "我吃苹果"), Row("b", "他买香蕉")]
    made = augment(rows, AugmentSettings(copies=1, swap=1.0, **STILL))
    assert [row.text for row in made] == ["吃我苹果", "买他香蕉"]


def test_characters_go_or_change_places() -> None:
    for row in make(drop_characters=0.2):
        left = iter(source(row))
        assert all(character in left for character in row.text)
        assert len(row.text) < len(source(row))
    rows = augment([Row("a", "一二三四五")], AugmentSettings(copies=1, swap_characters=1.0, **STILL))
    assert [row.text for row in rows] == ["二一四三五"]


# ---- synonyms ------------------------------------------------------------------------------------------


def dictionary(folder: Path, text: str) -> Path:
    path = folder / "synonyms.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_words_are_replaced_by_others_of_their_group(tmp_path: Path) -> None:
    path = dictionary(tmp_path, "# 物流\n快递 包裹 邮件\n应该 理应\n")
    texts = {row.text for row in make(40, synonyms=str(path), synonym=0.9) if row.id.startswith("0")}
    wanted = {f"{one}昨天就{two}送到我家，今天还没有看到人" for one in ("快递", "包裹", "邮件") for two in ("应该", "理应")}
    assert texts == wanted - {TEXTS[0]}


def test_words_of_the_dictionary_are_found_across_the_segmenters_words(tmp_path: Path) -> None:
    assert merged([("打", "v"), ("不通", "v"), ("了", "u")], {"打不通": ()}) == [("打不通", "v"), ("了", "u")]
    assert merged([("甲", "x"), ("乙", "x"), ("丙", "y")], {"甲乙": (), "甲乙丙": ()}) == [("甲乙丙", "y")]
    path = dictionary(tmp_path, "物流公司的电话 客服热线\n")
    texts = [row.text for row in make(synonyms=str(path), synonym=1.0)]
    assert texts == ["客服热线一直打不通，客服也不理我"]


def test_dictionaries_of_several_forms_are_read(tmp_path: Path) -> None:
    text = "Aa01A01= 人 士 人物\nAa01A02# 甲 乙\nAa01A03@ 独\n快递，包裹、邮件\n人 个人\n\n# 备注\n"
    path = dictionary(tmp_path, text)
    wanted = {
        "人": ("士", "人物", "个人"),
        "士": ("人", "人物"),
        "人物": ("人", "士"),
        "快递": ("包裹", "邮件"),
        "包裹": ("快递", "邮件"),
        "邮件": ("快递", "包裹"),
        "个人": ("人",),
    }
    assert read_synonyms(path) == wanted
    path.write_bytes(text.encode("gb18030"))
    assert read_synonyms(path) == wanted


def test_dictionaries_without_groups_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_synonyms(tmp_path / "none.txt")
    with pytest.raises(DataError, match="holds no group"):
        read_synonyms(dictionary(tmp_path, "# nothing\n"))
    with pytest.raises(DataError) as caught:
        read_synonyms(dictionary(tmp_path, "快递\n甲 乙\n发票 发票\n"))
    assert [problem.split(":")[1] for problem in caught.value.problems] == [" line 1", " line 3"]


# ---- guesses -------------------------------------------------------------------------------------------


def test_guesses_stand_where_they_were_made_for() -> None:
    seen: list[Sequence[Sequence[str]]] = []

    def guess(rows: Sequence[Sequence[str]]) -> list[dict[int, tuple[str, ...]]]:
        seen.append(rows)
        return [{0: ("甲", "乙")}, {}, {}]

    made = make(30, guess, mlm_replace=1.0)
    assert seen == [[[word for word, _ in rjieba.tag(text)] for text in TEXTS]]
    assert {row.text for row in made} == {TEXTS[0].replace("快递", one) for one in "甲乙"}
    assert make(30, guess, mlm_replace=0.0) == []
