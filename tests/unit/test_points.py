"""Operating points of a bundle: named thresholds, of which a classifier uses one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from systems import SPACE, Reader, make_bundle, make_system

from duobiao.bundle import Bundle, read_bundle, read_manifest, write_bundle
from duobiao.classifier import Classifier
from duobiao.errors import BundleError, ConfigError
from duobiao.postprocess.calibration import Calibration
from duobiao.postprocess.points import stored_points, with_points

PLAIN: dict[str, Any] = {"values": dict.fromkeys(SPACE.independent, 0.5), "settings": {}}
STRICT: dict[str, Any] = {"values": dict.fromkeys(SPACE.independent, 0.99), "settings": {"fallback": "发票"}}
WIDE: dict[str, Any] = {"values": dict.fromkeys(SPACE.independent, 0.01), "settings": {"band": 0.45}}


def bundle(**changes: Any) -> Bundle:
    points = {"default": PLAIN, "strict": STRICT, "wide": WIDE}
    return make_bundle(thresholds=with_points(points, **changes))


def test_each_point_decides_with_its_own_thresholds_and_rules_on_one_backend():
    system = Classifier(bundle(), Reader())
    assert system.operating_points == ("default", "strict", "wide")
    assert system.point == "default"
    strict = system.at("strict")
    assert strict.backend is system.backend
    assert (strict.point, strict.operating_points) == ("strict", system.operating_points)
    assert system.predict(["物流"])[0].labels == ["物流", "正面"]
    assert strict.predict(["物流"])[0].labels == ["发票", "正面"]
    assert strict.at("wide").predict(["物流"])[0].labels == ["物流", "质量", "发票", "正面"]
    assert strict.at("default") is system


def test_a_bundle_without_further_points_has_one_named_default():
    system = make_system()
    assert system.operating_points == ("default",)
    assert system.at("default") is system


def test_a_point_that_is_not_there_is_refused_with_those_that_are():
    for attempt in (
        lambda: Classifier(bundle(), Reader()).at("careful"),
        lambda: Classifier(bundle(), Reader(), "careful"),
    ):
        with pytest.raises(ConfigError, match=r"写定: has no operating point 'careful'[\s\S]*default, strict, wide"):
            attempt()


def test_a_point_that_is_not_there_is_refused_with_the_folder_of_the_bundle(tmp_path: Path):
    for place in (tmp_path / "old", tmp_path / "new"):
        write_bundle(place, bundle())
        with pytest.raises(ConfigError, match="has no operating point 'careful'") as error:
            Classifier.load(place, "careful")
        assert error.value.message.startswith(f"{place}: ")


def test_the_first_point_may_have_another_name():
    points = {"careful": STRICT, "default": PLAIN}
    assert stored_points(with_points(points)) == points
    assert list(stored_points(with_points(points))) == ["careful", "default"]
    assert with_points({"default": PLAIN}) == PLAIN


def test_points_and_calibration_are_kept_and_decide_the_digest(tmp_path: Path):
    plain, pointed = (write_bundle(tmp_path / name, one) for name, one in (("a", make_bundle()), ("b", bundle())))
    calibration = Calibration({"物流": 2.0, "情感": 0.5}).to_dict()
    calibrated = write_bundle(tmp_path / "c", bundle(calibration=calibration))
    assert len({plain, pointed, calibrated}) == 3
    assert read_bundle(tmp_path / "c").thresholds["calibration"] == calibration
    assert [read_manifest(tmp_path / name)["schema_version"] for name in "abc"] == [1, 3, 3]


@pytest.mark.parametrize("rule", [{"parents": {"物流": ["质量"]}}, {"forbidden": [["物流", "质量"]]}, {"band": 0.1}])
def test_rules_that_older_versions_would_not_carry_out_need_the_new_schema(tmp_path: Path, rule: dict[str, Any]):
    write_bundle(tmp_path / "b", make_bundle(thresholds={**PLAIN, "settings": rule}))
    assert read_manifest(tmp_path / "b")["schema_version"] == 3


def test_a_point_whose_groups_answer_by_costs_needs_the_newest_schema(tmp_path: Path):
    costs = {"正面": {"false_positive": 1, "false_negative": 1}, "负面": {"false_positive": 1, "false_negative": 9}}
    points = {"default": PLAIN, "cost": {**PLAIN, "group_costs": costs}}
    made = make_bundle(thresholds=with_points(points))
    without = make_bundle(thresholds=with_points({"default": PLAIN, "cost": PLAIN}))
    assert write_bundle(tmp_path / "b", made) != write_bundle(tmp_path / "a", without)
    assert read_manifest(tmp_path / "b")["schema_version"] == 4
    system = Classifier(read_bundle(tmp_path / "b"), Reader())
    assert [one.labels for one in system.predict(["物流", "物流 正面"])] == [["物流", "正面"]] * 2
    assert [one.labels for one in system.at("cost").predict(["物流", "物流 正面"])] == [["物流", "负面"], ["物流", "正面"]]
    broken = make_bundle(thresholds={**PLAIN, "group_costs": {"正面": costs["正面"]}})
    with pytest.raises(BundleError, match="costs of groups"):
        Classifier(broken, Reader())


def test_a_point_whose_groups_answer_by_weights_needs_a_newer_one_still(tmp_path: Path):
    points = {
        "default": PLAIN,
        "rash": {**PLAIN, "group_weights": {"负面": 9.0}},
        "sure": {**PLAIN, "group_weights": {"正面": 1e4}},
    }
    made = make_bundle(thresholds=with_points(points))
    assert write_bundle(tmp_path / "b", made) != write_bundle(tmp_path / "a", make_bundle(thresholds=PLAIN))
    assert [read_manifest(tmp_path / name)["schema_version"] for name in "ab"] == [1, 5]
    system = Classifier(read_bundle(tmp_path / "b"), Reader())
    texts = ["物流", "物流 正面", "物流 负面"]
    assert [one.labels[1] for one in system.predict(texts)] == ["正面", "正面", "负面"]
    assert [one.labels[1] for one in system.at("rash").predict(texts)] == ["负面", "正面", "负面"]
    assert [one.labels[1] for one in system.at("sure").predict(texts)] == ["正面", "正面", "正面"]
    assert [one.scores for one in system.at("sure").predict(texts)] == [one.scores for one in system.predict(texts)]
    with pytest.raises(BundleError, match="weights of groups"):
        Classifier(make_bundle(thresholds={**PLAIN, "group_weights": {"物流": 2.0}}), Reader())


def test_decisions_in_the_band_are_named():
    system = Classifier(bundle(), Reader()).at("wide")  # thresholds 0.01, where -4 (0.018) is in the band and 4 is not
    found = system.predict(["物流 正面", "x"])
    assert found[0].unsure == ("质量", "发票")
    assert found[0].review
    assert found[1].unsure == ("物流", "质量", "发票", "情感")  # equally likely answers
    assert system.at("default").predict(["x"])[0].unsure == ()


def test_a_calibrated_bundle_answers_with_calibrated_probabilities():
    system = Classifier(bundle(calibration={"temperature": {"物流": 2.0, "情感": 4.0}}), Reader())
    proba = system.predict_proba(["物流 正面"])[0]
    free = [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(4)), 1 / (1 + np.exp(4)), 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))]
    np.testing.assert_allclose(proba[:5], free, rtol=1e-6)
    np.testing.assert_array_equal(system.logits(["物流"]), Reader().logits([("物流", None)]))  # a teacher's stay raw


@pytest.mark.parametrize(
    "damaged",
    [
        {"temperature": {"没有": 1.0}},
        {"temperature": {"物流": 0.0}},
        {"isotonic": {"物流": {"logits": [0.0, 0.0], "values": [0.1, 0.2]}}},
        {"isotonic": {"物流": {"logits": [0.0, 1.0], "values": [0.3, 0.2]}}},
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused(damaged: dict[str, Any]):
    with pytest.raises(BundleError, match="calibration"):
        Classifier(bundle(calibration=damaged), Reader())


def test_a_model_that_answers_with_no_number_is_not_taken_for_one_that_is_not_asked():
    class Broken(Reader):
        def logits(self, pairs: Any, label: str = "") -> Any:
            return np.full((len(pairs), len(self.space)), np.nan, dtype=np.float32)

    with pytest.raises(FloatingPointError, match="no number"):
        make_system(Broken()).predict(["物流"])
