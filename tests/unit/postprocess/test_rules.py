"""Rules among labels: whatever the probabilities, the answer satisfies them all."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duobiao.config import ThresholdSettings
from duobiao.errors import ConfigError
from duobiao.labels import LabelSpace
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.rules import Rules, check_rules

NAMES = tuple("abcdef")
SPACE = LabelSpace.from_dict({"labels": list(NAMES), "groups": {"g": {"labels": ["x", "y"]}}})
QUICK = settings(deadline=None, max_examples=80)
PROBA = st.sampled_from([0.0, 0.02, 0.2, 0.4, 0.5, 0.6, 0.8, 0.97, 1.0])


@st.composite
def rule_sets(draw: st.DrawFn) -> ThresholdSettings:
    """Rules that can be carried out; parents come later in the alphabet, so there are no circles."""
    parents: dict[str, list[str]] = {}
    for child in NAMES[:-1]:
        after = NAMES[NAMES.index(child) + 1 :]
        chosen = draw(st.lists(st.sampled_from(after), max_size=2, unique=True))
        if chosen and draw(st.booleans()):
            parents[child] = chosen
    pairs = st.sampled_from(list(itertools.combinations(NAMES, 2)))
    forbidden = draw(st.lists(pairs, max_size=3, unique=True))
    max_k = draw(st.none() | st.integers(1, 6))
    min_k = draw(st.integers(0, 2))
    assume(max_k is None or min_k <= max_k)
    fallback = draw(st.none() | st.sampled_from(NAMES))
    found = ThresholdSettings(parents=parents, forbidden=forbidden, max_k=max_k, min_k=min_k, fallback=fallback)
    try:
        check_rules(found, SPACE)
    except ConfigError:
        assume(False)
    return found


@st.composite
def rows(draw: st.DrawFn) -> np.ndarray:
    return draw(hnp.arrays(np.float32, (draw(st.integers(1, 4)), len(SPACE)), elements=PROBA.map(np.float32)))


def ancestors(name: str, parents: dict[str, tuple[str, ...]]) -> set[str]:
    found = {name}
    for parent in parents.get(name, ()):
        found |= ancestors(parent, parents)
    return found


def by_hand(proba: np.ndarray, thresholds: np.ndarray, rules: ThresholdSettings) -> set[str]:
    """One row, label by label."""

    def distance(p: float, t: float) -> float:
        p, t = (min(max(float(v), 1e-7), 1 - 1e-7) for v in (p, t))
        return float(np.float32(np.log(p / (1 - p))) - np.float32(np.log(t / (1 - t))))

    order = sorted(range(len(NAMES)), key=lambda at: (-round(distance(proba[at], thresholds[at]), 4), at))
    taken: set[str] = set()
    for at in order:
        if not (proba[at] >= thresholds[at] or len(taken) < rules.min_k):
            continue
        own = ancestors(NAMES[at], rules.parents)
        clash = any({one, other} & own and {one, other} & taken and len({one, other} & (own | taken)) == 2
                    for one, other in rules.forbidden)  # fmt: skip
        if clash or (rules.max_k is not None and len(taken | own) > rules.max_k):
            continue
        taken |= own
    return taken or (ancestors(rules.fallback, rules.parents) if rules.fallback else set())


@QUICK
@given(rows(), rule_sets())
def test_labels_are_taken_one_by_one(proba: np.ndarray, rules: ThresholdSettings) -> None:
    thresholds = np.full(len(NAMES), 0.5, np.float32)
    decided = Decoder(SPACE, thresholds, rules).decide(proba, np.ones(proba.shape, bool))
    for row, chosen in zip(proba, decided, strict=True):
        assert {NAMES[at] for at in np.flatnonzero(chosen[: len(NAMES)])} == by_hand(row, thresholds, rules)


@QUICK
@given(rows(), rule_sets(), hnp.arrays(np.float32, len(NAMES), elements=st.floats(0.015625, 0.984375, width=32)))
def test_all_rules_hold_and_deciding_again_changes_nothing(
    proba: np.ndarray, rules: ThresholdSettings, thresholds: np.ndarray
) -> None:
    decoder = Decoder(SPACE, thresholds, rules)
    asked = np.ones(proba.shape, bool)
    decided = decoder.decide(proba, asked)
    plain = Decoder(SPACE, thresholds, ThresholdSettings()).decide(proba, asked)
    np.testing.assert_array_equal(decided[:, len(NAMES) :], plain[:, len(NAMES) :])  # groups are not touched
    for row in decided:
        held = {NAMES[at] for at in np.flatnonzero(row[: len(NAMES)])}
        assert all(set(parents) <= held for child, parents in rules.parents.items() if child in held)
        assert not any(set(pair) <= held for pair in rules.forbidden)
        assert rules.max_k is None or len(held) <= rules.max_k
        assert held or (rules.fallback is None and rules.min_k == 0)
        if not rules.forbidden and rules.max_k is None:
            assert len(held) >= rules.min_k
    again = decoder.decide(decided.astype(np.float32), asked)
    np.testing.assert_array_equal(again, decided)


def test_of_a_forbidden_pair_the_further_above_its_threshold_stays() -> None:
    rules = ThresholdSettings(forbidden=[("a", "b")])
    decoder = Decoder(SPACE, np.array([0.5, 0.1, 0.5, 0.5, 0.5, 0.5], np.float32), rules)
    proba = np.zeros((3, len(SPACE)), np.float32)
    proba[:, :2] = [[0.9, 0.2], [0.6, 0.3], [0.4, 0.3]]  # in log-odds 2.2 and 0.8; 0.4 and 1.35; below and 1.35
    assert decoder.decide(proba, np.ones(proba.shape, bool))[:, :2].tolist() == [[True, False], [False, True], [False, True]]


def test_parents_of_parents_come_too() -> None:
    rules = Rules(NAMES, ThresholdSettings(parents={"a": "b", "b": ["c", "d"]}))
    assert [NAMES[at] for at in np.flatnonzero(rules.implied[0])] == ["a", "b", "c", "d"]
    assert [NAMES[at] for at in np.flatnonzero(rules.implied[2])] == ["c"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"parents": {"a": "x", "z": "a"}}, ["'x' is no independent label", "'z' is no independent label"]),
        ({"parents": {"a": "b", "b": "c", "c": "a"}}, ["'a', 'b', 'c' imply each other"]),
        ({"parents": {"a": "a"}}, ["'a' implies itself"]),
        ({"forbidden": [["a", "a"], ["a", "y"]]}, ["'a' beside itself", "'y' is no independent label"]),
        ({"parents": {"a": ["b", "c"]}, "forbidden": [["b", "c"]]}, ["'a' implies labels that are forbidden"]),
        ({"parents": {"a": "b", "b": "c"}, "max_k": 2}, ["'a' comes with 3 labels (a, b, c), more than max_k 2"]),
    ],
)
def test_rules_that_contradict_themselves_are_refused_all_at_once(rules: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        check_rules(ThresholdSettings.model_validate(rules), SPACE)
    for words in said:
        assert words in str(error.value)
