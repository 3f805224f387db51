from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duobiao.errors import ConfigError
from duobiao.evaluate.budget import Budget, best_of, chosen, fastest_of, nearest, smallest_of
from duobiao.evaluate.front import dominates, quality_time_size


def system(name: str, f1: float, ms: float, mb: float) -> dict[str, Any]:
    return {"name": name, "micro_f1": f1, "p95_ms": {"1": ms, "32": 99.0}, "mb": mb}


TEACHER, BIGRU, CNN, LINEAR = SYSTEMS = [
    system("teacher", 0.90, 100.0, 400.0),
    system("bigru", 0.89, 5.0, 20.0),
    system("cnn", 0.885, 2.0, 30.0),
    system("linear", 0.70, 0.5, 3.0),
]
GRID = st.builds(
    system,
    st.just("x"),
    st.integers(1, 5).map(lambda n: n / 5),
    st.integers(1, 4).map(float),
    st.integers(1, 4).map(float),
)


@pytest.mark.parametrize(
    ("budget", "found"),
    [
        (Budget(), [("smallest", BIGRU), ("fastest", CNN)]),
        (Budget(max_ms=5), [("best", BIGRU)]),
        (Budget(max_ms=4.999), [("best", CNN)]),
        (Budget(max_mb=3), [("best", LINEAR)]),
        (Budget(max_mb=3, keep=0.98), []),
        (Budget(keep=1), [("both", TEACHER)]),
        (Budget(min_micro_f1=0.5), [("both", LINEAR)]),
        (Budget(min_micro_f1=0.887), [("both", BIGRU)]),
        (Budget(min_micro_f1=0.95), []),
        (Budget(max_ms=1000, keep=0.5), [("best", TEACHER)]),
    ],
)
def test_what_is_chosen(budget: Budget, found: list[tuple[str, Any]]):
    assert chosen(SYSTEMS, budget) == found


@given(st.lists(GRID, min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 4), st.sampled_from([None, 0.5, 0.98]))
def test_a_choice_meets_every_limit_and_nothing_that_meets_them_dominates_it(
    systems: list[Any], ms: int, mb: int, keep: float | None
):
    for budget in (Budget(max_ms=ms, max_mb=mb, keep=keep), Budget(keep=keep), Budget(max_ms=ms)):
        fitting = budget.fitting(systems)
        picked = chosen(systems, budget)
        assert bool(picked) == bool((budget or Budget(keep=0.98)).fitting(systems))
        for _, one in picked:
            assert one["micro_f1"] >= (budget.keep or 0) * max(other["micro_f1"] for other in systems)
            if budget.limits_cost:
                assert one["micro_f1"] == max(other["micro_f1"] for other in fitting)
                assert one["p95_ms"]["1"] <= ms
            if budget.max_mb is not None:
                assert one["mb"] <= mb
            assert not any(dominates(quality_time_size(other), quality_time_size(one)) for other in fitting)


def test_ties_are_settled_by_what_is_left():
    same = [system("a", 0.9, 2.0, 5.0), system("b", 0.9, 1.0, 6.0), system("c", 0.9, 1.0, 5.0)]
    assert best_of(same)["name"] == "c"
    assert smallest_of(same)["name"] == "c"
    assert fastest_of(same)["name"] == "c"
    assert best_of([same[0], same[0]]) is same[0]


def test_the_nearest_system_is_named_for_each_limit():
    budget = Budget(max_ms=1, max_mb=1, min_micro_f1=0.5, keep=0.99)
    found = [(name, limit, one["name"], met) for name, limit, one, met in nearest(SYSTEMS, budget)]
    assert found == [("ms", 1, "linear", True), ("mb", 1, "linear", False), ("micro_f1", 0.99 * 0.9, "teacher", True)]


def test_impossible_budgets_are_refused_together():
    with pytest.raises(ConfigError) as error:
        Budget(max_ms=0, max_mb=-1, min_micro_f1=1.5, keep=98)
    assert [problem.split()[0] for problem in error.value.problems] == ["--max-ms", "--max-mb", "--min-micro-f1", "--keep"]
    with pytest.raises(ConfigError):
        Budget(max_ms=float("nan"))
    assert not Budget()
