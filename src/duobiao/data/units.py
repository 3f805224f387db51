"""Which rows belong together: those of one dialogue, and those that say the same."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from duobiao.data.clean_steps.characters import UNSEEN
from duobiao.data.rows import Row

Together = Literal["both", "group", "text"]
"""What ties rows: ``group_id`` and text, ``group_id`` alone, or text alone."""

Units = npt.NDArray[np.int64]
_GONE = re.compile(f"[\\s{UNSEEN}]+")


def text_key(text: str) -> str:
    """What two texts share that count as the same: NFKC, one case, without white space and what nobody sees."""
    return _GONE.sub("", unicodedata.normalize("NFKC", text).casefold())


def text_digest(text: str) -> str:
    """A 64-bit name of ``text_key``, for files that should not carry the text itself."""
    return hashlib.blake2b(text_key(text).encode(), digest_size=8).hexdigest()


def tied_units(rows: Sequence[Row], together: Together = "both") -> Units:
    """The connected components of rows under "same dialogue" and "same text".

    Returns:
        A unit number for each row, shape ``(rows,)``, numbered in order of first appearance.
    """
    if not rows:
        return np.zeros(0, dtype=np.int64)
    seen: dict[tuple[str, str], int] = {}
    ends: list[tuple[int, int]] = []
    for number, row in enumerate(rows):
        keys = [("text", text_key(row.text))] if together != "group" else []
        if row.group_id is not None and together != "text":
            keys.append(("group", row.group_id))
        ends += [(number, len(rows) + seen.setdefault(key, len(seen))) for key in keys]
    size = len(rows) + len(seen)
    edges: Any = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (edges[0], edges[1])), shape=(size, size))
    parts = connected_components(graph, directed=False)[1][: len(rows)]
    _, first, inverse = np.unique(parts, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
