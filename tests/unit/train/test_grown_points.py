"""What is told of new labels: F1 on dev rows that their thresholds did not see, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from duobiao.data.rows import Row
from duobiao.evaluate.intervals import dice_bounds
from duobiao.labels import LabelSpace
from duobiao.train.grown_points import Grown

STORED = {"values": {"旧": 0.5}, "settings": {}}


def told(positives: int, missed: int, rows: int = 50) -> dict[str, float]:
    """Of rows some have the new label, and of those some are scored like rows that do not."""
    cells = np.zeros((rows, 2), dtype=np.int8)
    cells[:positives, 1] = 1
    logits = np.where(cells == 1, 4.0, -4.0).astype(np.float32)
    logits[:missed, 1] = -4.0
    texts = [Row(id=str(number), text=f"第{number}行", labels=("新",) if number < positives else ()) for number in range(rows)]
    grown = Grown(LabelSpace(("旧", "新")), ("新",), logits, cells, np.ones(cells.shape, dtype=np.bool_), texts, {})
    return grown.held_out(STORED)[0]


def test_five_of_five_right_is_not_certain() -> None:
    found = told(5, 0)
    assert (found["positives"], found["f1"]) == (5, 1.0)
    assert [found["low"], found["high"]] == dice_bounds(1.0, 5)
    assert found["low"] == pytest.approx(2 * 0.478 / 1.478, abs=1e-3)


def test_what_is_partly_right_has_the_interval_of_drawn_rows() -> None:
    found = told(20, 8)
    assert found["f1"] == pytest.approx(2 * 12 / (20 + 12))
    random = np.random.default_rng(1)
    hits = random.binomial(20, 12 / 20, 4000)
    wanted = np.quantile(2 * hits / (20 + hits), [0.025, 0.975])
    assert [found["low"], found["high"]] == pytest.approx(wanted.tolist(), abs=0.03)


def test_of_a_label_that_no_row_has_nothing_is_known() -> None:
    found = told(0, 0)
    assert (found["positives"], found["low"], found["high"]) == (0, 0.0, 1.0)
