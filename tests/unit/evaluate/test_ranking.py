"""Metrics of ranking against scikit-learn where all is known, and against slow loops where it is not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference

from duobiao.evaluate import ranking as module
from duobiao.evaluate.ranking import AT, average_precision, rank_rows, rank_scores
from duobiao.labels import UNASKED, UNKNOWN, LabelSpace

QUICK = settings(deadline=None, max_examples=60)
SPACE = LabelSpace(("a", "b", "c", "d", "e", "f"))
SCORES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32))  # ties are common


def tables(states: list[int]) -> Any:
    return st.integers(1, 9).flatmap(
        lambda n: st.tuples(
            hnp.arrays(np.int8, (n, 6), elements=st.sampled_from(states)), hnp.arrays(np.float32, (n, 6), elements=SCORES)
        )
    )


def ranks(cells: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    return rank_scores(cells, scores, rank_rows(cells, scores), SPACE)


@QUICK
@given(tables([0, 1]))
def test_parity_with_scikit_learn_where_all_is_known(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, scores = pair
    found = ranks(truth, scores)
    assert found["ranking_loss"] == pytest.approx(reference.label_ranking_loss(truth, scores))
    assert found["coverage"] == pytest.approx(reference.coverage_error(truth, scores))
    true = truth.any(axis=0)
    own = [reference.average_precision_score(truth[:, n], scores[:, n]) if true[n] else None for n in range(6)]
    assert list(found["average_precision"].values()) == pytest.approx(own)
    if true.any():
        assert found["mean_average_precision"] == pytest.approx(
            reference.average_precision_score(truth[:, true], scores[:, true], average="macro")
        )
        assert found["micro_average_precision"] == pytest.approx(
            reference.average_precision_score(truth, scores, average="micro")
        )


@QUICK
@given(tables([0, 1, UNKNOWN, UNASKED]))
def test_a_row_with_unknown_cells_is_a_row_over_fewer_labels(pair: tuple[np.ndarray, np.ndarray]) -> None:
    cells, scores = pair
    scores = np.where(cells == UNASKED, np.float32("nan"), scores)
    found = rank_rows(cells, scores)
    for number, (states, values) in enumerate(zip(cells, scores, strict=True)):
        known = states >= 0
        assert found.known[number] == known.any()
        if not known.any():
            assert (found.loss[number], found.coverage[number], *found.precision_at[number]) == (0,) * 5
            continue
        truth, own = states[known], values[known]
        pairs = [(one, other) for one in own[truth == 1] for other in own[truth == 0]]
        loss = sum(one <= other for one, other in pairs) / len(pairs) if pairs else 0
        assert found.loss[number] == pytest.approx(loss)
        assert found.coverage[number] == ((own >= own[truth == 1].min()).sum() if truth.any() else 0)
        for place, k in enumerate(AT):  # each true label by its chance to be among the first k, if ties fall at random
            chances = [min(max((k - (own > one).sum()) / (own == one).sum(), 0), 1) for one in own[truth == 1]]
            assert found.precision_at[number, place] == pytest.approx(sum(chances) / k)


def test_labels_that_tie_across_place_k_share_the_room() -> None:
    cells = np.array([[1, 0, 0, 1, 0, 0]], dtype=np.int8)
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.1, 0.1]], dtype=np.float32)
    # Among the first three: a for certain, and two of b, c, d, so d with 2/3.
    assert rank_rows(cells, scores).precision_at[0].tolist() == pytest.approx([1, (1 + 2 / 3) / 3, 2 / 5])


def test_a_row_with_fewer_known_labels_than_k_still_divides_by_k() -> None:
    cells = np.array([[1, 1, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]], dtype=np.int8)
    assert rank_rows(cells, np.full((1, 6), 0.5, np.float32)).precision_at[0].tolist() == pytest.approx([1, 2 / 3, 2 / 5])


@QUICK
@given(tables([0, 1, UNKNOWN]), st.integers(1, 4))
def test_average_precision_in_chunks_is_that_of_the_known_cells(pair: tuple[np.ndarray, np.ndarray], chunk: int) -> None:
    cells, scores = pair
    known = cells >= 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        found = average_precision(cells, scores)
    if not (cells == 1).any():
        assert found is None
    else:
        assert found == pytest.approx(reference.average_precision_score(cells[known], scores[known]))


def test_blocks_of_rows_give_what_all_rows_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    cells, scores = random.choice([0, 1, -1], (50, 6)).astype(np.int8), random.random((50, 6), dtype=np.float32)
    whole = rank_rows(cells, scores)
    monkeypatch.setattr(module, "_BLOCK", 7)
    for name, values in vars(rank_rows(cells, scores)).items():
        assert np.array_equal(values, getattr(whole, name))


def test_nothing_to_average_is_none() -> None:
    for cells in (np.zeros((0, 6), np.int8), np.full((3, 6), UNKNOWN, np.int8)):
        found = ranks(cells, np.full(cells.shape, np.nan, np.float32))
        assert found["precision_at"] == {"1": None, "3": None, "5": None}
        assert set(found["average_precision"].values()) == {None}
        for name in ("ranking_loss", "coverage", "mean_average_precision", "micro_average_precision"):
            assert found[name] is None


def test_a_known_cell_without_a_probability_is_refused() -> None:
    scores = np.full((2, 6), 0.5, np.float32)
    scores[1, 3] = np.nan
    cells = np.zeros((2, 6), np.int8)
    for function in (rank_rows, average_precision):
        with pytest.raises(ValueError, match="no probability"):
            function(cells, scores)
    cells[1, 3] = UNASKED
    assert rank_rows(cells, scores).known.all()
