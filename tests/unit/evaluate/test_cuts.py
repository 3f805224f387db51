"""Rows cut into slices."""

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.rows import Row
from duobiao.errors import DataError
from duobiao.evaluate.cuts import Cut, cut_rows


def rows_of(values: list[Any], column: str = "来源") -> list[Row]:
    return [Row(str(number), "字", extra={column: value}) for number, value in enumerate(values)]


def cut(values: list[Any]) -> Cut:
    return cut_rows(rows_of(values), ["来源"])["来源"]


def sizes(found: Cut) -> dict[str, int]:
    return dict(zip(found.names, np.bincount(found.ids, minlength=len(found.names)).tolist(), strict=True))


def test_lengths_are_cut_into_quarters_and_the_longest_twentieth() -> None:
    rows = [Row(str(length), f" {'字' * length}\n") for length in range(1, 101)]
    found = cut_rows(rows)
    assert list(found) == ["length"]
    assert sizes(found["length"]) == {"1-26": 26, "27-51": 25, "52-76": 25, "77-96": 20, "97-100": 4}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_slices_of_lengths_are_named_by_what_lies_in_them_and_hold_each_row_once(lengths: list[int]) -> None:
    found = cut_rows([Row(str(number), "字" * length) for number, length in enumerate(lengths)])["length"]
    assert sum(sizes(found).values()) == len(lengths)
    assert min(sizes(found).values()) > 0
    edges = [tuple(map(int, name.split("-"))) for name in found.names]
    assert edges == sorted(edges)
    for place, edge in enumerate(edges):
        own = [length for length, one in zip(lengths, found.ids, strict=True) if one == place]
        assert (min(own), max(own)) == (edge[0], edge[-1])


def test_nodes_are_the_first_line_of_a_context_the_most_frequent_first() -> None:
    contexts = ["核实", "开场\n您好", None, "开场", "开场\n在吗"]
    found = cut_rows([Row(str(number), "字", context=context) for number, context in enumerate(contexts)])
    assert sizes(found["context"]) == {"开场": 3, "核实": 1, "(none)": 1}


def test_values_are_kept_apart_up_to_thirty() -> None:
    assert sizes(cut(["App", "电话", None, "电话", " "])) == {"电话": 2, "(blank)": 2, "App": 1}
    many = cut([f"店{number}" for number in range(40)] + ["店39"])
    assert len(many.names) == 31
    assert (many.names[0], many.names[-1]) == ("店39", "(other)")
    assert sizes(many)["(other)"] == 10


@pytest.mark.parametrize(
    ("dates", "names"),
    [
        (["2024-05-01", "2024年5月3日", "2024/5/1 08:30"], ["2024-05-01", "2024-05-03"]),
        ([f"2024-05-{day:02d}" for day in range(1, 21)] + ["2024-07-01"], ["2024-05", "2024-07"]),
        ([datetime.date(2024, 1, 1) + datetime.timedelta(40 * n) for n in range(20)], [f"2024-Q{n}" for n in (1, 2, 3, 4)]),
        ([f"{year}-0{month}-01" for year in range(2015, 2022) for month in (1, 4, 8)], [str(n) for n in range(2015, 2022)]),
        ([f"{year}-01-01" for year in range(2000, 2024)], [f"{year}-{year + 1}" for year in range(2000, 2024, 2)]),
    ],
)
def test_dates_are_cut_into_the_shortest_periods_of_which_there_are_at_most_twelve(dates: list[Any], names: list[str]) -> None:
    found = cut(dates)
    assert [name for name in found.names if name in names] == names
    assert found.names == sorted(found.names)
    assert len(found.names) <= 12
    assert min(sizes(found).values()) > 0


def test_a_blank_date_is_a_slice_of_its_own_and_a_word_among_dates_makes_them_words() -> None:
    assert sizes(cut(["2024-05-01", "", None])) == {"2024-05-01": 1, "(blank)": 2}
    assert cut(["2024-05-01", "昨天"]).names == ["2024-05-01", "昨天"]


def test_numbers_are_cut_like_lengths_where_they_are_many() -> None:
    assert cut([3, 1, 3.0, "1"]).names == ["3", "1"]
    found = cut([number / 10 for number in range(100)] + [None])
    assert sizes(found) == {"0-2.5": 26, "2.6-5": 25, "5.1-7.5": 25, "7.6-9.5": 20, "9.6-9.9": 4, "(blank)": 1}
    assert cut([number - 50 for number in range(100)]).names[0] == "-50..-25"
    assert cut([1_700_000_000_000 * 10 + number for number in range(20)]).names[0] == "17000000000000-17000000000005"


def test_a_column_without_anything_is_one_slice() -> None:
    assert sizes(cut([None, ""])) == {"(blank)": 2}


def test_missing_columns_are_named_together_with_those_that_there_are() -> None:
    with pytest.raises(DataError) as error:
        cut_rows(rows_of(["App"], "渠道"), ["来源", "渠道", "日期", "context"])
    for word in ("'来源', '日期', 'context'", "length, 渠道"):
        assert word in str(error.value)
    assert "'渠道'" not in error.value.message


@pytest.mark.parametrize("name", ["length", "context"])
def test_an_own_column_that_is_called_like_a_cut_of_ours_must_be_renamed(name: str) -> None:
    rows = [Row(id=str(number), text="x" * number, context="节点", extra={name: "a"}) for number in range(1, 5)]
    with pytest.raises(DataError, match=f"own column '{name}'.*\\n.*rename"):
        cut_rows(rows, [name])
    assert set(cut_rows(rows)) == {"length", "context"}
