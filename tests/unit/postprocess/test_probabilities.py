import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duobiao.labels import Group, LabelSpace
from duobiao.postprocess.probabilities import probabilities

SPACE = LabelSpace(
    ("a", "b"),
    (Group("one", ("c", "d", "e")), Group("loose", ("f", "g"), at_most_one=True), Group("yes", ("h",), at_most_one=True)),
)
LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(0, 4), st.just(8)), elements=st.floats(-30, 30, width=32))


def slowly(row: list[float]) -> list[float]:
    def softmax(values: list[float], none: bool) -> list[float]:
        total = sum(map(math.exp, values)) + (1.0 if none else 0.0)
        return [math.exp(value) / total for value in values]

    free = [1 / (1 + math.exp(-value)) for value in row[:2]]
    return free + softmax(row[2:5], False) + softmax(row[5:7], True) + softmax(row[7:], True)


@settings(deadline=None, max_examples=80)
@given(LOGITS)
def test_sigmoid_for_labels_softmax_inside_groups(logits: np.ndarray):
    found = probabilities(logits, SPACE)
    assert found.dtype == np.float32
    assert found.shape == logits.shape
    wanted = np.array([slowly(row) for row in logits.astype(float).tolist()]).reshape(logits.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(LOGITS)
def test_a_group_shares_out_one_whole(logits: np.ndarray):
    found = probabilities(logits, SPACE).astype(np.float64)
    np.testing.assert_allclose(found[:, 2:5].sum(axis=1), 1, atol=1e-5)
    assert (found[:, 5:7].sum(axis=1) <= 1 + 1e-6).all()


def test_extreme_logits_give_no_overflow():
    logits = np.array([[1e4, -1e4, 1e4, 0, -1e4, -1e4, -1e4, 1e4]], dtype=np.float32)
    with np.errstate(over="raise", invalid="raise"):
        found = probabilities(logits, SPACE)
    assert found.tolist() == [[1, 0, 1, 0, 0, 0, 0, 1]]


def test_the_logits_are_not_changed():
    logits = np.ones((2, 8), dtype=np.float64)
    probabilities(logits, SPACE)
    assert (logits == 1).all()
