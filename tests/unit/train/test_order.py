"""Which rows go into which step, micro-batch and process."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.train.order import POOL_STEPS, epoch_steps, micro_batches, share

LENGTHS = st.lists(st.integers(1, 90), min_size=1, max_size=300).map(np.array)


@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS, batch=st.integers(1, 40), seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_every_row_comes_exactly_once_an_epoch(lengths: np.ndarray, batch: int, seed: int, epoch: int) -> None:
    steps = epoch_steps(lengths, batch, seed, epoch)
    assert sorted(np.concatenate(steps).tolist()) == list(range(len(lengths)))
    assert len(steps) == -(-len(lengths) // batch)
    assert sorted(len(step) for step in steps)[1:] == [batch] * (len(steps) - 1)


@settings(max_examples=30, deadline=None)
@given(lengths=LENGTHS, batch=st.integers(1, 40), seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_the_order_is_a_function_of_its_arguments(lengths: np.ndarray, batch: int, seed: int, epoch: int) -> None:
    first, second = (epoch_steps(lengths, batch, seed, epoch) for _ in range(2))
    assert [step.tolist() for step in first] == [step.tolist() for step in second]


def test_epochs_and_seeds_differ() -> None:
    lengths = np.arange(1, 65)
    orders = [np.concatenate(epoch_steps(lengths, 8, seed, epoch)).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


def test_rows_of_one_step_have_like_lengths_but_steps_come_shuffled() -> None:
    lengths = np.random.default_rng(0).permutation(np.arange(1, 8 * POOL_STEPS + 1))
    steps = epoch_steps(lengths, 8, 0, 0)
    assert max(np.ptp(lengths[step]) for step in steps) == 7
    starts = [int(lengths[step].min()) for step in steps]
    assert starts != sorted(starts)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=50).map(np.array),
    budget=st.integers(1, 600),
    most=st.none() | st.integers(1, 20),
)
def test_micro_batches_keep_the_budget_and_lose_no_row(lengths: np.ndarray, budget: int, most: int | None) -> None:
    step = np.random.default_rng(1).permutation(len(lengths))
    parts = micro_batches(step, lengths, budget, most)
    assert sorted(np.concatenate(parts).tolist()) == sorted(step.tolist())
    for part in parts:
        assert len(part) == 1 or lengths[part].max() * len(part) <= budget
        assert most is None or len(part) <= most


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 40), processes=st.integers(1, 5))
def test_processes_share_a_micro_batch_and_weigh_every_row_once(rows: int, processes: int) -> None:
    micro = np.random.default_rng(2).permutation(1000)[:rows]
    counted: dict[int, float] = dict.fromkeys(micro.tolist(), 0.0)
    for rank in range(processes):
        mine, weights = share(micro, rank, processes)
        assert len(mine) == len(weights) >= 1  # every process does a forward pass
        for row, weight in zip(mine.tolist(), weights.tolist(), strict=True):
            counted[row] += weight
    assert set(counted.values()) == {1.0}
