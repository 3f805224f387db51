"""Several teachers: calibration and weights, by hand and against slow minimisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.labels import UNASKED, UNKNOWN, LabelSpace
from duobiao.postprocess.probabilities import probabilities
from duobiao.train.teachers import Scale, calibrate, log_loss, weigh

SPACE = LabelSpace.from_dict(
    {"labels": ["a", "b"], "groups": {"g": {"labels": ["c", "d"]}, "h": {"labels": ["e", "f"], "at_most_one": True}}}
)
CELLS = np.array(
    [
        [1, 0, 1, 0, 0, 0],  # none of h
        [0, UNKNOWN, 0, 1, 0, 1],
        [1, 1, UNKNOWN, UNKNOWN, UNASKED, UNASKED],
    ],
    dtype=np.int8,
)


def drawn(rows: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cells drawn from probabilities whose logits are returned with them, blurred."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (rows, len(SPACE)))
    proba = probabilities(logits, SPACE)
    cells = (random.random((rows, 6)) < proba).astype(np.int8)
    for columns in (slice(2, 4), slice(4, 6)):
        part = np.cumsum(proba[:, columns], axis=1)
        lots = random.random((rows, 1)) * (part[:, 1:] if columns.start == 2 else 1.0)
        cells[:, columns] = np.hstack([lots < part[:, :1], (lots >= part[:, :1]) & (lots < part[:, 1:])])
    return cells, logits + random.normal(0, noise, logits.shape)


def test_the_loss_is_that_of_a_slow_count() -> None:
    logits = np.random.default_rng(1).normal(0, 2, CELLS.shape)
    p = probabilities(logits, SPACE).astype(np.float64)
    said = [p[0, 0], 1 - p[0, 1], p[0, 2], 1 - p[0, 4] - p[0, 5], 1 - p[1, 0], p[1, 3], p[1, 5], p[2, 0], p[2, 1]]
    value, slope = log_loss(logits, CELLS, SPACE)
    assert value == pytest.approx(-np.mean(np.log(said)), rel=1e-5)
    for place in np.ndindex(*CELLS.shape):
        moved = logits.copy()
        moved[place] += 1e-5
        assert slope[place] == pytest.approx((log_loss(moved, CELLS, SPACE)[0] - value) / 1e-5, abs=1e-5)


def test_the_loss_stays_finite_where_a_teacher_is_certain_and_wrong() -> None:
    value, slope = log_loss(np.where(CELLS == 1, -1e4, 1e4).astype(float), CELLS, SPACE)
    assert 1e3 < value < 1e5
    assert np.isfinite(slope).all()


def test_a_scale_is_applied_by_part() -> None:
    scaled = Scale(2.0, -1.0, 3.0).apply(np.ones((1, 6), np.float32), SPACE)
    np.testing.assert_array_equal(scaled, [[1, 1, 3, 3, 3, 3]])


def test_calibration_undoes_a_distortion() -> None:
    cells, logits = drawn(4000, 0.0)
    distorted = logits.copy()
    distorted[:, :2] = (distorted[:, :2] - 0.7) / 4  # as unsure as the margins of a machine
    distorted[:, 2:] *= 5
    found = calibrate(distorted.astype(np.float32), cells, SPACE)
    assert found.slope == pytest.approx(4, rel=0.15)
    assert found.offset == pytest.approx(0.7, abs=0.15)
    assert found.group_slope == pytest.approx(0.2, rel=0.15)


def test_calibration_without_truth_changes_nothing() -> None:
    assert calibrate(np.ones((3, 6), np.float32), np.full((3, 6), UNKNOWN, np.int8), SPACE) == Scale()


def test_weights_are_the_best_of_a_grid() -> None:
    cells, first = drawn(300, 1.5, seed=2)
    second = first + np.random.default_rng(5).normal(0, 1.5, first.shape)
    found = weigh([first, second], cells, SPACE)
    losses = {share: log_loss(share * first + (1 - share) * second, cells, SPACE)[0] for share in np.linspace(0, 1, 201)}
    best = min(losses, key=losses.__getitem__)
    assert found[0] == pytest.approx(best, abs=0.01)


def test_independent_teachers_share_and_a_useless_one_is_left_out() -> None:
    cells, truth = drawn(1500, 0.0, seed=3)
    random = np.random.default_rng(7)
    good = [truth + random.normal(0, 2, truth.shape) for _ in range(2)]
    useless = random.normal(0, 2, truth.shape)
    scaled = [calibrate(one.astype(np.float32), cells, SPACE).apply(one, SPACE) for one in (*good, useless)]
    weights = weigh(scaled, cells, SPACE)
    assert weights[2] < 0.02
    assert 0.35 < weights[0] < 0.65
    together = sum(weight * one for weight, one in zip(weights, scaled, strict=True))
    assert log_loss(np.asarray(together), cells, SPACE)[0] < min(log_loss(one, cells, SPACE)[0] for one in scaled)


@given(st.integers(2, 5), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_weights_lie_on_the_simplex(count: int, seed: int) -> None:
    cells, logits = drawn(40, 1.0, seed)
    random: Any = np.random.default_rng(seed)
    weights = weigh([logits * random.uniform(-1, 3) + random.normal(0, 1, logits.shape) for _ in range(count)], cells, SPACE)
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1, abs=1e-9)
    assert all(round(weight, 3) == weight for weight in weights)


def test_equal_teachers_change_nothing() -> None:
    cells, logits = drawn(60, 1.0)
    weights = weigh([logits, logits, logits], cells, SPACE)
    assert sum(weights) == pytest.approx(1)
    np.testing.assert_allclose(sum(weight * logits for weight in weights), logits)
