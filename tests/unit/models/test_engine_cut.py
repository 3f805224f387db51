"""How the engine cuts rows into batches for several cores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.models import engine
from duobiao.models.engine import cut

QUICK = settings(deadline=None, max_examples=100)
LENGTHS = st.lists(st.integers(1, 130), max_size=300)


def last_end(lengths: np.ndarray, plan: list[np.ndarray], cores: int) -> int:
    """Padded tokens of the core that ends last, by plain repetition."""
    ends = [0] * cores
    for rows in plan:
        free = ends.index(min(ends))
        ends[free] += len(rows) * int(lengths[rows].max())
    return max(ends)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("cores", [1, 2, 8])
@QUICK
@given(lengths=LENGTHS, budget=st.sampled_from([64, 256, 1024]))
def test_every_row_is_in_one_batch_within_the_budget(deep: bool, cores: int, lengths: list[int], budget: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(engine.THREADS, str(cores))
        plan = cut(np.array(lengths, dtype=np.int64), budget, 50, deep=deep)
    assert sorted(row for rows in plan for row in rows.tolist()) == list(range(len(lengths)))
    for rows in plan:
        own = np.array(lengths)[rows]
        assert len(rows) <= 50
        assert len(rows) == 1 or own.max() * len(rows) <= budget
        assert own[0] == own.max()


@pytest.mark.parametrize(("rows", "least"), [(16, 0.75), (64, 0.85), (256, 0.85)])
def test_two_cores_come_to_their_end_together(rows: int, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engine.THREADS, "2")
    shares = []
    for seed in range(20):
        lengths = np.random.default_rng(seed).lognormal(3, 0.5, rows).astype(np.int64) + 3
        shares.append(lengths.sum() / 2 / last_end(lengths, cut(lengths, 1024, deep=True), 2))
    assert np.mean(shares) >= least


def test_few_rows_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engine.THREADS, "8")
    assert [rows.tolist() for rows in cut(np.array([20, 10]), 1024, deep=True)] == [[0, 1]]
    assert cut(np.array([], dtype=np.int64), 1024) == []
