from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference

from duobiao.evaluate.metrics import micro_f1, score
from duobiao.labels import UNASKED, UNKNOWN, Group, LabelSpace

QUICK = settings(deadline=None, max_examples=60)
FREE = LabelSpace(("a", "b", "c"))
SPACE = LabelSpace(("a", "b"), (Group("g", ("c", "d", "e")), Group("h", ("f",), at_most_one=True, contexts=("x",))))


@QUICK
@given(st.integers(1, 12).flatmap(lambda n: st.tuples(*[hnp.arrays(np.bool_, (n, 3))] * 2)))
def test_parity_with_scikit_learn(pair: tuple[np.ndarray, np.ndarray]):
    truth, guess = pair
    found = score(truth.astype(np.int8), guess, FREE)
    assert found["rows"] == len(truth)
    for average in ("micro", "macro", "weighted", "samples"):
        wanted = reference.f1_score(truth, guess, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(wanted), average
    assert found["subset_accuracy"] == pytest.approx(reference.accuracy_score(truth, guess))
    assert found["hamming_loss"] == pytest.approx(reference.hamming_loss(truth, guess))
    precision, recall, f1, support = reference.precision_recall_fscore_support(truth, guess, zero_division=0)
    for n, name in enumerate(FREE.names):
        wanted = {"precision": precision[n], "recall": recall[n], "f1": f1[n], "support": support[n]}
        assert found["per_label"][name] == pytest.approx(wanted)
    assert micro_f1(truth.astype(np.int8), guess) == found["micro_f1"]
    assert (found["groups"], found["group_accuracy"]) == ({}, None)


def test_precision_and_recall_are_not_swapped():
    cells = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 0]], dtype=np.int8)
    guess = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0]], dtype=bool)
    label = score(cells, guess, FREE)["per_label"]["a"]
    assert label == {"precision": pytest.approx(1 / 3), "recall": 1.0, "f1": 0.5, "support": 1}


CELLS = st.integers(0, 10).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int8, (n, 2), elements=st.sampled_from([0, 1, UNKNOWN])),
        st.lists(st.sampled_from([0, 1, 2, UNKNOWN]), min_size=n, max_size=n),
        st.lists(st.sampled_from([0, 1, UNKNOWN, UNASKED]), min_size=n, max_size=n),
        hnp.arrays(np.bool_, (n, 6)),
    )
)


def build(free: np.ndarray, one: list[int], loose: list[int]) -> np.ndarray:
    groups = [[state] * 3 if state < 0 else [int(state == n) for n in range(3)] for state in one]
    parts = [free, np.array(groups, dtype=np.int8).reshape(-1, 3), np.array(loose, dtype=np.int8).reshape(-1, 1)]
    return np.concatenate(parts, axis=1).astype(np.int8)


def slowly(cells: np.ndarray, guess: np.ndarray) -> dict[str, Any]:
    """The same numbers cell by cell."""

    def f1(pairs: list[tuple[int, bool]]) -> float:
        hits, whole = sum(t == 1 and g for t, g in pairs), sum(t == 1 for t, _ in pairs) + sum(g for _, g in pairs)
        return 2 * hits / whole if whole else 0.0

    def mean(values: list[float]) -> float | None:
        return sum(values) / len(values) if values else None

    rows = [[(int(t), bool(g)) for t, g in zip(*row, strict=True) if t >= 0] for row in zip(cells, guess, strict=True)]
    columns = [
        [(int(t), bool(g)) for t, g in zip(*column, strict=True) if t >= 0] for column in zip(cells.T, guess.T, strict=True)
    ]
    every = [pair for row in rows for pair in row]
    groups = {}
    for group, part in zip(SPACE.groups, SPACE.slices, strict=True):
        asked = [(t, g) for t, g in zip(cells[:, part].tolist(), guess[:, part].tolist(), strict=True) if min(t) >= 0]
        groups[group.name] = [t == [int(one) for one in g] for t, g in asked]
    support = sum(t == 1 for t, _ in every)
    weighted = sum(f1(column) * sum(t == 1 for t, _ in column) for column in columns) / max(support, 1)
    return {
        "rows": len(cells),
        "weighted_f1": weighted if every else None,
        "micro_f1": f1(every),
        "macro_f1": mean([f1(column) for column in columns if column]),
        "samples_f1": mean([f1(row) for row in rows if row]),
        "subset_accuracy": mean([float(all(t == g for t, g in row)) for row in rows if row]),
        "hamming_loss": mean([float(t != g) for t, g in every]),
        "groups": {name: {"accuracy": mean(right), "rows": len(right)} for name, right in groups.items()},
        "group_accuracy": mean([one for right in groups.values() for one in right]),
    }


@settings(deadline=None, max_examples=80)
@given(CELLS)
def test_unknown_and_unasked_cells_never_count(parts: tuple[Any, ...]):
    *truth, guess = parts
    cells = build(*truth)
    found = score(cells, guess, SPACE)
    per_label = found.pop("per_label")
    wanted = slowly(cells, guess)
    groups = found.pop("groups"), wanted.pop("groups")
    assert found == pytest.approx(wanted)
    for name in ("g", "h"):
        assert groups[0][name] == pytest.approx(groups[1][name])
    assert {name: one["support"] for name, one in per_label.items()} == {
        name: int((cells[:, n] == 1).sum()) for n, name in enumerate(SPACE.names)
    }
    everything = score(cells, guess ^ (cells < 0), SPACE)  # other decisions where nobody knows the truth
    assert everything == {**found, "groups": groups[0], "per_label": per_label}


def test_a_label_that_nobody_knows_does_not_lower_the_macro_average():
    guess = np.array([[1, 0, 1], [1, 0, 0]], dtype=bool)
    cells = np.array([[1, 0, UNKNOWN], [1, 0, UNKNOWN]], dtype=np.int8)
    assert score(cells, guess, FREE)["macro_f1"] == pytest.approx(0.5)  # a: 1, b: 0 by convention, c: left out


def test_a_wrong_answer_in_a_group_counts_once_a_row_and_none_of_them_can_be_right():
    cells = build(np.zeros((4, 2), np.int8), [0, 1, 2, UNKNOWN], [0, 1, 0, UNASKED])
    guess = np.zeros((4, 6), dtype=bool)
    guess[[0, 1, 2, 3], [2, 2, 4, 3]] = True
    guess[2, 5] = True
    found = score(cells, guess, SPACE)
    assert found["groups"] == {
        "g": {"accuracy": pytest.approx(2 / 3), "rows": 3},
        "h": {"accuracy": pytest.approx(1 / 3), "rows": 3},
    }
    assert found["group_accuracy"] == pytest.approx(0.5)


def test_where_nothing_is_known_there_is_no_average():
    for cells in (np.zeros((0, 6), np.int8), np.full((3, 6), UNKNOWN, np.int8)):
        found = score(cells, np.ones(cells.shape, dtype=bool), SPACE)
        for name in ("macro_f1", "weighted_f1", "samples_f1", "subset_accuracy", "hamming_loss", "group_accuracy"):
            assert found[name] is None
        assert found["micro_f1"] == 0.0
        assert found["groups"]["g"] == {"accuracy": None, "rows": 0}
        assert found["per_label"]["a"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
