import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from duobiao.evaluate.confusion import NONE, confusions
from duobiao.evaluate.metrics import score
from duobiao.labels import UNASKED, UNKNOWN, Group, LabelSpace

SPACE = LabelSpace(("x",), (Group("g", ("a", "b", "c")), Group("h", ("d", "e"), at_most_one=True)))
STATES = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, UNKNOWN, UNASKED]), st.integers(0, 2), st.sampled_from([0, 1, 2, UNKNOWN]), st.integers(0, 2)
    ),
    max_size=20,
)


def one_of(number: int, size: int) -> list[int]:
    return [number] * size if number < 0 else [int(place == number) for place in range(size)]


@settings(deadline=None, max_examples=50)
@given(STATES)
def test_a_matrix_counts_true_by_decided_over_known_rows(states: list[tuple[int, int, int, int]]) -> None:
    cells = np.array([[1, *one_of(g, 3), *one_of(h, 2)] for g, _, h, _ in states], dtype=np.int8).reshape(-1, 6)
    decided = np.array([[0, *one_of(g, 3), *one_of(h, 2)] for _, g, _, h in states], dtype=bool).reshape(-1, 6)
    found = confusions(cells, decided, SPACE)
    assert found["g"]["labels"] == ["a", "b", "c"]
    assert found["h"]["labels"] == ["d", "e", NONE]
    scored = score(cells, decided, SPACE)["groups"]
    for name, true, said in (("g", 0, 1), ("h", 2, 3)):
        pairs = [(one[true], one[said]) for one in states if one[true] >= 0]
        matrix = np.array(found[name]["confusion"])
        if pairs:
            assert np.array_equal(matrix, confusion_matrix(*zip(*pairs, strict=True), labels=[0, 1, 2]))
            assert scored[name]["accuracy"] == np.trace(matrix) / matrix.sum()
        assert matrix.sum() == scored[name]["rows"] == len(pairs)


def test_a_row_to_which_a_group_was_given_no_label_gets_a_class() -> None:
    cells = np.array([[0, 1, 0, 0, 1, 0]], dtype=np.int8)
    found = confusions(cells, np.zeros((1, 6), dtype=bool), SPACE)["g"]
    assert found == {"labels": ["a", "b", "c", NONE], "confusion": [[0, 0, 0, 1], [0] * 4, [0] * 4, [0] * 4]}
