import numpy as np
import pytest

from duobiao.evaluate.against import against
from duobiao.evaluate.evaluation import Judged
from duobiao.evaluate.paired import paired
from duobiao.labels import LabelSpace

SPACE = LabelSpace(("a", "b", "c"))


def judged(cells: np.ndarray, flips: float, seed: int) -> Judged:
    random = np.random.default_rng(seed)
    decided = (cells == 1) ^ (random.random(cells.shape) < flips)
    return Judged(cells, decided.astype(np.float32), decided)


@pytest.mark.parametrize("grouped", [False, True])
def test_every_pair_is_as_the_paired_bootstrap_has_it(grouped: bool):
    cells = np.random.default_rng(0).choice([0, 0, 1, -1], (60, 3)).astype(np.int8)
    systems = [judged(cells, share, seed) for seed, share in enumerate((0.0, 0.1, 0.12))]
    units = np.arange(60) // 3 if grouped else np.arange(60)
    found = against(systems, units, draws=300)
    for one in range(3):
        for other in range(3):
            wanted = paired(systems[one], systems[other], units, SPACE, draws=300)["micro_f1"]
            own = found[one][other]
            assert (own["gain"], own["low"], own["high"]) == pytest.approx((wanted.gain, wanted.low, wanted.high), abs=1e-9)
            assert own["told_apart"] == (not own["low"] <= 0 <= own["high"])
    assert found[0][1]["told_apart"]
    assert not found[1][1]["told_apart"]
    assert found[0][1]["gain"] == -found[1][0]["gain"]


def test_few_rows_tell_nothing_apart():
    cells = np.ones((5, 3), dtype=np.int8)
    found = against([judged(cells, 0.0, 0), judged(cells, 1.0, 0)], np.arange(5))
    assert found[0][1] == {"gain": 1.0, "low": None, "high": None, "told_apart": False}
