"""Settings of the dial worked out from logits, and the curve."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duobiao.config import ThresholdSettings
from duobiao.errors import ConfigError, DataError
from duobiao.evaluate.curve import Point, check_picture, render_curve
from duobiao.evaluate.exits import Exits, Setting, first_exits, lose_at_most, settings_of, worth_it
from duobiao.labels import LabelSpace
from duobiao.models.flops import Cost
from duobiao.postprocess.decode import Decoder

SPACE = LabelSpace(("a", "b"))
COST = Cost(layers=6, exits=(1, 3, 5), width=64, inner=128, embedding=64, labels=2, head="pool", head_width=16, parts=2)


def make(rows: int = 600, noise: float = 1.0) -> Exits:
    """Exits that come nearer to the last layer, which is right."""
    random = np.random.default_rng(0)
    last = np.where(random.random((rows, 2)) < 0.4, 4.0, -4.0) + random.normal(size=(rows, 2))
    early = np.stack([last * share + random.normal(size=last.shape) * noise for share in (0.3, 0.6, 0.9)])
    decoder = Decoder(SPACE, np.array([0.5, 0.5], np.float32), ThresholdSettings())
    cells = (last > 0).astype(np.int8)
    return Exits(early.astype(np.float32), last.astype(np.float32), cells, random.integers(5, 40, rows), decoder, COST)


def setting(speed: float, lost: float, gain: float) -> Setting:
    return Setting("margin", speed, (0,), 0.9, 0.9, lost, 0.5, gain, (0.5, 0.5))


def test_a_row_leaves_at_its_first_used_exit() -> None:
    leaves = np.array([[True, False, False, True], [True, True, False, False], [False, True, False, True]])
    assert first_exits(leaves, (0, 1, 2)).tolist() == [0, 1, 3, 0]
    assert first_exits(leaves, (1, 2)).tolist() == [1, 1, 3, 2]
    assert first_exits(leaves, ()).tolist() == [3] * 4


@pytest.mark.parametrize("criterion", ["margin", "entropy"])
def test_faster_settings_cost_more_and_full_depth_comes_first(criterion: Any) -> None:
    found = settings_of(make(), criterion)
    assert (found[0].speed, found[0].lost, found[0].flops_gain, found[0].layers) == (0.0, 0.0, 1.0, 1.0)
    assert found[0].left == (0, 0, 0, 1)
    assert found[-1].flops_gain > found[1].flops_gain
    assert found[-1].lost > found[1].lost
    for one in found:
        assert sum(one.left) == pytest.approx(1)
        depths = np.array([1, 3, 5, 6])
        assert one.layers == pytest.approx((np.array(one.left) * depths).sum() / 6)


def test_rows_are_judged_by_errors_that_they_did_not_help_to_find() -> None:
    """One row of twenty is sure and wrong early. Calibrated on itself it would stay; judged by the others it leaves."""
    space = LabelSpace(("a",))
    decoder = Decoder(space, np.array([0.5], np.float32), ThresholdSettings())
    last = np.full((20, 1), 4.0, np.float32)
    last[7] = -4
    early = np.full((3, 20, 1), 3.0, np.float32)
    early[:, 7] = 5
    found = Exits(early, last, (last > 0).astype(np.int8), np.full(20, 9), decoder, COST)
    assert found.places(found.rule("margin", 0.08, (0, 1, 2)))[7] == 3
    judged = settings_of(found, "margin", [0.08])[1]
    assert judged.lost > 0
    assert judged.left[-1] < 1


def test_exits_that_spare_nothing_are_left_out() -> None:
    lengths = np.full(100, 20)
    leaves = np.zeros((3, 100), bool)
    leaves[1, :80] = True
    leaves[0, :1] = True
    assert worth_it(leaves, lengths, COST) == (1,)
    leaves[0, :60] = True
    assert worth_it(leaves, lengths, COST) == (0, 1)
    assert worth_it(np.zeros((3, 100), bool), lengths, COST) == ()


def test_the_fastest_setting_within_the_loss_is_taken_but_no_lucky_one() -> None:
    settings = [setting(0, 0, 1), setting(0.01, 0.1, 1.5), setting(0.02, 0.4, 2.0), setting(0.03, 0.9, 2.5)]
    lucky = [*settings, setting(0.05, 0.3, 4.0)]
    assert lose_at_most(lucky, 0.5).speed == 0.02
    assert lose_at_most(lucky, 0.05).speed == 0
    assert lose_at_most(lucky, 1).speed == 0.05
    with pytest.raises(ConfigError, match="cannot be lost"):
        lose_at_most(settings, -0.1)


def test_the_curve_is_a_picture_with_every_setting() -> None:
    points = [
        Point(20, 0.9, "0", "margin", plain=True),
        Point(9, 0.89, "0.01 & <x>", "margin", True),
        Point(5, 0.7, "0.1", "entropy"),
    ]
    root = ET.fromstring(render_curve(points, language="en"))
    space = "{http://www.w3.org/2000/svg}"
    texts = [text.text or "" for text in root.iter(f"{space}text")]
    assert "0.01 & <x> (chosen)" in texts
    assert "teacher" in texts
    assert len(list(root.iter(f"{space}polyline"))) == 2
    for circle in root.iter(f"{space}circle"):
        assert 64 <= float(circle.attrib["cx"]) <= 616
        assert 48 <= float(circle.attrib["cy"]) <= 344
    with pytest.raises(DataError, match="drawn as SVG"):
        check_picture(Path("curve.png"))
