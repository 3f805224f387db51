"""How waiting rows are cut into batches, and how requests come by their answers."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.serve.errors import Refusal
from duobiao.serve.queue import Call, RowQueue, Waiting, estimated_tokens


def waiting(tokens: int, call: Call | None = None, place: int = 0, alone: bool = False) -> Waiting:
    return Waiting(call or Call(1), place, "", None, None, {}, tokens, time.monotonic(), alone)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 400),
    st.integers(1, 20),
)
def test_every_row_is_in_one_batch_and_batches_keep_to_their_budget(tokens, budget: int, most: int):
    async def check() -> None:
        queue = RowQueue(budget, most, 0)
        rows = [waiting(size, alone=alone) for size, alone in tokens]
        queue.put(rows)
        queue.close()
        seen: list[Waiting] = []
        while batch := await queue.take():
            left = [row for row in rows if row not in seen]
            assert left[0] in batch  # the row that has waited longest never waits longer
            assert len(batch) <= most
            assert len(batch) == 1 or max(row.tokens for row in batch) * len(batch) <= budget
            assert len(batch) == 1 or not any(row.alone for row in batch)
            seen += batch
        assert sorted(map(id, seen)) == sorted(map(id, rows))

    asyncio.run(check())


def test_company_is_of_like_length():
    async def check() -> None:
        queue = RowQueue(100, 10, 0)
        rows = [waiting(size) for size in (20, 1, 19, 2, 21, 90)]
        queue.put(rows)
        assert sorted(row.tokens for row in await queue.take()) == [2, 19, 20, 21]

    asyncio.run(check())


def test_a_batch_that_is_not_full_waits_for_company_and_no_longer():
    async def check() -> None:
        queue = RowQueue(1000, 10, 0.2)
        queue.put([waiting(5)])
        taking = asyncio.create_task(queue.take())
        await asyncio.sleep(0.05)
        assert not taking.done()
        queue.put([waiting(6)])
        assert len(await taking) == 2
        began = time.monotonic()
        queue.put([waiting(5) for _ in range(10)])
        assert len(await queue.take()) == 10
        assert time.monotonic() - began < 0.1  # full: no waiting

    asyncio.run(check())


def test_rows_whose_caller_has_gone_are_never_computed():
    async def check() -> None:
        queue = RowQueue(1000, 10, 0)
        gone, there = Call(2), Call(1)
        queue.put([waiting(5, gone, 0), waiting(5, there), waiting(5, gone, 1)])
        gone.drop()
        assert [row.call for row in await queue.take()] == [there]
        assert len(queue) == 0

    asyncio.run(check())


def test_a_cancelled_taker_takes_nothing_with_it():
    async def check() -> None:
        queue = RowQueue(1000, 10, 0.05)
        queue.put([waiting(5)])
        taking = asyncio.create_task(queue.take())
        await asyncio.sleep(0.01)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        assert len(queue) == 1
        assert len(await queue.take()) == 1

    asyncio.run(check())


def test_a_call_is_answered_once_and_in_the_order_of_its_rows():
    async def check() -> None:
        call = Call(3)
        call.settle(2, b"c")
        call.settle(0, b"a")
        call.settle(0, b"again")
        assert not call.over
        call.settle(1, b"b")
        assert await call.done == [b"a", b"b", b"c"]
        call.settle(1, b"late")
        call.refuse(Refusal(500, "internal", "late"))
        call.drop()
        assert call.done.result() == [b"a", b"b", b"c"]
        refused = Call(1)
        refused.refuse(Refusal(503, "not_ready", "no"))
        refused.settle(0, b"late")
        with pytest.raises(Refusal, match="no"):
            await refused.done

    asyncio.run(check())


def test_an_explained_row_costs_as_many_texts_as_it_has_words_at_most():
    assert estimated_tokens("快递", "节点", 128) == 7
    assert estimated_tokens("快" * 500, None, 128) == 128
    assert estimated_tokens("快递", None, 128, explained=True) == 5 * 3
    assert estimated_tokens("快" * 500, None, 128, explained=True) == 128 * 65


def test_a_batch_for_a_process_that_is_busy_stays_open_for_more_rows_until_it_is_needed():
    async def check() -> None:
        queue = RowQueue(1000, 10, 0)
        until = time.monotonic() + 60
        queue.put([waiting(5)])
        taking = asyncio.create_task(queue.take(lambda: until))
        await asyncio.sleep(0.05)
        queue.put([waiting(6)])
        await asyncio.sleep(0.05)
        assert not taking.done()
        until = 0.0  # the process is free: the lane that it was busy for asks
        assert len(await queue.take(lambda: until)) == 2
        until = time.monotonic() + 60
        await asyncio.sleep(0.05)
        assert not taking.done()
        queue.put([waiting(5) for _ in range(10)])
        assert len(await taking) == 10  # full: nothing can join it

    asyncio.run(check())
