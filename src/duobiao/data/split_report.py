"""What a split cost: how far every label is from its wanted share, and what stands on both sides."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao.data.frozen import Placing
from duobiao.data.rows import Row
from duobiao.data.split_time import TimeCut, parse_date
from duobiao.data.units import Together, Units, text_key
from duobiao.labels import LabelSpace, node_of


@dataclass(frozen=True)
class Account:
    """All that is known about a split when it is made; ``split`` is None for rows that are set aside."""

    rows: Sequence[Row]
    split: Sequence[int | None]
    shares: Mapping[str, float]
    units: Units
    together: Together
    by: str
    seed: int
    space: LabelSpace | None
    date: str | None
    cut: TimeCut | None
    placing: Placing | None


def report_of(account: Account) -> dict[str, Any]:
    """The report of a split, ready for JSON.

    ``deviation`` of a label is the largest difference between its share in a split and the wanted share of that split.
    """
    rows, names, wanted = account.rows, list(account.shares), list(account.shares.values())
    sizes = [account.split.count(number) for number in range(len(names))]
    total = max(sum(sizes), 1)
    found: dict[str, Any] = {
        "by": account.by,
        "seed": account.seed,
        "together": account.together,
        "rows": len(rows),
        "splits": {
            name: {"rows": size, "share": round(size / total, 4), "wanted": round(share, 4)}
            for name, size, share in zip(names, sizes, wanted, strict=True)
        },
        "units": _units(account),
        "on_both_sides": _both_sides(account),
        "unlabelled_rows": sum(row.labels is None for row in rows),
        **_balance(account, names, wanted),
    }
    if account.cut is not None:
        found["time"] = _time(account, names, account.cut)
    if account.placing is not None:
        found["frozen"] = _frozen(account, account.placing)
    return found


def _units(account: Account) -> dict[str, Any]:
    sizes = np.bincount(account.units)
    return {
        "count": len(sizes),
        "of_several_rows": int((sizes > 1).sum()),
        "largest": int(sizes.max()),
        "largest_share": round(float(sizes.max() / len(account.rows)), 4),
    }


def _both_sides(account: Account) -> dict[str, int]:
    """Rows that share a text, or a dialogue, with a row of another split; 0 for what ``together`` ties."""
    places: dict[tuple[str, str], set[int]] = {}
    keys = []
    for row, at in zip(account.rows, account.split, strict=True):
        own = (
            [("text", text_key(row.text)), ("group", row.group_id)]
            if row.group_id is not None
            else [("text", text_key(row.text))]
        )
        keys.append(own)
        for key in own:
            if at is not None:
                places.setdefault(key, set()).add(at)
    split = dict.fromkeys(("text", "group"), 0)
    for own, at in zip(keys, account.split, strict=True):
        for key in own:
            split[key[0]] += at is not None and len(places[key]) > 1
    return {"rows_by_text": split["text"], "rows_by_group": split["group"]}


def _balance(account: Account, names: Sequence[str], wanted: Sequence[float]) -> dict[str, Any]:
    """Each label, and each label in each context, against the wanted shares."""
    labels: dict[str, Counter[int]] = {label: Counter() for label in (account.space.names if account.space else ())}
    pairs: dict[tuple[str | None, str], Counter[int]] = {}
    for row, at in zip(account.rows, account.split, strict=True):
        if at is None:
            continue
        for label in row.labels or ():
            labels.setdefault(label, Counter())[at] += 1
            pairs.setdefault((node_of(row.context) or None, label), Counter())[at] += 1
    table = {label: _line(counts, names, wanted) for label, counts in labels.items()}
    held = {label: line for label, line in table.items() if line["rows"]}
    contexts = len({context for context, _ in pairs}) > 1
    lines = [(pair, _line(counts, names, wanted)) for pair, counts in pairs.items()] if contexts else []
    common = [(pair, line) for pair, line in lines if line["rows"] * min(wanted) >= 1]
    return {
        "labels": table,
        "largest_deviation": _worst([((None, label), line) for label, line in held.items()]),
        "mean_deviation": round(float(np.mean([line["deviation"] for line in held.values()])), 4) if held else 0.0,
        "absent": {name: [label for label, line in table.items() if not line["counts"][name]] for name in names},
        "labels_in_contexts": {
            "pairs": len(lines),
            "too_rare_to_be_everywhere": len(lines) - len(common),
            "largest_deviation": _worst(common),
            "absent": {name: sum(not line["counts"][name] for _, line in common) for name in names},
        },
    }


def _line(counts: Counter[int], names: Sequence[str], wanted: Sequence[float]) -> dict[str, Any]:
    total = counts.total()
    shares = [counts[number] / total if total else 0.0 for number in range(len(names))]
    apart = max(abs(share - want) for share, want in zip(shares, wanted, strict=True)) if total else 0.0
    return {
        "rows": total,
        "counts": {name: counts[number] for number, name in enumerate(names)},
        "shares": {name: round(share, 4) for name, share in zip(names, shares, strict=True)},
        "deviation": round(apart, 4),
    }


def _worst(lines: Sequence[tuple[tuple[str | None, str], Mapping[str, Any]]]) -> dict[str, Any] | None:
    if not lines:
        return None
    (context, label), line = max(lines, key=lambda item: item[1]["deviation"])
    return {"label": label, **({"context": context} if context is not None else {}), **line}


def _time(account: Account, names: Sequence[str], cut: TimeCut) -> dict[str, Any]:
    spans: dict[str, list[datetime.datetime]] = {name: [] for name in names}
    for row, at in zip(account.rows, account.split, strict=True):
        date = parse_date(row.extra.get(account.date or ""))
        if at is not None and date is not None:
            spans[names[at]].append(date)
    return {
        "column": account.date,
        "begins": {name: date.isoformat() for name, date in zip(names[1:], cut.first_dates, strict=True)},
        "spans": {name: [min(dates).isoformat(), max(dates).isoformat()] for name, dates in spans.items() if dates},
        "straddling_units": cut.straddling_units,
        "rows_later_than_their_split": cut.later_in_earlier,
        "rows_earlier_than_their_split": cut.earlier_in_later,
    }


def _frozen(account: Account, placing: Placing) -> dict[str, Any]:
    settled = sum(at is not None for at in placing.split)
    return {
        "kept": placing.kept,
        "missing": placing.missing,
        "followed": settled - placing.kept,
        "distributed": len(account.rows) - settled - len(placing.aside),
        "aside": [
            {"row": account.rows[number].source or account.rows[number].id, "id": account.rows[number].id, "why": why}
            for number, why in placing.aside.items()
        ],
        "changed": placing.changed,
        "overlaps": placing.overlaps,
    }
