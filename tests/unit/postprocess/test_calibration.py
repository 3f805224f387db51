"""Calibration: maps against scikit-learn and brute force; fitted on rows, judged on others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from duobiao.labels import UNKNOWN, LabelSpace
from duobiao.postprocess import fit_calibration
from duobiao.postprocess.calibration import MIX, Calibration, columns_of
from duobiao.postprocess.check_calibration import fit_checked
from duobiao.postprocess.fit_calibration import fit, isotonic, loss_of, rarer_rows, smoothed
from duobiao.postprocess.probabilities import probabilities
from duobiao.postprocess.reliability import brier, ece, log_loss, reliability_bins

SPACE = LabelSpace.from_dict(
    {"labels": ["a", "b"], "groups": {"g": {"labels": ["x", "y", "z"]}, "m": {"labels": ["p"], "at_most_one": True}}}
)
RNG = np.random.default_rng(3)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(values, dtype=np.float64)))


def make_rows(rows: int, temperature: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``temperature`` times too large, and the truth that the right ones make likely."""
    random = np.random.default_rng(seed)
    right = random.normal(size=(rows, len(SPACE))) * 1.5
    cells = np.zeros(right.shape, np.int8)
    cells[:, :2] = random.random((rows, 2)) < sigmoid(right[:, :2])
    shares = np.exp(right[:, 2:5]) / np.exp(right[:, 2:5]).sum(1, keepdims=True)
    cells[np.arange(rows), 2 + (shares.cumsum(1) < random.random((rows, 1))).sum(1).clip(max=2)] = 1
    cells[:, 5] = random.random(rows) < sigmoid(right[:, 5])
    return (right * temperature).astype(np.float32), cells


def folds_of(rows: int, count: int = 5) -> np.ndarray:
    return np.arange(rows) % count


# ---- measures ----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.float64, st.integers(2, 60), elements=st.floats(0.001, 0.999)), st.randoms())
def test_measures_are_those_of_scikit_learn_and_of_a_slow_loop(proba: np.ndarray, chance) -> None:
    truth = np.array([chance.random() < 0.4 for _ in proba])
    assert brier(proba, truth) == pytest.approx(brier_score_loss(truth, proba))
    assert log_loss(proba, truth) == pytest.approx(sklearn_log_loss(truth, proba, labels=[False, True]))
    bins = reliability_bins(proba, truth, 5)
    assert sum(one["count"] for one in bins) == len(proba)
    edges = np.unique(np.quantile(proba, [0.2, 0.4, 0.6, 0.8]))
    places = [sum(p > edge for edge in edges) for p in proba]
    error = sum(abs(sum(proba[at] - truth[at] for at in range(len(proba)) if places[at] == place)) for place in set(places))
    assert ece(proba, truth, 5) == pytest.approx(error / len(proba))


def test_bins_hold_equally_many_cells_and_equal_probabilities_stay_together() -> None:
    proba = RNG.random(1500)
    assert {one["count"] for one in reliability_bins(proba, proba > 0.5)} == {100}
    same = np.full(40, 0.25)
    assert reliability_bins(same, np.arange(40) < 10) == [{"count": 40, "mean": 0.25, "share": 0.25}]
    assert ece(same, np.arange(40) < 10) == 0.0
    assert reliability_bins(np.zeros(0), np.zeros(0, bool)) == []


# ---- maps --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.float64, st.integers(5, 40), elements=st.floats(-8, 8, width=32)), st.randoms())
def test_isotonic_is_scikit_learns_on_smoothed_truth_with_a_little_of_the_old_probability(logits: np.ndarray, chance) -> None:
    truth = np.array([chance.random() < 0.5 for _ in logits])
    own = isotonic(logits, truth)
    reference = IsotonicRegression(out_of_bounds="clip").fit(logits, truth)
    asked = np.linspace(-12, 12, 101)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    low, high = 1 / (negatives + 2), (positives + 1) / (positives + 2)
    wanted = (1 - MIX) * (low + (high - low) * reference.predict(asked)) + MIX * sigmoid(asked)
    np.testing.assert_allclose(sigmoid(own(asked)), wanted, atol=1e-9)
    assert (np.diff(own(asked)) > 0).all()  # never level, so thresholds can still part rows


def test_temperatures_divide_and_maps_keep_order_and_likeliest_labels() -> None:
    logits, cells = make_rows(400)
    steps = isotonic(logits[:, 1].astype(float), cells[:, 1] == 1)
    calibration = Calibration({"a": 2.0, "g": 0.5, "m": 4.0}, {"b": steps})
    found = calibration.apply(logits, SPACE)
    np.testing.assert_allclose(found[:, [0, 2, 3, 4, 5]], logits[:, [0, 2, 3, 4, 5]] / [2, 0.5, 0.5, 0.5, 4], rtol=1e-6)
    for column in (0, 1, 5):
        order = np.argsort(logits[:, column])
        assert (np.diff(found[order, column]) >= 0).all()
    assert (found[:, 2:5].argmax(1) == logits[:, 2:5].argmax(1)).all()
    again = Calibration.from_dict(calibration.to_dict(), SPACE)
    np.testing.assert_array_equal(again.apply(logits, SPACE), found)


def test_without_a_calibration_the_very_same_array_comes_back() -> None:
    logits = make_rows(3)[0]
    assert Calibration().apply(logits, SPACE) is logits


# ---- fitting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [3.0, 0.4])
def test_the_temperature_that_was_put_in_is_found(temperature: float) -> None:
    logits, cells = make_rows(4000, temperature)
    found = fit(logits, cells, SPACE, folds_of(4000), 10.0)
    for name in ("g", "m"):
        assert found.temperatures[name] == pytest.approx(temperature, rel=0.12)
    assert set(found.temperatures) | set(found.steps) == {"a", "b", "g", "m"}


def test_a_temperature_is_the_best_of_a_fine_grid() -> None:
    logits, cells = make_rows(600, 2.5, seed=5)
    logits, cells = logits[:, :1], cells[:, :1]
    space = LabelSpace(("a",))
    found = fit(logits, cells, space, folds_of(600), 0.0)
    if found.steps:
        pytest.skip("an isotonic map was better here")
    grid = np.exp(np.linspace(-2, 2, 4001))
    losses = [loss_of(logits, cells, space, "a", t) for t in grid]
    assert found.temperatures["a"] == pytest.approx(grid[int(np.argmin(losses))], rel=0.03)  # but for the smoothing


def test_a_label_whose_few_rows_are_all_right_is_not_made_certain() -> None:
    """15 positives, no error: the plain log-loss would take any sharpening; the next rows bring an error."""
    space, logits = LabelSpace(("a", "b")), np.full((400, 2), -5.0, np.float32)
    logits[:15, 0], logits[:, 1] = 5.0, RNG.normal(size=400)
    cells = np.zeros((400, 2), np.int8)
    cells[:15, 0], cells[:, 1] = 1, RNG.random(400) < sigmoid(logits[:, 1])
    found = fit_checked(logits, cells, space, folds_of(400), 10.0).calibration
    assert found.temperatures.get("a", 1.0) > 0.8


def test_smoothed_truth_by_hand() -> None:
    truth = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], float)
    wanted = [[3 / 5, 1 / 5, 1 / 5], [3 / 5, 1 / 5, 1 / 5], [1 / 4, 2 / 4, 1 / 4]]
    np.testing.assert_allclose(smoothed(truth), wanted)
    platt = smoothed(np.array([[1, 0]] * 3 + [[0, 1]] * 8, float))[:, 0]
    np.testing.assert_allclose(platt, [4 / 5] * 3 + [1 / 10] * 8)


def test_rare_labels_lean_on_the_shared_temperature() -> None:
    logits, cells = make_rows(2000, 2.0, seed=2)
    rare = cells.copy()
    rare[40:, 0] = UNKNOWN  # 40 rows of this label are known
    shares = [fit(logits, rare, SPACE, folds_of(2000), shrink).temperatures.get("a", 1.0) for shrink in (0.0, 1e9)]
    everything = fit(logits, rare, SPACE, folds_of(2000), 0.0).temperatures["g"]
    assert abs(shares[1] - everything) < 0.3
    assert rarer_rows(rare, columns_of("a", SPACE)) < 25


def test_unknown_cells_play_no_part() -> None:
    logits, cells = make_rows(900, 2.0)
    hidden = cells.copy()
    hidden[::3] = UNKNOWN
    kept = np.ones(900, bool)
    kept[::3] = False
    folds = folds_of(900)
    one, other = fit(logits, hidden, SPACE, folds, 10.0), fit(logits[kept], cells[kept], SPACE, folds[kept], 10.0)
    assert one.temperatures.keys() == other.temperatures.keys()
    for name, value in one.temperatures.items():
        assert value == pytest.approx(other.temperatures[name], rel=1e-3)


def test_a_calibration_is_better_on_rows_that_it_never_saw_and_says_so() -> None:
    logits, cells = make_rows(1500, 3.0)
    checked = fit_checked(logits, cells, SPACE, folds_of(1500), 10.0)
    assert all(checked.after[name] < checked.before[name] for name in ("log_loss", "brier", "ece"))
    later, truth = make_rows(1500, 3.0, seed=9)
    plain, found = probabilities(later, SPACE), probabilities(checked.calibration.apply(later, SPACE), SPACE)
    assert brier(found.ravel(), truth.ravel() == 1) < brier(plain.ravel(), truth.ravel() == 1)
    assert ece(found.ravel(), truth.ravel() == 1) < 0.5 * ece(plain.ravel(), truth.ravel() == 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_calibration_that_does_not_help_held_out_rows_is_left_off_with_a_note(seed: int) -> None:
    """Few rows of a model that is right already: whatever is kept is not worse, decision by decision and together."""
    logits, cells = make_rows(60, seed=seed)
    checked = fit_checked(logits, cells, SPACE, folds_of(60), 1.0)
    for name in ("log_loss", "brier", "ece"):
        assert checked.after[name] <= checked.before[name] + 1e-12
    for line in checked.decisions:
        if line["map"] == "none":
            assert line["after"] == line["before"]
        else:
            assert line["after"]["brier"] <= line["before"]["brier"]
    raw = fit(logits, cells, SPACE, folds_of(60), 1.0)
    gone = (set(raw.temperatures) | set(raw.steps)) - (set(checked.calibration.temperatures) | set(checked.calibration.steps))
    assert all(any(note.startswith((f"{name}:", "all:")) for note in checked.left_off) for name in gone)


def choice_of(logits: np.ndarray, cells: np.ndarray, folds: np.ndarray) -> Calibration:
    """What some rows alone keep, counted slowly: decision by decision, then all together."""
    found, held = fit(logits, cells, SPACE, folds, 1.0), logits.copy()
    own = {
        fold: fit(logits[folds != fold], cells[folds != fold], SPACE, folds[folds != fold], 1.0) for fold in np.unique(folds)
    }
    for fold, one in own.items():
        held[folds == fold] = one.apply(logits[folds == fold], SPACE)

    def measured(values: np.ndarray, columns: slice) -> tuple[float, float, float]:
        proba, truth = probabilities(values, SPACE)[:, columns].ravel(), cells[:, columns].ravel() == 1
        return log_loss(proba, truth), brier(proba, truth), ece(proba, truth)

    worse = set()
    for name in ("a", "b", "g", "m"):
        columns = columns_of(name, SPACE)
        before, after = measured(logits, columns)[:2], measured(held, columns)[:2]
        if any(one > other + 1e-12 for one, other in zip(after, before, strict=True)):
            worse.add(name)
    for fold, one in own.items():
        held[folds == fold] = one.without(worse).apply(logits[folds == fold], SPACE)
    before, after = measured(logits, slice(0, 6)), measured(held, slice(0, 6))
    bad = any(one > other + 1e-12 for one, other in zip(after, before, strict=True))
    return Calibration() if bad else found.without(worse)


@pytest.mark.parametrize("seed", [1, 4, 6])
def test_what_a_fold_is_scored_by_is_chosen_from_the_other_folds_alone(seed: int) -> None:
    logits, cells = make_rows(80, 1.8, seed=seed)
    folds = folds_of(80)
    checked = fit_checked(logits, cells, SPACE, folds, 1.0)
    assert checked.calibration == choice_of(logits, cells, folds)
    for fold, own in checked.by_fold.items():
        inside = folds != fold
        assert own == choice_of(logits[inside], cells[inside], folds[inside])
        values = logits[~inside]
        assert (own.apply(values, SPACE) != values).any() == bool(own)
    kept = [set(one.temperatures) | set(one.steps) for one in checked.by_fold.values()]
    assert any(one != kept[0] for one in kept)  # the folds do differ in what they leave off
    held = logits.copy()
    for fold, own in checked.by_fold.items():
        held[folds == fold] = own.apply(logits[folds == fold], SPACE)
    assert checked.after["log_loss"] == pytest.approx(log_loss(probabilities(held, SPACE).ravel(), cells.ravel() == 1))


def test_maps_that_several_choices_need_are_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, cells = make_rows(100, 2.0)
    counted, original = [], fit_calibration._maps
    monkeypatch.setattr(fit_calibration, "_maps", lambda *given: counted.append(len(given[0])) or original(*given))
    fit_checked(logits, cells, SPACE, folds_of(100), 10.0)
    assert sorted(counted) == [40] * 10 + [60] * 10 + [80] * 5 + [100]
