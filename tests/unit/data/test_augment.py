"""Synthetic rows."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from duobiao.config import AugmentSettings
from duobiao.data.augment import augment
from duobiao.data.rows import Row

ROWS = [
    Row("a", "快递昨天就应该送到我家，今天还没有看到人", "物流", ("慢",), unknown=("快",), group_id="g1", extra={"turn": 3}),
    Row("b", "物流公司的电话一直打不通，客服也不理我", "物流"),
    Row("c", "这个发票的抬头写错了，请帮我重新开一张", "发票"),
    Row("d", "好", "发票"),
]
STILL = {"drop": 0.0, "replace": 0.0, "ngram": 0.0, "join": 0.0}


def make(copies: int = 5, seed: int = 0, **settings: float) -> list[Row]:
    return augment(ROWS, AugmentSettings(copies=copies, **{**STILL, **settings}), seed)


def contains(whole: list[str], part: list[str]) -> bool:
    return any(whole[at : at + len(part)] == part for at in range(len(whole)))


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    left = iter(whole)
    return all(word in left for word in part)


def test_no_copies_no_rows() -> None:
    assert make(0, drop=0.5) == []


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    first = [row.text for row in make(drop=0.3, replace=0.3, join=0.3)]
    assert first == [row.text for row in make(drop=0.3, replace=0.3, join=0.3)]
    assert first != [row.text for row in make(seed=1, drop=0.3, replace=0.3, join=0.3)]


def test_rows_without_change_are_not_made() -> None:
    assert make() == []


def test_synthetic_rows_are_new_unlabelled_and_keep_context_and_dialogue() -> None:
    made = make(20, drop=0.3, replace=0.2, ngram=0.3, join=0.3)
    sources = {row.id: row for row in ROWS}
    seen = {(row.text, row.context) for row in ROWS}
    assert len(made) > 40
    for row in made:
        source = sources[row.id.split("+")[0]]
        assert (row.context, row.group_id, row.extra) == (source.context, source.group_id, source.extra)
        assert (row.labels, row.unknown) == (None, ())
        assert row.text.strip() == row.text != ""
        assert (row.text, row.context) not in seen
        seen.add((row.text, row.context))
    assert len({row.id for row in made}) == len(made)


def test_dropping_leaves_a_subsequence_of_words() -> None:
    made = make(30, drop=0.4)
    assert made
    for row in made:
        source = next(one for one in ROWS if one.id == row.id.split("+")[0])
        assert is_subsequence(list(row.text), list(source.text))


def test_words_are_replaced_by_words_of_their_class() -> None:
    rows = [Row("a", "我吃苹果"), Row("b", "他买香蕉")]  # pronoun, verb, noun
    settings = AugmentSettings(copies=6, **{**STILL, "replace": 1.0})
    made = {row.text for row in augment(rows, settings)}
    given = {row.text for row in rows}
    assert made == {who + does + what for who in "我他" for does in "吃买" for what in ("苹果", "香蕉")} - given


def test_runs_of_words_stand_in_the_row() -> None:
    made = make(30, ngram=1.0)
    assert made
    for row in made:
        source = next(one for one in ROWS if one.id == row.id.split("+")[0])
        assert contains(list(source.text), list(row.text))
        assert len(row.text) < len(source.text)


def test_rows_are_joined_with_rows_of_the_same_context() -> None:
    made = make(30, join=1.0)
    foreign = {"物流": "发票", "发票": "物流"}
    assert {row.context for row in made} == set(foreign)
    for row in made:
        assert foreign[str(row.context)] not in row.text
        source = next(one for one in ROWS if one.id == row.id.split("+")[0])
        assert source.text in row.text
        assert len(row.text) > len(source.text)


def test_shares_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="add up to more than 1"):
        AugmentSettings(copies=1, drop=0.6, replace=0.6)
