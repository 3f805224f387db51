"""Average precisions under weights against scikit-learn, and their intervals against rows that are really drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score

from duobiao.evaluate import drawn_precision as module
from duobiao.evaluate.drawn_precision import draws_for, precision_intervals, weighted_precisions
from duobiao.evaluate.ranking import average_precision, rank_rows, rank_scores
from duobiao.labels import UNASKED, UNKNOWN, LabelSpace

SPACE = LabelSpace(("a", "b", "c"))
SCORES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32))  # ties are common


def make(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth with unknown and unasked cells, and scores, many of them equal."""
    random = np.random.default_rng(seed)
    truth = random.random((rows, 3)) < (0.5, 0.2, 0.05)
    cells = np.where(random.random((rows, 3)) < 0.15, random.choice([UNKNOWN, UNASKED], (rows, 3)), truth).astype(np.int8)
    scores = np.round(np.clip(0.4 * truth + 0.6 * random.random((rows, 3)), 0, 1), 1).astype(np.float32)
    return cells, np.where(cells == UNASKED, np.float32("nan"), scores)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            hnp.arrays(np.int8, (n, 3), elements=st.sampled_from([0, 1, UNKNOWN])),
            hnp.arrays(np.float32, (n, 3), elements=SCORES),
            hnp.arrays(np.float32, (n, 4), elements=st.integers(0, 3)),
        )
    ),
    st.sampled_from([2, 5, 100]),
)
def test_parity_with_scikit_learns_sample_weight(made: tuple[np.ndarray, np.ndarray, np.ndarray], chunk: int) -> None:
    cells, scores, weights = made
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        blocks = [weights[:, :3], weights[:, 3:]]
        found = weighted_precisions(cells, scores, np.arange(len(cells)), blocks)
        column = weighted_precisions(cells[:, 0], scores[:, 0], np.arange(len(cells)), blocks)
    for draw in range(4):
        for values, truth, own in ((found, cells, scores), (column, cells[:, :1], scores[:, :1])):
            known, weight = truth >= 0, np.broadcast_to(weights[:, draw, None], truth.shape)
            if not weight[truth == 1].any():
                assert np.isnan(values[draw])
                continue
            wanted = average_precision_score(truth[known], own[known], sample_weight=weight[known])
            assert values[draw] == pytest.approx(wanted, abs=1e-6)


def test_equal_weights_give_the_average_precision_of_the_rows() -> None:
    cells, scores = make(500)
    once = [np.ones((500, 1), dtype=np.float32)]
    assert weighted_precisions(cells, scores, np.arange(500), once) == pytest.approx(average_precision(cells, scores))


@pytest.mark.parametrize("size", [1, 3])
def test_an_interval_is_the_middle_of_scores_of_drawn_units(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 7)
    cells, scores = make(60)
    units = np.arange(60) // size
    found = precision_intervals(cells, scores, units, draws=80, seed=3)
    slow: list[dict[str, Any]] = []
    count = 60 // size
    for picked in np.random.default_rng(3).integers(0, count, (80, count)):
        rows = np.concatenate([np.flatnonzero(units == unit) for unit in picked])
        slow.append(rank_scores(cells[rows], scores[rows], rank_rows(cells[rows], scores[rows]), SPACE))
    for name in ("mean_average_precision", "micro_average_precision"):
        assert found[name] == pytest.approx(np.quantile([one[name] for one in slow], [0.025, 0.975]).tolist(), abs=1e-6)


def test_few_units_no_draws_and_no_true_cell_have_no_interval() -> None:
    cells, scores = make(60)
    for units, draws in ((np.arange(60) // 8, 50), (np.arange(60), 0)):
        assert set(precision_intervals(cells, scores, units, draws).values()) == {None}
    assert set(precision_intervals(np.minimum(cells, 0), scores, np.arange(60), 50).values()) == {None}
    assert set(precision_intervals(cells[:0], scores[:0], np.arange(0), 50).values()) == {None}


def test_more_known_cells_have_fewer_draws_but_never_too_few() -> None:
    assert draws_for(0, 2000) == draws_for(100_000, 2000) == 2000
    assert draws_for(400_000, 2000) == 500
    assert draws_for(10**9, 2000) == module.LEAST_DRAWS
    assert draws_for(10**9, 50) == 50


def test_a_known_cell_without_a_probability_is_refused() -> None:
    cells, scores = make(60)
    with pytest.raises(ValueError, match="no probability"):
        precision_intervals(np.zeros_like(cells), scores, np.arange(60))
