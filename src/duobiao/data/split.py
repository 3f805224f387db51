"""Splitting rows so that nothing stands on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from duobiao.data.rows import Row
from duobiao.errors import DataError


def split_off(rows: Sequence[Row], share: float, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """Splits rows in two at random; rows of one ``group_id`` or with the same text stay together.

    Returns:
        The larger part and the split-off part of about ``share`` of the rows.

    Raises:
        DataError: If a part would be empty.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for row in rows:
        if row.group_id is not None:
            parent[root(f"t{row.text}")] = root(f"g{row.group_id}")
    owners = [root(f"t{row.text}") for row in rows]
    random = np.random.default_rng(seed)
    names = sorted(set(owners))
    wanted, taken = round(len(rows) * share), set[str]()
    sizes = dict.fromkeys(names, 0)
    for owner in owners:
        sizes[owner] += 1
    count = 0
    for number in random.permutation(len(names)):
        if count >= wanted:
            break
        taken.add(names[number])
        count += sizes[names[number]]
    first = [row for row, owner in zip(rows, owners, strict=True) if owner not in taken]
    second = [row for row, owner in zip(rows, owners, strict=True) if owner in taken]
    if not first or not second:
        raise DataError("too few rows to split", hint="give a dev file of your own")
    return first, second
