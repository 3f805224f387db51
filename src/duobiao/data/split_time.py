"""Splitting by time: the later rows are for testing."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao.data.rows import Row
from duobiao.data.units import Units
from duobiao.errors import DataError

DATE_COLUMNS = ("date", "datetime", "time", "timestamp", "created_at", "日期", "时间", "通话日期", "通话时间", "创建时间")
_WRITTEN = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[T\s]*(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})(?:\.\d+)?)?[分秒]?\s*(Z|[+-]\d{2}:?\d{2})?)?"
)
_CHINA = datetime.timedelta(hours=8)


@dataclass(frozen=True)
class TimeCut:
    """A split by time.

    Attributes:
        split: The split of each unit.
        first_dates: The date from which each split after the first begins.
        straddling_units: Units with rows on both sides of a cut.
        later_in_earlier: Rows that are later than the split they were kept in.
        earlier_in_later: Rows that are earlier than the split they were kept in.
    """

    split: list[int]
    first_dates: list[datetime.datetime]
    straddling_units: int
    later_in_earlier: int
    earlier_in_later: int


def parse_date(value: Any) -> datetime.datetime | None:
    """A date as tables hold it: ISO, 2024/1/5 13:00, 2024年1月5日, 20240105, seconds or milliseconds since 1970, Excel's own.

    A time with a zone is told in the zone of China (UTC+8), like one without.
    """
    if isinstance(value, datetime.datetime):
        return value if value.tzinfo is None else (value.astimezone(datetime.UTC) + _CHINA).replace(tzinfo=None)
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    try:
        if text.isdecimal() and text.isascii():
            return _number(text)
        found = _WRITTEN.fullmatch(text)
        if found is None:
            return None
        parts = [int(part or 0) for part in found.groups()[:6]]
        date = datetime.datetime(*parts)  # type: ignore[arg-type]
        zone = found.group(7)
        if zone is None:
            return date
        away = datetime.datetime.strptime(zone.replace("Z", "+0000").replace(":", ""), "%z").utcoffset()
        return date - (away or datetime.timedelta()) + _CHINA
    except (ValueError, OverflowError, OSError):
        return None


def _number(text: str) -> datetime.datetime | None:
    if len(text) == 8:
        return datetime.datetime.strptime(text, "%Y%m%d")
    if len(text) == 14:
        return datetime.datetime.strptime(text, "%Y%m%d%H%M%S")
    if len(text) in (10, 13):
        seconds = int(text) / (1 if len(text) == 10 else 1000)
        return (datetime.datetime.fromtimestamp(seconds, datetime.UTC) + _CHINA).replace(tzinfo=None)
    return None


def dates_of(rows: Sequence[Row], column: str | None) -> tuple[str, list[datetime.datetime]]:
    """The date of each row.

    Args:
        rows: The rows.
        column: The column that holds it; if None, the one of ``DATE_COLUMNS`` that the rows have.

    Raises:
        DataError: If the column is missing or not clear, or naming every row whose date cannot be read.
    """
    there = {str(key) for row in rows for key in row.extra}
    if column is None:
        known = [name for name in DATE_COLUMNS if name in there]
        if len(known) != 1:
            what = f"several columns may be the date: {', '.join(known)}" if known else "no column is known to be a date"
            raise DataError(what, hint=f"name it with --date COLUMN (there are: {', '.join(sorted(there)) or 'none'})")
        column = known[0]
    if column not in there:
        raise DataError(f"there is no column {column!r}", hint=f"there are: {', '.join(sorted(there)) or 'none'}")
    dates = [parse_date(row.extra.get(column)) for row in rows]
    problems = [
        f"{row.source or row.id}: {column!r} holds {row.extra.get(column)!r}, which is no date"
        for row, date in zip(rows, dates, strict=True)
        if date is None
    ]
    if problems:
        raise DataError(
            f"{len(problems)} rows have no date that can be read",
            hint="write dates like 2024-01-31 or 2024-01-31 08:30:00",
            problems=problems,
        )
    return column, [date for date in dates if date is not None]


def cut_by_time(units: Units, dates: Sequence[datetime.datetime], shares: Sequence[float]) -> TimeCut:
    """Puts earlier rows into earlier splits; a unit that straddles a cut goes where most of its rows are, in doubt later.

    Rows of one date stay together: a cut lies between two dates, as near as it can to the wanted share.

    Raises:
        DataError: If there are fewer different dates than splits.
    """
    days = np.array(dates, dtype="datetime64[us]")
    different, counts = np.unique(days, return_counts=True)
    if len(different) < len(shares):
        raise DataError(f"{len(different)} different dates are too few for {len(shares)} splits", hint="use --by stratified")
    behind = np.cumsum(counts)[:-1]  # rows before the cut in front of date i + 1
    edges: list[int] = []
    for number, wanted in enumerate(np.cumsum(shares)[:-1]):
        free = np.arange(edges[-1] + 1 if edges else 0, len(behind) - (len(shares) - 2 - number))
        edges.append(int(free[np.argmin(np.abs(behind[free] - wanted * len(days)))]))
    cuts = different[np.array(edges, dtype=np.int64) + 1]
    own = np.searchsorted(cuts, days, side="right")
    table = np.zeros((int(units.max()) + 1, len(shares)), dtype=np.int64)
    np.add.at(table, (units, own), 1)
    split = len(shares) - 1 - table[:, ::-1].argmax(axis=1)
    given = split[units]
    return TimeCut(
        split.tolist(),
        [cut.item() for cut in cuts],
        int(((table > 0).sum(axis=1) > 1).sum()),
        int((own > given).sum()),
        int((own < given).sum()),
    )
