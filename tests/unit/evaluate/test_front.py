import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duobiao.evaluate.front import dominates, dominators, quality_time, quality_time_size

POINTS = st.lists(st.tuples(*[st.integers(0, 4).map(float)] * 3), min_size=1, max_size=12)


@given(POINTS)
def test_no_system_of_the_front_is_dominated_and_every_other_one_is_by_one_of_it(points: list[tuple[float, ...]]):
    found = dominators(points)
    front = [at for at, by in enumerate(found) if not by]
    assert front, "there is always one"
    for at, point in enumerate(points):
        slow = [other for other, rival in enumerate(points) if all(np.array(rival) <= point) and any(np.array(rival) < point)]
        assert (at in front) == (not slow)
        assert found[at] == [other for other in slow if other in front]


@given(POINTS)
def test_equal_systems_share_their_fate(points: list[tuple[float, ...]]):
    found = dominators([*points, points[0]])
    assert found[0] == found[-1]
    assert not dominates(points[0], points[0])


def test_better_is_more_quality_less_time_less_size():
    system = {"micro_f1": 0.9, "p95_ms": {"1": 3.0, "32": 50.0}, "mb": 7.5}
    assert quality_time_size(system) == (-0.9, 3.0, 7.5)
    assert quality_time(system) == (-0.9, 3.0)
