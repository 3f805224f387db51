import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duobiao.config import ThresholdSettings
from duobiao.errors import ConfigError
from duobiao.labels import Group, LabelSpace
from duobiao.postprocess.decode import Decoder, check_rules
from duobiao.postprocess.probabilities import probabilities

QUICK = settings(deadline=None, max_examples=80)
NODES = [None, "身份", "时间"]
SPACE = LabelSpace(
    ("a", "b", "c", "d"),
    (
        Group("情感", ("正", "中", "负")),
        Group("升级", ("升级",), at_most_one=True),
        Group("身份", ("是", "否"), contexts=("身份",)),
        Group("时间", ("早", "晚"), at_most_one=True, contexts=("时间", "身份")),
    ),
)
FREE = len(SPACE.independent)


@st.composite
def questions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    contexts = draw(st.lists(st.sampled_from(NODES), min_size=1, max_size=6))
    shape = (len(contexts), len(SPACE))
    logits = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([-50, -2, -0.5, 0, 0.5, 2, 50])))
    return probabilities(logits, SPACE), SPACE.asked(contexts, draw(st.sampled_from(["skip", "all"])))


@st.composite
def decoders(draw: st.DrawFn, **rules: object) -> Decoder:
    thresholds = draw(hnp.arrays(np.float32, FREE, elements=st.floats(0.015625, 0.984375, width=32)))
    return Decoder(SPACE, thresholds, ThresholdSettings.model_validate(rules))


@QUICK
@given(questions(), decoders())
def test_groups_are_answered_by_their_rules(asked: tuple[np.ndarray, np.ndarray], decoder: Decoder):
    proba, mask = asked
    chosen = decoder.decide(proba, mask)
    assert chosen.dtype == np.bool_
    assert not chosen[~mask].any()  # never a label in an unasked cell
    for group, columns in zip(SPACE.groups, SPACE.slices, strict=True):
        for row in range(len(proba)):
            part, answer = proba[row, columns], chosen[row, columns]
            if not mask[row, columns].any():
                continue
            if not group.at_most_one:
                assert answer.sum() == 1  # exactly one label an asked group
                assert part[answer][0] == part.max()
            elif part.max() > 1 - part.sum() + 1e-5:
                assert answer.tolist() == [n == part.argmax() for n in range(len(part))]
            elif part.max() < 1 - part.sum() - 1e-5:
                assert not answer.any()
            else:
                assert answer.sum() <= 1


@QUICK
@given(questions(), decoders())
def test_labels_hold_from_their_thresholds_on(asked: tuple[np.ndarray, np.ndarray], decoder: Decoder):
    proba, mask = asked
    np.testing.assert_array_equal(decoder.decide(proba, mask)[:, :FREE], proba[:, :FREE] >= decoder.thresholds)


def test_a_probability_on_its_threshold_holds():
    decoder = Decoder(SPACE, np.full(FREE, 0.3, np.float32), ThresholdSettings())
    proba = np.full((1, len(SPACE)), 0.3, np.float32)
    assert decoder.decide(proba, SPACE.asked([None]))[0, :FREE].all()


def margins(proba: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    def log_odds(p: np.ndarray) -> np.ndarray:
        p = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
        return np.log(p / (1 - p))

    return log_odds(proba) - log_odds(thresholds)


@QUICK
@given(questions(), st.data(), st.integers(0, 4), st.none() | st.integers(1, 5), st.none() | st.sampled_from("abcd"))
def test_min_k_max_k_and_fallback_are_honoured(asked, data: st.DataObject, min_k: int, max_k: int | None, fallback: str | None):
    if max_k is not None:
        min_k = min(min_k, max_k)
    decoder = data.draw(decoders(min_k=min_k, max_k=max_k, fallback=fallback))
    plain = Decoder(SPACE, decoder.thresholds, ThresholdSettings())
    proba, mask = asked
    chosen, before = decoder.decide(proba, mask), plain.decide(proba, mask)
    np.testing.assert_array_equal(chosen[:, FREE:], before[:, FREE:])  # groups follow their own rules
    distance = margins(proba[:, :FREE], decoder.thresholds)
    for row, old, far in zip(chosen[:, :FREE], before[:, :FREE], distance, strict=True):
        wanted = min(max(int(old.sum()), min_k), max_k or FREE)
        if wanted == 0 and fallback is not None:
            assert [SPACE.names[n] for n in np.flatnonzero(row)] == [fallback]
            continue
        assert row.sum() == wanted
        if row.any() and not row.all():  # the nearest to, or farthest above, their thresholds
            assert far[row].min() >= far[~row].max() - 1e-4


def test_nearest_is_measured_in_log_odds():
    decoder = Decoder(SPACE, np.array([0.9, 0.1, 0.9, 0.9], np.float32), ThresholdSettings(min_k=1))
    proba = np.zeros((1, len(SPACE)), np.float32)
    proba[0, :2] = (0.85, 0.04)  # 0.05 and 0.06 below, but log-odds 0.46 and 0.98 below
    assert np.flatnonzero(decoder.decide(proba, SPACE.asked([None]))[0, :FREE]).tolist() == [0]
    proba[0, :2] = (0.8, 0.09)
    assert np.flatnonzero(decoder.decide(proba, SPACE.asked([None]))[0, :FREE]).tolist() == [1]


def test_the_likeliest_of_a_loose_group_must_beat_none_of_them():
    proba = np.zeros((3, len(SPACE)), np.float32)
    late = SPACE.index["晚"]
    proba[:, late] = (0.49, 0.51, 0.4)
    proba[2, late - 1] = 0.35  # 晚 0.4, 早 0.35, none 0.25
    decoder = Decoder(SPACE, np.full(FREE, 0.5, np.float32), ThresholdSettings())
    found = decoder.decide(proba, SPACE.asked(["时间"] * 3))
    assert found[:, late].tolist() == [False, True, True]
    assert not found[:, late - 1].any()


def test_spaces_of_one_kind_only():
    groups = LabelSpace((), SPACE.groups[:1])
    found = Decoder(groups, np.zeros(0, np.float32), ThresholdSettings()).decide(
        np.array([[0.2, 0.5, 0.3]], np.float32), groups.asked([None])
    )
    assert found.tolist() == [[False, True, False]]
    labels = LabelSpace(("a", "b"))
    found = Decoder(labels, np.array([0.5, 0.5], np.float32), ThresholdSettings()).decide(
        np.zeros((0, 2), np.float32), labels.asked([])
    )
    assert found.shape == (0, 2)


@pytest.mark.parametrize(
    ("rules", "space", "said"),
    [
        ({"fallback": "正"}, SPACE, "thresholds.fallback: '正' is no independent label"),
        ({"fallback": "x"}, LabelSpace((), SPACE.groups), "the space has none"),
        ({"min_k": 5}, SPACE, "thresholds.min_k is 5, but there are 4 independent labels"),
    ],
)
def test_rules_that_the_space_cannot_carry_out_are_refused(rules: dict[str, object], space: LabelSpace, said: str):
    found = ThresholdSettings.model_validate(rules)
    for attempt in (lambda: check_rules(found, space), lambda: Decoder(space, np.zeros(0, np.float32), found)):
        with pytest.raises(ConfigError, match=said):
            attempt()


def test_rules_that_fit_are_accepted():
    check_rules(ThresholdSettings(fallback="d", min_k=4, max_k=9), SPACE)


@pytest.mark.parametrize(
    ("rules", "logits", "wanted"),
    [
        ({"max_k": 1}, (17.0, 25.0, 0.0), 1),
        ({"max_k": 1}, (16.5, 19.0, -5.0), 1),
        ({"max_k": 1}, (15.0, 15.1, -3.0), 1),
        ({"min_k": 1}, (-25.0, -17.0, -30.0), 1),
        ({"max_k": 1}, (25.0, 17.0, 0.0), 0),
    ],
)
def test_labels_are_ranked_by_logits_where_probabilities_are_level(
    rules: dict[str, int], logits: tuple[float, ...], wanted: int
):
    space = LabelSpace.from_dict({"labels": ["a", "b", "c"]})
    values = np.array([logits], dtype=np.float32)
    decoder = Decoder(space, np.full(3, 0.5, np.float32), ThresholdSettings(**rules))
    found = decoder.decide(probabilities(values, space), np.ones((1, 3), dtype=np.bool_), values)
    assert np.flatnonzero(found[0]).tolist() == [wanted]
