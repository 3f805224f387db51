import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duobiao.evaluate.cooccurrence import cooccurrence, differing_pairs, most_together
from duobiao.labels import LabelSpace

CELLS = hnp.arrays(np.int8, (9, 4), elements=st.sampled_from([0, 1, 1, -1, -2]))
SAID = hnp.arrays(np.bool_, (9, 4))
SPACE = LabelSpace(("a", "b", "c", "d"))


@given(CELLS, SAID)
def test_counts_are_those_of_a_slow_loop_over_known_cells(cells: np.ndarray, said: np.ndarray):
    true, decided = cooccurrence(cells, said)
    for a, b in itertools.product(range(4), repeat=2):
        known = [row for row in range(9) if cells[row, a] >= 0 and cells[row, b] >= 0]
        assert true[a, b] == sum(cells[row, a] == 1 and cells[row, b] == 1 for row in known)
        assert decided[a, b] == sum(bool(said[row, a] and said[row, b]) for row in known)


@given(CELLS, SAID)
def test_pairs_that_differ_come_by_how_much(cells: np.ndarray, said: np.ndarray):
    true, decided = cooccurrence(cells, said)
    pairs = differing_pairs(true, decided, SPACE, most=100)
    gaps = [abs(pair["true"] - pair["decided"]) for pair in pairs]
    assert gaps == sorted(gaps, reverse=True)
    assert all(gaps)
    assert len(pairs) == sum(true[a, b] != decided[a, b] for a, b in itertools.combinations(range(4), 2))
    assert differing_pairs(true, decided, SPACE, most=2) == pairs[:2]


def test_labels_without_company_are_left_out():
    cells = np.array([[1, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 0]], dtype=np.int8)
    true, decided = cooccurrence(cells, np.zeros_like(cells, dtype=bool))
    assert most_together(true, decided, 9) == [0, 1, 3]
    assert most_together(true, decided, 2) == [0, 1]
