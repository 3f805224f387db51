from dataclasses import asdict

import numpy as np
import pytest

from duobiao.evaluate.against import against
from duobiao.evaluate.evaluation import Judged
from duobiao.evaluate.paired import flips, paired
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
            wanted = paired(systems[one], systems[other], units, SPACE, draws=300)
            own = found[one][other]
            for line, gain in ((own, wanted["micro_f1"]), (own["macro_f1"], wanted["macro_f1"])):
                assert (line["gain"], line["low"], line["high"]) == pytest.approx((gain.gain, gain.low, gain.high), abs=1e-9)
                assert line["told_apart"] == (not line["low"] <= 0 <= line["high"])
            assert own["flips"] == asdict(flips(systems[one], systems[other], units))
    assert found[0][1]["told_apart"]
    assert not found[1][1]["told_apart"]
    assert found[0][1]["gain"] == -found[1][0]["gain"]


def test_few_rows_tell_nothing_apart():
    cells = np.ones((5, 3), dtype=np.int8)
    found = against([judged(cells, 0.0, 0), judged(cells, 1.0, 0)], np.arange(5))
    untold = {"gain": 1.0, "low": None, "high": None, "told_apart": False}
    flipped = {"only_ours": 5, "only_theirs": 0, "p": pytest.approx(2 / 2**5), "test": "mcnemar"}
    assert found[0][1] == {**untold, "macro_f1": untold, "flips": flipped}


def test_systems_of_other_rows_are_refused():
    cells = np.ones((20, 3), dtype=np.int8)
    with pytest.raises(ValueError, match="same rows"):
        against([judged(cells, 0.1, 0), judged(1 - cells, 0.1, 0)], np.arange(20))
