import re
from typing import Any

import pytest

from duobiao.evaluate.advice import LINES, summary
from duobiao.evaluate.budget import Budget


def gap(gain: float, low: float, high: float) -> dict[str, Any]:
    return {"gain": gain, "low": low, "high": high, "told_apart": not low <= 0 <= high}


def system(name: str, f1: float, ms: float, mb: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "bigru", "micro_f1": f1, "p95_ms": {"1": ms}, "mb": mb, "notes": [], **more}


SYSTEMS = [
    system("linear", 0.8, 1.0, 4.0, kind="linear", dominated_by=["fast"]),
    system(
        "teacher",
        0.9,
        80.0,
        400.0,
        notes=["start=random weights"],
        intervals={"micro_f1": [0.88, 0.92]},
        against={"small": gap(0.004, -0.01, 0.02), "fast": gap(0.016, 0.004, 0.03), "linear": gap(0.1, 0.08, 0.12)},
    ),
    system("small", 0.896, 9.0, 2.0, against={"fast": gap(0.012, -0.001, 0.02), "teacher": gap(-0.004, -0.02, 0.01)}),
    system("fast", 0.884, 0.5, 3.0),
]


def test_without_a_budget_the_best_the_smallest_and_the_fastest_that_keep_98_percent():
    lines = summary(SYSTEMS, "en")
    assert lines == [
        "Best quality: teacher (micro-F1 0.9000, 95 % interval 0.880 to 0.920, p95 80.0 ms, 400 MB).",
        "Smallest of those that keep 98 % of the best micro-F1: small (micro-F1 0.8960, p95 9.0 ms, 2.0 MB). "
        "It is not told apart from teacher (0.4 points below, 95 % interval −1.0 to 2.0).",
        "Fastest of them: fast (micro-F1 0.8840, p95 0.50 ms, 3.0 MB). "
        "It is 1.6 points below teacher (95 % interval 0.4 to 3.0).",
        "Worth considering: teacher, small, fast.",
        "Not worth considering: linear (see fast). The systems in brackets are no worse in micro-F1, p95 and size, and better "
        "in at least one.",
        "The linear baseline reaches micro-F1 0.8000; above it: teacher, small, fast.",
        "Note: teacher started from random weights, without pre-training; a pre-trained teacher does better.",
    ]


def test_a_budget_is_answered_first_with_what_it_costs_and_what_is_cheaper():
    lines = summary(SYSTEMS, "en", Budget(max_ms=10, max_mb=50))
    assert lines[0] == (
        "With p95 of at most 10 ms, at most 50 MB: deploy small (micro-F1 0.8960, p95 9.0 ms, 2.0 MB). "
        "It is not told apart from teacher (0.4 points below, 95 % interval −1.0 to 2.0)."
    )
    assert lines[1].startswith("Within the limits, fast (micro-F1 0.8840, p95 0.50 ms, 3.0 MB) is not told apart from it")
    assert lines[1].endswith("and takes 6 % of its time.")
    assert lines[2].startswith("Best quality: teacher")


def test_the_best_is_not_told_twice():
    lines = summary(SYSTEMS, "en", Budget(max_ms=100))
    assert lines[0].endswith("It is the best of all.")
    assert not any(line.startswith("Best quality") for line in lines)


def test_a_limit_of_quality_alone_names_the_smallest_and_the_fastest():
    lines = summary(SYSTEMS, "en", Budget(keep=0.97, min_micro_f1=0.5))
    assert lines[0].startswith("With micro-F1 of at least 0.5, 97 % of the best micro-F1 kept, the smallest is small")
    assert lines[1].startswith("The fastest is fast")
    lines = summary(SYSTEMS[1:2], "en", Budget(keep=0.97))
    assert "the smallest and the fastest" in lines[0]


def test_what_cannot_be_reached_is_told_limit_by_limit():
    lines = summary(SYSTEMS, "en", Budget(max_ms=0.1, max_mb=2, min_micro_f1=0.95))
    assert lines[:4] == [
        "No system meets all of: p95 of at most 0.1 ms, at most 2 MB, micro-F1 of at least 0.95.",
        "Time: the fastest, fast, takes 0.50 ms; this limit is out of reach.",
        "Size: the smallest, small, has 2.0 MB; this limit alone can be met.",
        "Quality: the best, teacher, reaches micro-F1 0.9000 (asked: 0.9500); this limit is out of reach.",
    ]


def test_a_single_system_and_an_unbeaten_baseline():
    assert summary([system("only", 0.9, 1.0, 2.0)], "zh") == ["质量最高的是 only（micro-F1 0.9000，p95 1.0 毫秒，2.0 MB）。"]
    lines = summary([system("lin", 0.9, 1.0, 1.0, kind="linear"), system("t", 0.8, 2.0, 2.0)], "zh")
    assert lines[1] == "保留最佳质量 98% 的模型里，没有比它更小或更快的。"
    assert lines[-1].endswith("没有模型高于它，先用它。")


def test_without_intervals_the_cost_is_told_plainly():
    lines = summary([system("a", 0.9, 9.0, 9.0), system("b", 0.89, 1.0, 1.0)], "en")
    assert lines[1].endswith("It is 1.0 points below a.")


@pytest.mark.parametrize(
    "budget", [None, Budget(max_ms=10), Budget(max_ms=0.1, max_mb=1, min_micro_f1=0.99), Budget(keep=0.97)]
)
def test_both_languages_say_the_same_numbers(budget: Budget | None):
    def numbers(language: Any) -> list[list[str]]:
        return [sorted(re.findall(r"\d+\.\d+", line)) for line in summary(SYSTEMS, language, budget)]

    assert numbers("zh") == numbers("en")
    assert LINES["zh"].keys() == LINES["en"].keys()
    assert not re.search("[\u4e00-\u9fff]", "".join(summary(SYSTEMS, "en", budget)))
