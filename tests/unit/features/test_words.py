"""The file of category words: written, edited by people, read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.errors import DataError
from duobiao.features.words import Category, Term, Words
from duobiao.labels import LabelSpace

NASTY = [
    "no",
    "1e3",
    "是: 否",
    "#井号",
    "- 横",
    "'引'",
    '"',
    "{花}",
    "[方]",
    "null",
    "~",
    "3.5",
    "a b",
    "😀",
    "!",
    "&x",
    "*y",
    "%",
]
names = st.sampled_from(NASTY) | st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=6
)
terms = st.builds(
    Term,
    names.map(lambda word: word.lower().strip()).filter(bool),
    st.integers(0, 99),
    st.integers(0, 99),
    st.fixed_dictionaries(
        {}, optional={name: st.floats(-50, 50).map(lambda x: round(x, 4)) for name in ("log_odds", "chi2", "mi")}
    ),
)
categories = st.builds(
    Category, st.lists(terms, max_size=4, unique_by=lambda term: term.word).map(tuple), st.integers(0, 99), st.integers(0, 99)
)
parts = st.dictionaries(names, categories, max_size=3)


@settings(max_examples=25, deadline=None)
@given(words=st.builds(Words, parts, parts, st.sampled_from(["log_odds", "chi2", "mi"])))
def test_a_written_file_reads_back_the_same(words: Words, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("words") / "words.yaml"
    words.write(path)
    again = Words.from_yaml(path)
    assert again == words
    assert list(again.labels) == list(words.labels)


def test_people_may_write_bare_words(tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(
        "labels:\n  退款: [退钱, 退款, 退钱]\n  投诉:\n    words:\n      - 投诉\n      - {word: ABC}\n", encoding="utf-8-sig"
    )
    words = Words.from_yaml(path)
    assert words.labels["退款"].top(9) == ("退钱", "退款")
    assert words.labels["投诉"].top(9) == ("投诉", "abc")  # matched in lower case
    assert words.labels["投诉"].top(1) == ("投诉",)
    assert words.missing(LabelSpace(("退款", "发票")), ["节点"]) == ["label '发票'", "context '节点'"]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(
        "by: guess\nlabel: {}\nlabels:\n  甲: 5\n  乙: [no, '']\n  丙: {words: [{word: 好, chi2: much}], rows: -1, hue: 3}\n"
        "contexts: [1]\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError) as caught:
        Words.from_yaml(path)
    text = str(caught.value)
    for part in (
        "words.yaml",
        "'guess'",
        "'label'",
        "甲",
        "乙: False",
        "乙: ''",
        "好: chi2",
        "丙: rows",
        "'hue'",
        "contexts: must",
    ):
        assert part in text, part


@pytest.mark.parametrize("text", ["", "- a", "labels: [", "a: 1\na: 2", "\xff"])
def test_what_is_no_file_of_words_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"words\.yaml"):
        Words.from_yaml(path)
    with pytest.raises(DataError, match=r"absent\.yaml"):
        Words.from_yaml(tmp_path / "absent.yaml")
