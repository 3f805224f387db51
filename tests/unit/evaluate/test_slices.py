"""Scores of slices, and which of them are flagged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from duobiao.evaluate.cuts import Cut
from duobiao.evaluate.metrics import score
from duobiao.evaluate.slices import slice_scores
from duobiao.labels import LabelSpace

SPACE = LabelSpace(("a", "b", "c"))


def answers(wrong: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth, and decisions that are wrong in a cell with a chance by row."""
    random = np.random.default_rng(seed)
    cells = (random.random((len(wrong), 3)) < 0.4).astype(np.int8)
    decided = (cells == 1) ^ (random.random(cells.shape) < wrong[:, None])
    cells[random.random(cells.shape) < 0.1] = -1
    return cells, decided


def run(wrong: np.ndarray, ids: np.ndarray, units: np.ndarray | None = None, **options: Any) -> list[dict[str, Any]]:
    names = [f"s{number}" for number in range(ids.max() + 1)]
    units = np.arange(len(ids)) if units is None else units
    return slice_scores(*answers(wrong, options.pop("seed", 0)), SPACE, {"t": Cut(names, ids)}, units, draws=400, **options)[
        "t"
    ]


def test_scores_are_those_of_the_rows_of_the_slice_and_of_the_rest() -> None:
    ids = np.arange(200) % 3
    cells, decided = answers(np.full(200, 0.2))
    for place, line in enumerate(run(np.full(200, 0.2), ids)):
        inside, outside = ids == place, ids != place
        own = score(cells[inside], decided[inside], SPACE)
        assert (line["name"], line["rows"], line["units"]) == (f"s{place}", inside.sum(), inside.sum())
        assert (line["micro_f1"], line["macro_f1"]) == pytest.approx((own["micro_f1"], own["macro_f1"]))
        assert line["rest"] == pytest.approx(score(cells[outside], decided[outside], SPACE)["micro_f1"])
        assert line["low"] < line["micro_f1"] < line["high"]


def test_macro_f1_of_a_slice_is_over_labels_that_occur_there() -> None:
    cells = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1]], dtype=np.int8)
    decided = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 0]], dtype=bool)
    cut = {"t": Cut(["x", "y"], np.array([0, 0, 1]))}
    found = slice_scores(cells, decided, SPACE, cut, np.arange(3))["t"]
    assert [line["macro_f1"] for line in found] == pytest.approx([2 / 3, 1 / 2])


def test_a_slice_that_is_much_worse_than_the_rest_is_flagged() -> None:
    ids = np.arange(600) % 4
    found = run(np.where(ids == 2, 0.4, 0.1), ids)
    assert found[2]["differs"]
    assert found[2]["high"] < found[2]["rest"]


def test_equal_slices_are_mostly_not_flagged() -> None:
    """40 tables of 6 equal slices: at 5 % a table, some 2 are flagged by chance; 8 or more have p < 0.001."""
    flagged = sum(any(line["differs"] for line in run(np.full(300, 0.2), np.arange(300) % 6, seed=seed)) for seed in range(40))
    assert flagged < 8


def test_a_small_slice_is_shown_but_never_flagged() -> None:
    ids = (np.arange(300) < 29).astype(np.int64)
    wrong = np.where(ids == 1, 0.9, 0.05)
    assert [line["differs"] for line in run(wrong, ids)] == [True, False]
    assert run(wrong, ids)[1]["high"] < run(wrong, ids)[1]["rest"]
    ids[29] = 1
    assert run(np.where(ids == 1, 0.9, 0.05), ids)[1]["differs"]


def test_rows_of_few_dialogues_are_few_units_however_many_rows() -> None:
    ids = (np.arange(300) < 100).astype(np.int64)
    found = run(np.where(ids == 1, 0.6, 0.05), ids, np.arange(300) // 5)  # 20 dialogues of the slice
    assert (found[1]["rows"], found[1]["units"], found[1]["differs"]) == (100, 20, False)
    assert found[1]["low"] is not None
    found = run(np.where(ids == 1, 0.6, 0.05), ids, np.arange(300) // 20)
    assert (found[1]["units"], found[1]["low"], found[1]["high"]) == (5, None, None)


def test_a_slice_without_a_mistake_is_flagged_only_if_it_is_large() -> None:
    for rows, differs in ((30, False), (400, True)):
        ids = (np.arange(1000) < rows).astype(np.int64)
        line = run(np.where(ids == 1, 0.0, 0.02), ids)[1]
        assert (line["micro_f1"], line["high"], line["differs"]) == (1.0, 1.0, differs)
        assert line["low"] < 1


def test_a_dialogue_that_lies_in_two_slices_is_drawn_into_both() -> None:
    """Where both halves of every dialogue share its luck, their difference is surer than two independent halves would tell."""
    random = np.random.default_rng(1)
    luck = np.repeat(random.random(120) < 0.5, 20)
    ids = np.arange(2400) % 2
    wrong = np.where(luck, 0.45, 0.02) + np.where(ids == 1, 0.05, 0.0)
    together = run(wrong, ids, np.repeat(np.arange(120), 20))
    assert together[1]["differs"]
    gap, width = together[0]["micro_f1"] - together[1]["micro_f1"], together[1]["high"] - together[1]["low"]
    assert width > gap, "the intervals of the two overlap by far"


def test_one_slice_has_no_rest_and_without_draws_there_is_no_flag() -> None:
    line = run(np.full(50, 0.2), np.zeros(50, np.int64))[0]
    assert (line["rest"], line["differs"]) == (None, False)
    cells, decided = answers(np.full(50, 0.2))
    cut = {"t": Cut(["x", "y"], np.arange(50) % 2)}
    for line in slice_scores(cells, decided, SPACE, cut, np.arange(50), draws=0)["t"]:
        assert (line["low"], line["high"], line["differs"]) == (None, None, False)


def test_a_slice_in_which_nothing_is_known_has_no_interval() -> None:
    cells, decided = answers(np.full(80, 0.2))
    cells[40:] = -1
    cut = {"t": Cut(["known", "unknown"], (np.arange(80) >= 40).astype(np.int64))}
    known, unknown = slice_scores(cells, decided, SPACE, cut, np.arange(80))["t"]
    assert (unknown["micro_f1"], unknown["low"], unknown["differs"]) == (0.0, None, False)
    assert (known["rest"], known["differs"]) == (None, False)
