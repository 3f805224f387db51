import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duobiao.config import ThresholdSettings
from duobiao.labels import UNASKED, UNKNOWN, Group, LabelSpace
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.thresholds import HIGHEST, LOWEST, best_threshold, thresholds_to_dict, tune

QUICK = settings(deadline=None, max_examples=80)
SPACE = LabelSpace(("a", "b", "c"), (Group("g", ("d", "e")),))
PROBABILITIES = st.one_of(st.sampled_from([0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0]), st.floats(0, 1, width=32))
SAMPLES = st.lists(st.tuples(PROBABILITIES, st.booleans()), max_size=12)


@st.composite
def dev_rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = (draw(st.integers(0, 10)), len(SPACE))
    proba = draw(hnp.arrays(np.float32, shape, elements=PROBABILITIES))
    cells = draw(hnp.arrays(np.int8, shape, elements=st.sampled_from([0, 1, UNKNOWN, UNASKED])))
    return proba, cells


def f1_at(threshold: float, values: np.ndarray, truth: np.ndarray) -> float:
    guess = [value >= threshold for value in values]
    hits = sum(g and t for g, t in zip(guess, truth, strict=True))
    whole = sum(guess) + sum(truth)
    return 2 * hits / whole if whole else 0.0


@QUICK
@given(SAMPLES)
def test_best_threshold_equals_brute_force(samples: list[tuple[float, bool]]):
    values, truth = np.array([v for v, _ in samples], dtype=np.float64), np.array([t for _, t in samples], dtype=bool)
    found = best_threshold(values, truth)
    if not truth.any():
        assert found == 0.5
        return
    distinct = sorted(set(values.tolist()))
    middles = [(low + high) / 2 for low, high in itertools.pairwise(distinct)]
    candidates = [*middles, distinct[0] / 2, (distinct[-1] + 1) / 2, 0.5]
    best = max(f1_at(t, values, truth) for t in [*candidates, *distinct, 1.1])  # every way to cut the rows in two
    assert f1_at(found, values, truth) == pytest.approx(best)
    equals = [t for t in candidates if f1_at(t, values, truth) > best - 1e-9]
    assert abs(found - 0.5) == min(abs(t - 0.5) for t in equals)


@pytest.mark.parametrize(
    ("values", "truth", "threshold"),
    [
        ([0.1, 0.9], [False, True], 0.5),
        ([0.1, 0.2], [False, True], 0.15),
        ([0.7, 0.9], [False, True], 0.8),
        ([0.8, 0.9], [True, True], 0.5),  # not 0.0, though that is as good
        ([0.2, 0.3], [True, True], 0.1),
        ([0.3, 0.3, 0.3], [True, False, True], 0.15),
        ([0.2, 0.9], [False, False], 0.5),
        ([], [], 0.5),
    ],
)
def test_best_threshold_by_hand(values: list[float], truth: list[bool], threshold: float):
    assert best_threshold(np.array(values), np.array(truth, dtype=bool)) == pytest.approx(threshold)


@QUICK
@given(dev_rows(), st.sampled_from([0.0, 1.0, 10.0, 1e6]))
def test_thresholds_never_leave_their_range(rows: tuple[np.ndarray, np.ndarray], shrink: float):
    found = tune(*rows, SPACE, ThresholdSettings(shrink=shrink))
    assert found.shape == (3,)
    assert (found >= np.float32(LOWEST)).all()
    assert (found <= np.float32(HIGHEST)).all()
    assert (LOWEST, HIGHEST) == (0.01, 0.99)


@QUICK
@given(dev_rows(), st.sampled_from([0.0, 3.0, 10.0]))
def test_rare_labels_shrink_towards_the_global_threshold(rows: tuple[np.ndarray, np.ndarray], shrink: float):
    proba, cells = rows
    found = tune(proba, cells, SPACE, ThresholdSettings(shrink=shrink))
    proba = proba.astype(np.float64)
    known = cells[:, :3] >= 0
    common = best_threshold(proba[:, :3][known], cells[:, :3][known] == 1)
    for label in range(3):
        truth = cells[known[:, label], label] == 1
        own, n = best_threshold(proba[known[:, label], label], truth), truth.sum()
        wanted = (n * own + shrink * common) / (n + shrink) if n else common
        assert found[label] == pytest.approx(min(max(wanted, 0.01), 0.99), abs=1e-6)


@QUICK
@given(dev_rows(), dev_rows())
def test_unknown_cells_and_groups_have_no_say(rows: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]):
    proba, cells = rows
    noise = np.resize(other[0], proba.shape) if other[0].size else 1 - proba
    changed = np.where(cells >= 0, proba, noise)
    changed[:, 3:] = noise[:, 3:]
    settings = ThresholdSettings(shrink=2)
    np.testing.assert_array_equal(tune(changed, cells, SPACE, settings), tune(proba, cells, SPACE, settings))


def test_a_label_without_positives_takes_the_global_threshold():
    proba = np.array([[0.9, 0.001, 0.4, 0, 0], [0.8, 0.001, 0.3, 0, 0], [0.6, 0.001, 0.2, 0, 0]], dtype=np.float32)
    cells = np.array([[1, 0, 1, -2, -2], [1, 0, 0, -2, -2], [0, 0, 0, -2, -2]], dtype=np.int8)
    found = tune(proba, cells, SPACE, ThresholdSettings(shrink=0))
    common = best_threshold(proba[:, :3].ravel().astype(float), cells[:, :3].ravel() == 1)
    assert found.tolist() == pytest.approx([0.7, common, 0.35])
    assert common > 0.3


def test_without_any_positive_and_without_rows_it_is_one_half():
    cells = np.zeros((2, 5), dtype=np.int8)
    for count in (0, 2):
        found = tune(np.full((count, 5), 0.9, np.float32), cells[:count], SPACE, ThresholdSettings())
        assert found.tolist() == [0.5, 0.5, 0.5]


def test_a_space_of_groups_only_has_no_thresholds():
    space = LabelSpace((), SPACE.groups)
    assert tune(np.ones((2, 2), np.float32), np.ones((2, 2), np.int8), space, ThresholdSettings()).shape == (0,)


@QUICK
@given(dev_rows(), st.integers(0, 3))
def test_a_bundle_decides_with_the_very_thresholds_that_were_tuned(rows: tuple[np.ndarray, np.ndarray], min_k: int):
    settings = ThresholdSettings(shrink=3, min_k=min_k, fallback="b")
    tuned = tune(*rows, SPACE, settings)
    loaded = Decoder.from_dict(thresholds_to_dict(tuned, settings, SPACE), SPACE)
    np.testing.assert_array_equal(loaded.thresholds, tuned)
    assert loaded.thresholds.dtype == tuned.dtype
    assert loaded.settings == settings
