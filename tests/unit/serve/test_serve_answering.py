"""What a process that computes makes of a batch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from systems import NODE, SPACE, Reader, make_bundle, make_system

from duobiao.classifier import Classifier
from duobiao.errors import DataError
from duobiao.halving import check_sound
from duobiao.routing import Routes
from duobiao.serve.answering import FAILED, Answering, row_error


class Poisoned(Reader):
    """Raises when a text holds 毒."""

    def logits(self, pairs, label: str = ""):
        if any("毒" in text for text, _ in pairs):
            raise RuntimeError("secret of the inside")
        return super().logits(pairs, label)


def answers(system: Classifier, rows: list[Any], *options: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Answering(system).answer(rows, options or ({},)).rows]


def row(text: str, context: str | None = None, option: int = 0) -> list[Any]:
    return [text, context, option, None]


def test_answers_are_those_of_the_classifier():
    system = make_system()
    found = answers(system, [row("物流慢"), row("我是本人", NODE)])
    expected = system.predict(["物流慢", "我是本人"], [None, NODE])
    assert [one["labels"] for one in found] == [one.labels for one in expected]
    assert [one["scores"] for one in found] == [one.scores for one in expected]


@pytest.mark.parametrize("places", [[0], [6], [2, 3], [0, 1, 2, 3, 4, 5, 6]])
def test_poisoned_rows_fail_alone(places: list[int]):
    texts = ["毒" if place in places else "物流" for place in range(7)]
    done = Answering(make_system(Poisoned())).answer([row(text) for text in texts], [{}])
    found = [json.loads(line) for line in done.rows]
    for place, one in enumerate(found):
        if place in places:
            assert one == {"error": {"code": "row_failed", "message": FAILED}}
        else:
            assert "物流" in one["labels"]
    assert done.failed == len(places)
    assert done.labels["物流"] == 7 - len(places)


def test_each_row_has_the_wishes_of_its_own_request():
    thresholds = {"values": dict.fromkeys(SPACE.independent, 0.5), "settings": {}}
    thresholds["points"] = {"strict": {"values": dict.fromkeys(SPACE.independent, 0.99), "settings": {}}}
    system = make_system(thresholds=thresholds)
    wishes = [{}, {"operating_point": "strict", "top_k": 2}, {"explain": True}]
    plain, strict, explained = answers(system, [row("物流", option=number) for number in range(3)], *wishes)
    assert "物流" in plain["labels"]
    assert "物流" not in strict["labels"]
    assert next(iter(strict["scores"])) == "物流"
    assert len(strict["scores"]) == 2
    assert "explanation" not in plain
    assert explained["explanation"]["物流"] == [{"word": "物流", "start": 0, "end": 2, "weight": pytest.approx(8.0, abs=1e-3)}]


def test_an_abstain_band_tells_which_rows_need_a_look():
    thresholds = {"values": dict.fromkeys(SPACE.independent, 0.5), "settings": {"band": 0.49}}
    found = answers(make_system(thresholds=thresholds), [row("物流")])[0]
    assert found["review"] is True
    assert "物流" in found["unsure"]


def test_a_model_whose_answer_is_no_number_is_not_sound():
    class Broken(Reader):
        def logits(self, pairs, label: str = ""):
            return np.full((len(pairs), len(self.space)), np.nan, dtype=np.float32)

    with pytest.raises(FloatingPointError):
        check_sound(make_system(Broken()))
    check_sound(make_system())


def test_callers_learn_what_they_can_mend_and_nothing_of_the_inside():
    assert row_error(DataError("the column 'age' is missing"))["message"] == "the column 'age' is missing"
    assert "secret" not in str(row_error(RuntimeError("secret")))


def test_the_depth_of_a_row_is_told_when_it_is_asked_for():
    class Early(Reader):
        passes = 0

        def logits_and_depths(self, pairs, features=None, label: str = ""):
            self.passes += 1
            return self.logits(pairs), np.array([len(text) for text, _ in pairs])

    model = Early()
    found = answers(make_system(model), [row("物流"), row("质量差", option=1)], {}, {"depth": True})
    assert "depth" not in found[0]
    assert found[1]["depth"] == 3
    assert model.passes == 1  # not once more for the depths


def test_columns_of_numbers_reach_the_model():
    bundle = make_bundle()
    answering = Answering(Classifier(bundle, Reader(bundle.space)))
    assert answering._numeric([row("物流")]) is None


def test_routes_say_where_a_row_goes_next():
    routes = Routes.from_dict(
        {"actions": ["挂断"], "nodes": {NODE: [{"labels": ["本人"], "to": "挂断"}], "*": [{"else": NODE}]}}
    )
    answering = Answering(make_system(), routes)
    lines = answering.answer([row("我是本人", NODE), row("物流")], [{}]).rows
    assert [json.loads(line)["next"] for line in lines] == ["挂断", NODE]
