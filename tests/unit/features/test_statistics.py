"""Numbers beside the text: counted, standardised, filled in."""

from __future__ import annotations

import json
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.config import Statistic
from duobiao.errors import DataError
from duobiao.features.statistics import CARRIED, COUNTS, DERIVED, LIMIT, Hits, Statistics, raw_values

texts = st.lists(
    st.text(max_size=30) | st.sampled_from(["明天下午3点", "退30块钱", "不是，没有", "是不是？", "OK!!"]),
    min_size=1,
    max_size=8,
)
numbers = st.none() | st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("length", "退款😀", 3),
        ("digits", "１２3 四", 3),
        ("dates", "3月5号上午，下周二或者后天9点", 5),
        ("dates", "2024-05-06 和 2024年5月", 2),
        ("dates", "今天天气不错", 1),
        ("amounts", "¥35.50，三十块钱，200元，1,200元", 4),
        ("amounts", "35号楼", 0),
        ("negations", "不是我，没约过，别打了", 3),
        ("negations", "是不是你，有没有空，能不能来", 0),
        ("questions", "什么时候来？多少钱", 3),
        ("questions", "是不是吗", 2),
        ("exclamations", "好！行!", 2),
        ("latin", "iPhone 手机 é", 6),
    ],
)
def test_counts(name: str, text: str, count: int) -> None:
    assert COUNTS[name](text) == count


def test_the_configuration_names_all_statistics_there_are() -> None:
    assert set(get_args(Statistic)) == {*COUNTS, *CARRIED, *DERIVED, "hits"}


@given(text=st.text(max_size=200))
def test_counts_are_whole_and_never_larger_than_the_text(text: str) -> None:
    for name, count in COUNTS.items():
        assert 0 <= count(text) <= len(text), name
    assert COUNTS["digits"](text + "7") == COUNTS["digits"](text) + 1


@given(text=st.text("退款发票ab", max_size=12), words=st.lists(st.text("退款发票ab", min_size=1, max_size=3), max_size=6))
def test_hits_are_the_words_that_the_text_holds(text: str, words: list[str]) -> None:
    own = {"甲": words[:3], "乙": words[2:]}
    assert Hits(own).count(text.upper()) == [sum(word in text for word in set(part)) for part in own.values()]


@settings(deadline=None, max_examples=30)
@given(texts=texts, data=st.data())
def test_training_rows_have_mean_0_and_deviation_1(texts: list[str], data: st.DataObject) -> None:
    ages = data.draw(st.lists(numbers, min_size=len(texts), max_size=len(texts)))
    own = ("age",) if any(age is not None for age in ages) else ()
    hits = Hits({"退": ["退"], "好": ["好", "ok"]})
    wanted = ("length", "digits", "hits", "dates", "turn")
    found = Statistics.fit(wanted, own, texts, texts, hits, {"age": ages})
    values = found.vectors(texts, texts, hits, {"age": ages})
    assert values.dtype == np.float32
    assert values.shape == (len(texts), len(found.names))
    assert np.isfinite(values).all()
    assert np.abs(values).max(initial=0) <= LIMIT
    if values.size:
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=2e-4)
        np.testing.assert_allclose(values.std(axis=0), 1, atol=2e-3)
    stored = Statistics.from_dict(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_array_equal(stored.vectors(texts, texts, hits, {"age": ages}), values)
    assert stored == found
    assert stored.columns == found.columns


@given(texts=texts, more=texts)
def test_a_row_has_the_same_numbers_alone_and_in_company(texts: list[str], more: list[str]) -> None:
    found = Statistics.fit(("length", "questions", "negations"), (), texts, texts, None, {})
    together = found.vectors([*more, *texts], [*more, *texts], None, {})
    for number, text in enumerate(more):
        np.testing.assert_array_equal(found.vectors([text], [text], None, {})[0], together[number])


def test_a_missing_number_is_the_mean_and_flagged() -> None:
    rows = ["a"] * 4
    found = Statistics.fit((), ("age",), rows, rows, None, {"age": [1.0, 3.0, None, 5.0]})
    assert found.names == ("column:age", "missing:age")
    assert found.mean[0] == 3.0
    assert found.std[0] == pytest.approx(math.sqrt((4 + 0 + 0 + 4) / 4))
    values = found.vectors(["x", "x"], ["x", "x"], None, {"age": [None, 3.0]})
    assert values[0, 0] == values[1, 0] == 0
    assert values[0, 1] > 0 > values[1, 1]
    full = Statistics.fit((), ("age",), rows, rows, None, {"age": [1.0, 3.0, 4.0, 5.0]})
    assert full.names == ("column:age",)  # never missing: the flag is constant


def test_what_is_the_same_everywhere_is_left_out() -> None:
    rows = ["好 1", "行 2"]
    found = Statistics.fit(("length", "digits", "turn"), ("vip",), rows, rows, None, {"vip": [1.0, 1.0], "turn": [None, None]})
    assert found.names == ()
    assert found.columns == ()
    assert found.vectors(rows, rows, None, {}).shape == (2, 0)


def test_a_row_that_carries_its_turn_uses_it() -> None:
    rows = ["好", "行"]
    assert Statistics.fit(("turn",), (), rows, rows, None, {"turn": [1.0, 2.0]}).columns == ("turn",)
    assert Statistics.fit(("turn",), ("turn",), rows, rows, None, {"turn": [1.0, 2.0]}).names == ("column:turn",)


def test_extreme_values_are_held() -> None:
    rows = ["短", "长一点"]
    found = Statistics.fit(("length",), (), rows, rows, None, {})
    assert found.vectors(["长" * 100_000], ["x"], None, {})[0, 0] == LIMIT


def test_a_column_without_any_number_is_refused() -> None:
    with pytest.raises(DataError, match=r"without any number[\s\S]*age"):
        Statistics.fit((), ("age", "vip"), ["a"], ["a"], None, {"age": [None], "vip": [1.0]})


def test_counts_are_read_on_a_logarithmic_scale_and_columns_as_they_are() -> None:
    raw = raw_values(("length", "column:age"), ["四个汉字"], ["四个汉字"], None, {"age": [30.0]})
    assert raw.tolist() == [[math.log(5), 30.0]]
