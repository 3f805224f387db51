"""Scores against scipy, scikit-learn and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from sklearn.metrics import mutual_info_score

from duobiao.features.scores import chi_squared, log_odds, mutual_information


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Rows with the word inside and outside, rows inside and outside."""
    rows_in, rows_out = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    return draw(st.integers(0, rows_in)), draw(st.integers(0, rows_out)), rows_in, rows_out


@given(table=tables())
def test_chi_squared_is_scipys(table: tuple[int, int, int, int]) -> None:
    inside, outside, rows_in, rows_out = table
    (found,) = chi_squared(np.array([inside], float), np.array([outside], float), rows_in, rows_out)
    if inside + outside in (0, rows_in + rows_out):
        assert found == 0
        return
    cells = [[inside, rows_in - inside], [outside, rows_out - outside]]
    assert found == pytest.approx(chi2_contingency(cells, correction=False).statistic, abs=1e-8)


@given(table=tables())
def test_mutual_information_is_scikit_learns(table: tuple[int, int, int, int]) -> None:
    inside, outside, rows_in, rows_out = table
    (found,) = mutual_information(np.array([inside], float), np.array([outside], float), rows_in, rows_out)
    there = [1] * inside + [0] * (rows_in - inside) + [1] * outside + [0] * (rows_out - outside)
    assert found == pytest.approx(mutual_info_score(there, [1] * rows_in + [0] * rows_out), abs=1e-9)


def test_log_odds_by_hand() -> None:
    # Of 100 occurrences inside 10 are the word, of 200 outside 2; alpha_w = 5 of alpha_0 = 50.
    # delta = ln(15 / 135) - ln(7 / 243) = -2.1972246 + 3.5471513; variance = 1/15 + 1/7
    found = log_odds(np.array([10.0]), np.array([2.0]), 100, 200, np.array([5.0]), 50)
    assert found[0] == pytest.approx(1.3499267 / math.sqrt(1 / 15 + 1 / 7), abs=1e-6)
    assert found[0] == pytest.approx(2.949127, abs=1e-5)


@given(table=tables(), alpha=st.floats(0.01, 20), strength=st.floats(21, 500))
def test_log_odds_turns_its_sign_when_the_sides_are_exchanged(
    table: tuple[int, int, int, int], alpha: float, strength: float
) -> None:
    one, two, all_in, all_out = table
    prior = np.array([alpha])
    there = log_odds(np.array([one], float), np.array([two], float), all_in, all_out, prior, strength)
    back = log_odds(np.array([two], float), np.array([one], float), all_out, all_in, prior, strength)
    assert there[0] == pytest.approx(-back[0], abs=1e-9)


def test_a_stronger_prior_believes_rare_words_less() -> None:
    counts = np.array([3.0]), np.array([0.0])
    weak = log_odds(*counts, 100, 100, np.array([0.1]), 10)
    strong = log_odds(*counts, 100, 100, np.array([10.0]), 1000)
    assert 0 < strong[0] < weak[0]
