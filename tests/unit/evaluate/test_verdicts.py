"""What a gain proves, in cases and words."""

from __future__ import annotations

import pytest

from duobiao.evaluate.bootstrap import Gain
from duobiao.evaluate.proof import judge

UP, DOWN, OVER = Gain(0.013, 0.009, 0.017, 0.0), Gain(-0.02, -0.03, -0.01, 1.0), Gain(0.004, -0.002, 0.01, 0.1)


@pytest.mark.parametrize(
    ("gain", "seeds", "case", "english", "chinese"),
    [
        (UP, [0.013], "gained", "distillation gained 1.3 ± 0.4 macro-F1", "蒸馏提高了 1.3 ± 0.4 个 macro-F1 百分点"),
        (
            DOWN,
            [-0.02],
            "lost",
            "did not help: use the control (-2.0 ± 1.0 macro-F1)",
            "蒸馏没有帮助，请用对照模型（-2.0 ± 1.0 macro-F1）",
        ),
        (
            OVER,
            [0.004],
            "none",
            "no difference that these rows can show (+0.4 ± 0.6 macro-F1)",
            "这些行看不出差别（+0.4 ± 0.6 macro-F1）",
        ),
        (None, [], "unknown", "no control: nothing is proven", "没有对照，什么也没有证明"),
    ],
)
def test_verdicts(gain: Gain | None, seeds: list[float], case: str, english: str, chinese: str) -> None:
    assert judge(gain, seeds, "macro_f1") == (case, {"en": english, "zh": chinese})


@pytest.mark.parametrize(("gain", "seeds"), [(UP, [0.03, -0.004]), (DOWN, [-0.05, 0.01])])
def test_seeds_that_disagree_prove_nothing(gain: Gain, seeds: list[float]) -> None:
    assert judge(gain, seeds, "micro_f1")[0] == "none"
    assert "micro-F1" in judge(gain, seeds, "micro_f1")[1]["en"]


def test_an_interval_that_touches_zero_proves_nothing() -> None:
    assert judge(Gain(0.01, 0.0, 0.02, 0.03), [0.01], "macro_f1")[0] == "none"
