"""Rows that wait, and how they are cut into batches."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from duobiao.serve.errors import Refusal

SPECIAL_TOKENS = 3
EXPLAINED_AT_MOST = 65
"""Texts that a model reads to explain one row, at most; see ``explain.MAX_SPANS``."""


class Call:
    """A request under way: its rows are answered one by one, each exactly once, and then the caller is.

    Attributes:
        done: Resolves to the lines of its rows, in their order.
    """

    def __init__(self, count: int) -> None:
        self.done: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        self.version = ""
        self.failed = 0
        self._lines: list[bytes | None] = [None] * count
        self._left = count

    @property
    def over(self) -> bool:
        """Whether nobody waits for its rows any more: they are all answered, or the caller has gone."""
        return self.done.done()

    def settle(self, place: int, line: bytes, version: str = "") -> None:
        """Answers a row; a second answer, or one that nobody waits for, is left."""
        if self.done.done() or self._lines[place] is not None:
            return
        self._lines[place] = line
        self.version = version or self.version
        self.failed += line.startswith(b'{"error"')
        self._left -= 1
        if not self._left:
            self.done.set_result([line for line in self._lines if line is not None])

    def refuse(self, refusal: Refusal) -> None:
        """The request cannot be answered."""
        if not self.done.done():
            self.done.set_exception(refusal)

    def drop(self) -> None:
        """The caller has gone, or waits no longer: its rows need no answer."""
        self.done.cancel()


@dataclass(slots=True, eq=False)
class Waiting:
    """A row that waits.

    Attributes:
        call: The request that it belongs to, at ``place``.
        text: Its text.
        context: What it answers to.
        numeric: Numbers beside the text.
        options: What the request asks for.
        tokens: What it costs, an estimate in tokens.
        since: When it came, on the monotonic clock.
        alone: Whether it is computed alone, because a process died over the batch that it was in.
    """

    call: Call
    place: int
    text: str
    context: str | None
    numeric: dict[str, Any] | None
    options: dict[str, Any]
    tokens: int
    since: float
    alone: bool = False


def estimated_tokens(text: str, context: str | None, max_length: int, explained: bool = False) -> int:
    """What a row costs a model: Chinese text has about a token a character; an explained row is read once for each word."""
    own = min(len(text) + len(context or "") + SPECIAL_TOKENS, max_length)
    return own * min(1 + len(text), EXPLAINED_AT_MOST) if explained else own


class RowQueue:
    """First come, first served, in company of like length.

    A batch always holds the row that has waited longest, so none starves; its company are the rows next to it by length, as
    many as fit into ``budget`` padded tokens. It is cut when it is full or its first row has waited long enough for company.

    Args:
        budget: Padded tokens of a batch.
        rows: Rows of a batch at most.
        wait: Seconds that the oldest row waits for company.
    """

    def __init__(self, budget: int, rows: int, wait: float) -> None:
        self.budget, self.rows, self.wait = budget, rows, wait
        self.closed = False
        self._waiting: deque[Waiting] = deque()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def wanted(self) -> int:
        """How many rows wait whose caller is still there; the others are forgotten."""
        self._forget_gone()
        return len(self._waiting)

    def put(self, rows: Sequence[Waiting]) -> None:
        """Adds rows at the end."""
        self._waiting.extend(rows)
        self._changed.set()

    def put_back(self, rows: Sequence[Waiting]) -> None:
        """Returns rows to the head, in their order."""
        self._waiting.extendleft(reversed(rows))
        self._changed.set()

    def close(self) -> None:
        """Nothing more will come: what waits is cut without waiting for company, then ``take`` returns an empty batch."""
        self.closed = True
        self._changed.set()

    def clear(self) -> list[Waiting]:
        """Takes everything out."""
        rows = list(self._waiting)
        self._waiting.clear()
        return rows

    async def take(self, busy_until: Callable[[], float] = lambda: 0.0) -> list[Waiting]:
        """The next batch; empty only when the queue is closed and empty. Safe to cancel: nothing is taken before it returns.

        Args:
            busy_until: Until when, on the monotonic clock, a batch would merely wait elsewhere; one that is not full is not cut
                before, for more rows may still join it.
        """
        while True:
            self._changed.clear()
            self._forget_gone()
            if not self._waiting:
                if self.closed:
                    self._changed.set()  # for those who wait beside
                    return []
                await self._changed.wait()
                continue
            batch = self._cut()
            left = max(self._waiting[0].since + self.wait, busy_until()) - time.monotonic()
            full = len(batch) < len(self._waiting) or len(batch) == self.rows
            if full or left <= 0 or self.closed or self._waiting[0].alone:
                return self._taken(batch)
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _forget_gone(self) -> None:
        if any(row.call.over for row in self._waiting):
            self._waiting = deque(row for row in self._waiting if not row.call.over)

    def _taken(self, batch: list[Waiting]) -> list[Waiting]:
        own = set(map(id, batch))
        self._waiting = deque(row for row in self._waiting if id(row) not in own)
        if self._waiting:
            self._changed.set()
        return batch

    def _cut(self) -> list[Waiting]:
        """The oldest row and its neighbours by length."""
        oldest = self._waiting[0]
        if oldest.alone:
            return [oldest]
        order = sorted((row for row in self._waiting if not row.alone), key=lambda row: row.tokens)
        first = bisect.bisect_left(order, oldest.tokens, key=lambda row: row.tokens)
        first = next(place for place in range(first, len(order)) if order[place] is oldest)
        last = first + 1
        while last - first < self.rows:
            shorter = order[first - 1].tokens if first else None
            longer = order[last].tokens if last < len(order) else None
            if longer is not None and longer * (last - first + 1) > self.budget:
                longer = None
            if shorter is not None and order[last - 1].tokens * (last - first + 1) > self.budget:
                shorter = None
            if shorter is None and longer is None:
                break
            if longer is None or (shorter is not None and oldest.tokens - shorter <= longer - oldest.tokens):
                first -= 1
            else:
                last += 1
        return order[first:last]
