"""Rows cut into slices: by length, by dialogue node, by date, by number, by the values of any column."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao.data.read import cell_text
from duobiao.data.rows import Row
from duobiao.data.split_time import parse_date
from duobiao.errors import DataError
from duobiao.evaluate.bootstrap import Ids, Numbers
from duobiao.labels import node_of

LENGTH, CONTEXT = "length", "context"
NO_CONTEXT, BLANK, OTHER = "(none)", "(blank)", "(other)"
SHARES = (0.25, 0.5, 0.75, 0.95)
"""Where lengths and numbers are cut: four quarters, and the last twentieth by itself."""
MOST_VALUES = 30
MOST_PERIODS = 12


@dataclass(frozen=True)
class Cut:
    """Rows cut into slices.

    Attributes:
        names: Of the slices, in the order in which they are shown.
        ids: The slice of each row, ``(rows,)``.
    """

    names: list[str]
    ids: Ids


def cut_rows(rows: Sequence[Row], columns: Sequence[str] = ()) -> dict[str, Cut]:
    """Cuts by length, by node where rows have a context, and by further columns.

    Args:
        rows: The rows.
        columns: Columns of ``Row.extra``. One that holds dates is cut into days, months, quarters or years: the shortest of
            which there are at most 12. One that holds more than 12 different numbers is cut like lengths. Any other is cut by
            its values, the 30 most frequent ones and ``(other)``.

    Raises:
        DataError: Naming every column that no row has, or every column of the rows that is called like a cut of ours.
    """
    check_columns(rows, columns)
    found = {LENGTH: _by_number(np.array([len(row.text.strip()) for row in rows], dtype=np.float64))}
    if any(row.context for row in rows):
        found[CONTEXT] = _by_value([node_of(row.context) or NO_CONTEXT for row in rows])
    for name in columns:
        if name not in found:
            found[name] = _by_column([row.extra.get(name) for row in rows])
    return found


def check_columns(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Refuses columns to cut by that are not there, or that are called like a cut of ours.

    Raises:
        DataError: Naming every one of them.
    """
    there = sorted({str(key) for row in rows for key in row.extra})
    taken = [name for name in columns if name in (LENGTH, CONTEXT) and name in there]
    if taken:
        raise DataError(
            f"the rows have an own column {', '.join(map(repr, taken))}, but slices by length and node are called so",
            hint="rename the column",
        )
    has_contexts = any(row.context for row in rows)
    missing = [name for name in columns if name not in (LENGTH, CONTEXT, *there) or (name == CONTEXT and not has_contexts)]
    if missing:
        raise DataError(
            f"the rows have no column {', '.join(map(repr, missing))} to slice by",
            hint=f"there are: {', '.join([LENGTH, *([CONTEXT] * has_contexts), *there])}",
        )


def _by_column(values: Sequence[Any]) -> Cut:
    texts = [cell_text(value).strip() for value in values]
    filled = {text: value for text, value in zip(texts, values, strict=True) if text}
    dates = {text: date for text, value in filled.items() if (date := parse_date(value)) is not None}
    if filled and len(dates) == len(filled):
        return _by_date(texts, dates)
    numbers = {text: _number(text) for text in filled}
    if len(filled) > MOST_PERIODS and None not in numbers.values():
        return _by_number(np.array([np.nan if (one := numbers.get(text)) is None else one for text in texts]))
    return _by_value([text or BLANK for text in texts])


def _by_value(values: Sequence[str]) -> Cut:
    common = [value for value, _ in Counter(values).most_common()]
    if len(common) > MOST_VALUES:
        common = [*common[:MOST_VALUES], OTHER]
    places = {value: place for place, value in enumerate(common)}
    return Cut(common, np.array([places.get(value, len(common) - 1) for value in values], dtype=np.int64))


def _by_number(values: Numbers) -> Cut:
    """Slices between quantiles; each name tells the smallest and the largest number in it. Blanks come last."""
    blank = np.isnan(values)
    edges = np.unique(np.quantile(values[~blank], SHARES, method="higher")) if not blank.all() else np.zeros(0)
    ids = np.searchsorted(edges, values, side="left")
    ids[blank] = len(edges) + 1
    kept, ids = np.unique(ids, return_inverse=True)
    names = []
    for place, number in enumerate(kept.tolist()):
        own = values[ids == place]
        low, high = f"{own.min():.15g}", f"{own.max():.15g}"
        between = ".." if low.startswith("-") else "-"
        names.append(BLANK if number > len(edges) else low if low == high else low + between + high)
    return Cut(names, ids.astype(np.int64))


def _by_date(texts: Sequence[str], dates: Mapping[str, datetime.datetime]) -> Cut:
    """The finest periods of which there are at most 12, in order; beyond 12 years, spans of years. Blanks come last."""
    periods: list[Callable[[datetime.datetime], str]] = [
        lambda one: f"{one:%Y-%m-%d}",
        lambda one: f"{one:%Y-%m}",
        lambda one: f"{one:%Y}-Q{(one.month + 2) // 3}",
        lambda one: f"{one:%Y}",
    ]
    years = [one.year for one in dates.values()]
    span = (max(years) - min(years)) // MOST_PERIODS + 1
    periods.append(lambda one: f"{(first := one.year - (one.year - min(years)) % span)}-{first + span - 1}")
    for period in periods:
        own = {text: period(date) for text, date in dates.items()}
        names = sorted(set(own.values()))
        if len(names) <= MOST_PERIODS:
            break
    names += [BLANK] * ("" in texts)
    places = {text: names.index(name) for text, name in own.items()}
    return Cut(names, np.array([places.get(text, len(names) - 1) for text in texts], dtype=np.int64))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
