import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.rows import Row
from duobiao.data.split import split_rows
from duobiao.data.split_time import cut_by_time, parse_date
from duobiao.errors import DataError

DAY = datetime.datetime(2024, 3, 5)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2024-03-05", DAY),
        ("2024/3/5", DAY),
        ("2024.03.05", DAY),
        ("2024年3月5日", DAY),
        ("20240305", DAY),
        (20240305, DAY),
        (20240305.0, DAY),
        (datetime.date(2024, 3, 5), DAY),
        (DAY, DAY),
        ("2024-03-05 08:30", DAY.replace(hour=8, minute=30)),
        ("2024-03-05T08:30:09.123456", DAY.replace(hour=8, minute=30, second=9)),
        ("2024年3月5日 8时30分", DAY.replace(hour=8, minute=30)),
        ("20240305083009", DAY.replace(hour=8, minute=30, second=9)),
        ("2024-03-05T00:30:00Z", DAY.replace(hour=8, minute=30)),
        ("2024-03-05T08:30:00+08:00", DAY.replace(hour=8, minute=30)),
        (1709598600, DAY.replace(hour=8, minute=30)),
        ("1709598600000", DAY.replace(hour=8, minute=30)),
        (datetime.datetime(2024, 3, 5, 0, 30, tzinfo=datetime.UTC), DAY.replace(hour=8, minute=30)),
        ("2024-13-05", None),
        ("昨天", None),
        ("", None),
        (None, None),
        ("20241340", None),
        ("45292", None),
        (float("nan"), None),
    ],
)
def test_dates_as_tables_write_them(value, found):
    assert parse_date(value) == found


def rows_by_day(days: list[int], groups: list[str | None] | None = None) -> list[Row]:
    return [
        Row(str(at), f"文{at}", labels=("x",), group_id=group, extra={"日期": f"2024-01-{day:02}"})
        for at, (day, group) in enumerate(zip(days, groups or [None] * len(days), strict=True))
    ]


def test_later_rows_are_for_testing():
    rows = rows_by_day([day for day in range(20, 0, -1) for _ in range(5)])
    split = split_rows(rows, by="time")
    days = {name: {row.extra["日期"] for row in part} for name, part in split.parts.items()}
    assert max(days["train"]) < min(days["dev"]) <= max(days["dev"]) < min(days["test"])
    assert [len(part) for part in split.parts.values()] == [80, 10, 10]
    time = split.report["time"]
    assert time["column"] == "日期"
    assert time["begins"] == {"dev": "2024-01-17T00:00:00", "test": "2024-01-19T00:00:00"}
    assert time["spans"]["test"] == ["2024-01-19T00:00:00", "2024-01-20T00:00:00"]
    assert time["straddling_units"] == time["rows_later_than_their_split"] == time["rows_earlier_than_their_split"] == 0


def test_a_dialogue_over_a_cut_is_kept_whole_and_its_cost_is_told():
    rows = rows_by_day([1, 1, 1, 1, 2, 2, 3, 3], ["a", "b", "c", "d", "d", "e", "f", "f"])
    split = split_rows(rows, by="time", shares={"train": 0.5, "test": 0.5})
    assert [row.id for row in split.parts["train"]] == ["0", "1", "2"]  # d: a row on each side, so it is later
    time = split.report["time"]
    assert (time["straddling_units"], time["rows_earlier_than_their_split"], time["rows_later_than_their_split"]) == (1, 1, 0)
    rows = rows_by_day([1, 1, 1, 1, 2, 2, 3, 3], ["a", "b", "d", "d", "d", "e", "f", "f"])
    split = split_rows(rows, by="time", shares={"train": 0.5, "test": 0.5})
    assert [row.id for row in split.parts["train"]] == ["0", "1", "2", "3", "4"]
    time = split.report["time"]
    assert (time["straddling_units"], time["rows_earlier_than_their_split"], time["rows_later_than_their_split"]) == (1, 0, 1)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(1, 28), min_size=3, max_size=60))
def test_a_day_is_never_parted_and_order_holds(days: list[int]):
    dates = [datetime.datetime(2024, 1, day) for day in days]
    units = np.arange(len(days))
    shares = [0.6, 0.2, 0.2]
    if len(set(days)) < 3:
        with pytest.raises(DataError, match="different dates are too few"):
            cut_by_time(units, dates, shares)
        return
    split = cut_by_time(units, dates, shares).split
    assert set(split) == {0, 1, 2}
    assert [at for _, at in sorted(zip(days, split, strict=True))] == sorted(split)
    assert all(len({at for day, at in zip(days, split, strict=True) if day == one}) == 1 for one in days)


def test_every_row_without_a_date_is_named():
    rows = rows_by_day([1, 2, 3, 4])
    rows[1] = Row("1", "x", extra={"日期": "前天"}, source="f.xlsx: row 3")
    rows[2] = Row("2", "y", extra={}, source="f.xlsx: row 4")
    with pytest.raises(DataError) as caught:
        split_rows(rows, by="time")
    assert len(caught.value.problems) == 2
    assert "f.xlsx: row 3: '日期' holds '前天'" in caught.value.problems[0]


def test_which_column_is_the_date_must_be_clear():
    rows = [Row("1", "x", extra={"日期": "2024-01-01", "时间": "2024-01-01"})]
    with pytest.raises(DataError, match="several columns may be the date: 日期, 时间"):
        split_rows(rows, by="time")
    with pytest.raises(DataError, match="no column 'when'"):
        split_rows(rows, by="time", date="when")
    with pytest.raises(DataError, match="no column is known to be a date"):
        split_rows([Row("1", "x")], by="time")
