from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from systems import row

from duobiao import progress
from duobiao.evaluate import latency
from duobiao.evaluate.latency import measure

ROWS = [row(f"text {number}", id=str(number), context=f"context {number}") for number in range(3)]


class World:
    """A clock that only systems move, and a note of who answered what."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, list[str], list[Any]]] = []

    def clock(self) -> float:
        return self.now

    @property
    def order(self) -> list[str]:
        return [name for name, _, _ in self.calls]


class Timed:
    """A system that takes the given seconds, one call after another; two rounds of each batch size are the warm-up."""

    columns: tuple[str, ...] = ()

    def __init__(self, world: World, name: str, seconds: Sequence[float]) -> None:
        self.world, self.name, self.seconds = world, name, list(seconds)

    def predict(self, texts: list[str], context: list[Any]) -> None:
        self.world.calls.append((self.name, texts, context))
        self.world.now += self.seconds.pop(0)


def run(plans: dict[str, Sequence[float]], rounds: dict[int, int], reference: int = 0) -> tuple[World, list[dict[str, Any]]]:
    world = World()
    systems: Any = [Timed(world, name, seconds) for name, seconds in plans.items()]
    found = measure(systems, ROWS, reference, rounds, world.clock)
    assert all(not system.seconds for system in systems), "every planned call was made"
    return world, found


def test_systems_take_turns_and_the_first_place_goes_round():
    world, _ = run(dict.fromkeys("abc", [1.0] * 6), {1: 4})
    rounds = ["".join(world.order[start : start + 3]) for start in range(0, len(world.order), 3)]
    assert rounds[2:] == ["abc", "bca", "cab", "abc"]
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)


def test_in_a_round_all_answer_the_same_batch_and_rounds_go_on_through_the_rows():
    world, _ = run(dict.fromkeys("ab", [1.0] * 5), {2: 3})
    batches = [(world.calls[start], world.calls[start + 1]) for start in range(4, 10, 2)]
    for (_, texts, contexts), (_, others, other_contexts) in batches:
        assert (texts, contexts) == (others, other_contexts)
        assert [text.replace("text", "context") for text in texts] == contexts
    assert [first[1] for first, _ in batches] == [["text 0", "text 1"], ["text 2", "text 0"], ["text 1", "text 2"]]


def test_batches_are_of_the_rows_in_the_given_order_and_hold_the_numbers_of_each():
    rows = [replace(one, extra={"年龄": 7} if one.id == "2" else {}) for one in ROWS]
    given: list[Any] = []

    class Reads:
        columns = ("年龄",)

        def predict(self, texts: list[str], context: list[Any], numeric: Any) -> None:
            given.append((texts, numeric))

    system: Any = Reads()
    measure([system], rows, rounds={1: 3}, order=[2, 0])
    assert given[2:] == [
        (["text 2"], {"年龄": [7.0]}),
        (["text 0"], {"年龄": [None]}),
        (["text 2"], {"年龄": [7.0]}),
    ]


def test_the_warm_up_is_not_counted():
    _, found = run({"a": [1000, 1000, 2, 2, 2], "b": [9, 9, 1, 1, 1]}, {1: 3})
    assert found[0]["p50_ms"] == {"1": pytest.approx(2000)}
    assert found[0]["p95_ms"] == {"1": pytest.approx(2000)}
    assert found[1]["speedup"] == pytest.approx(2)


def test_speed_ups_are_the_median_of_ratios_not_the_ratio_of_medians():
    seconds = {"a": [0, 0, 1, 4, 9], "b": [0, 0, 1, 2, 9]}
    _, found = run(seconds, {1: 3})
    assert found[1]["speedups"] == {"1": pytest.approx(1.0)}  # ratios 1, 2, 1; the medians' ratio would be 4 / 2
    assert found[0]["speedup"] == 1.0


def test_the_reference_is_the_one_asked_for():
    _, found = run({"a": [0, 0, 2], "b": [0, 0, 8]}, {1: 1}, reference=1)
    assert [system["speedup"] for system in found] == pytest.approx([4.0, 1.0])


def test_numbers_for_each_batch_size():
    times = [0.1, 0.2, 0.3, 0.4]
    _, found = run({"a": [5, 5, *times, 5, 5, 2.0, 4.0]}, {1: 4, 32: 2})
    only = found[0]
    assert only["rows_per_s"] == {"1": pytest.approx(1 / 0.25), "32": pytest.approx(32 / 3.0)}
    assert only["p50_ms"] == {"1": pytest.approx(250), "32": pytest.approx(3000)}
    assert only["p95_ms"] == {"1": pytest.approx(np.quantile(times, 0.95) * 1000), "32": pytest.approx(3900)}
    assert set(only) == {"rows_per_s", "p50_ms", "p95_ms", "speedups", "speedup"}


def test_the_speed_up_is_that_of_the_largest_batch():
    _, found = run({"a": [0, 0, 6, 0, 0, 6], "b": [0, 0, 1, 0, 0, 2]}, {32: 1, 1: 1})
    assert found[1]["speedups"] == {"32": pytest.approx(6.0), "1": pytest.approx(3.0)}
    assert found[1]["speedup"] == pytest.approx(6.0)


def test_by_default_it_measures_batches_of_1_and_32():
    assert tuple(latency.ROUNDS) == latency.BATCHES == (1, 32)
    assert min(latency.ROUNDS.values()) >= 20, "a p95 of fewer rounds says nothing"


def test_progress_counts_the_timed_rounds():
    class Steps:
        told: tuple[str, int] = ("", 0)
        done = 0

        def start(self, label: str, total: int, done: int) -> "Steps":
            self.told = (label, total)
            return self

        def finish(self, task: Any) -> None: ...

        def say(self, message: str) -> None: ...

        def advance(self, amount: int = 1, note: str = "") -> None:
            self.done += amount

    steps = Steps()
    with progress.use(steps):
        run({"a": [1.0] * 9}, {1: 3, 32: 2})
    assert steps.told == ("timing", 5)
    assert steps.done == 5
