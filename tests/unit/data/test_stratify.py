"""The share of each label in each split."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import duobiao
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.split import split_rows
from duobiao.data.stratify import strata_of, stratified_folds, stratify
from duobiao.data.units import tied_units
from duobiao.labels import LabelSpace

SHARES = [0.8, 0.1, 0.1]


def rows_like_calls(number: int, labels: int, seed: int = 0, dialogues: int = 0) -> list[Row]:
    """Rows with 0 to 3 labels, label k a tenth as frequent as label 0 or rarer, in five contexts."""
    chance = np.random.default_rng(seed)
    weights = 1 / np.arange(1, labels + 1) ** 1.5
    found = []
    for at in range(number):
        own = chance.choice(labels, size=chance.integers(0, 4), p=weights / weights.sum())
        names = tuple(f"l{name}" for name in sorted(set(own.tolist())))
        group = f"d{chance.integers(dialogues)}" if dialogues else None
        found.append(Row(str(at), f"文{at}", context=f"节点{at % 5}", labels=names, group_id=group))
    return found


@lru_cache
def best_possible(rows: int) -> float:
    """The smallest distance that whole rows allow."""
    cuts = [(a, b, rows - a - b) for a in range(rows + 1) for b in range(rows + 1 - a) if abs(a - 0.8 * rows) < 3]
    return min(max(abs(cut[at] / rows - SHARES[at]) for at in range(3)) for cut in cuts)


def excess(rows: list[Row], split: list[int]) -> dict[str, float]:
    """Label -> how much further its shares are from the wanted ones than they need to be."""
    counts: dict[str, np.ndarray] = {}
    for row, at in zip(rows, split, strict=True):
        for label in row.labels or ():
            counts.setdefault(label, np.zeros(3))[at] += 1
    return {
        label: float(np.abs(count / count.sum() - SHARES).max()) - best_possible(int(count.sum()))
        for label, count in counts.items()
        if count.sum() <= 100
    }


@pytest.mark.parametrize("dialogues", [0, 400])
def test_rare_labels_come_out_far_better_than_by_lot(dialogues: int):
    rows = rows_like_calls(2000, 60, dialogues=dialogues)
    units = tied_units(rows)
    counts: dict[str, int] = {}
    for row in rows:
        for label in row.labels or ():
            counts[label] = counts.get(label, 0) + 1
    rare = [label for label, count in counts.items() if 5 <= count <= 40]
    assert len(rare) >= 15
    chosen = stratify([strata_of(row) for row in rows], units, SHARES)
    ours = excess(rows, [chosen[unit] for unit in units])
    lots = []
    for seed in range(10):
        by_lot = np.random.default_rng(seed).choice(3, size=units.max() + 1, p=SHARES)
        lots.append(excess(rows, by_lot[units].tolist()))
    ours_rare = np.mean([ours[label] for label in rare])
    lot_rare = np.mean([[found[label] for label in rare] for found in lots])
    assert ours_rare < 0.4 * lot_rare


def test_a_label_of_ten_rows_is_dealt_exactly():
    rows = [Row(str(at), f"文{at}", labels=("少",) if at % 100 == 0 else ()) for at in range(1000)]
    parts = split_rows(rows, seed=3).parts
    assert [sum("少" in (row.labels or ()) for row in part) for part in parts.values()] == [8, 1, 1]
    assert [len(part) for part in parts.values()] == [800, 100, 100]


def test_a_label_is_spread_in_each_of_its_contexts():
    """Alone, labels and contexts could be right although all rows of one label in one node stand in train."""
    cells = [("甲", "a")] * 20 + [("甲", "b")] * 80 + [("乙", "a")] * 80 + [("乙", "b")] * 20
    rows = [Row(str(at), f"文{at}", context=node, labels=(label,)) for at, (node, label) in enumerate(cells)]
    for seed in range(5):
        parts = split_rows(rows, seed=seed).parts
        for name in ("dev", "test"):
            assert sum((row.context, row.labels) == ("甲", ("a",)) for row in parts[name]) == 2
            assert sum((row.context, row.labels) == ("乙", ("b",)) for row in parts[name]) == 2


def test_rows_without_labels_are_dealt_by_lot_not_in_file_order():
    rows = [Row(str(at), f"文{at}") for at in range(200)]
    first, second = (split_rows(rows, seed=seed).parts for seed in (0, 1))
    assert [len(part) for part in first.values()] == [160, 20, 20]
    assert first["test"] != second["test"]
    assert sum(int(row.id) < 100 for row in first["test"]) in range(4, 17)


def test_none_of_a_group_and_unlabelled_rows_are_spread_too():
    space = LabelSpace.from_dict({"labels": ["a"], "groups": {"升级": {"labels": ["要求"], "at_most_one": True}}})
    rows = [Row(str(at), f"文{at}", labels=("a", "要求") if at % 5 else ("a",)) for at in range(100)]
    rows += [Row(str(at), f"文{at}") for at in range(100, 120)]
    parts = split_rows(rows, space=space).parts
    assert [sum(row.labels is None for row in part) for part in parts.values()] == [16, 2, 2]
    assert [sum(row.labels == ("a",) for row in part) for part in parts.values()] == [16, 2, 2]


def test_large_units_go_first_and_small_ones_fill_up():
    groups = [f"d{at // 10}" if at >= 70 else f"e{at}" for at in range(100)]  # three of ten rows, at the end
    rows = [Row(str(at), f"文{at}", labels=("x",), group_id=group) for at, group in enumerate(groups)]
    for seed in range(5):
        assert [len(part) for part in split_rows(rows, seed=seed).parts.values()] == [80, 10, 10]


def test_settled_units_stay_and_are_made_up_for():
    rows = [Row(str(at), f"文{at}", labels=("x",)) for at in range(100)]
    placed = dict.fromkeys(range(30), 2)
    chosen = stratify([strata_of(row) for row in rows], tied_units(rows), SHARES, placed=placed)
    assert chosen[:30] == [2] * 30
    assert 2 not in chosen[30:]
    assert chosen.count(0) in (62, 63)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.lists(st.sampled_from("abcd"), unique=True), st.integers(0, 12)), min_size=1, max_size=40),
    st.integers(0, 3),
)
def test_every_unit_gets_one_split_and_the_seed_decides(cells: list[tuple[list[str], int]], seed: int):
    rows = [Row(str(at), str(text), labels=tuple(labels)) for at, (labels, text) in enumerate(cells)]
    units = tied_units(rows)
    strata = [strata_of(row) for row in rows]
    chosen = stratify(strata, units, SHARES, seed)
    assert len(chosen) == units.max() + 1
    assert set(chosen) <= {0, 1, 2}
    assert stratify(strata, units, SHARES, seed) == chosen


def test_folds_are_equal_splits_of_whole_dialogues():
    rows = rows_like_calls(400, 8, dialogues=90)
    space, units = LabelSpace(tuple(f"l{at}" for at in range(8))), tied_units(rows)
    folds = stratified_folds(rows, units, space, 5, seed=2)
    chosen = stratify([strata_of(row, space) for row in rows], units, [0.2] * 5, 2)
    assert folds.tolist() == [chosen[unit] for unit in units.tolist()]
    assert all(len(set(folds[units == unit].tolist())) == 1 for unit in units.tolist())
    assert set(folds.tolist()) == set(range(5))


def test_the_seed_changes_ties():
    rows = [Row(str(at), f"文{at}", labels=("x",)) for at in range(100)]
    strata, units = [strata_of(row) for row in rows], tied_units(rows)
    assert stratify(strata, units, SHARES, 0) != stratify(strata, units, SHARES, 1)


def test_common_labels_come_out_even_too():
    """Dealing rare strata first leaves the common ones to chance; levelling mends that."""
    rows = read_rows(Path(duobiao.__file__).parent / "builtin" / "hotline" / "train.jsonl")
    report = split_rows(rows).report
    assert all(line["rows"] > 90 for line in report["labels"].values())
    assert report["largest_deviation"]["deviation"] < 0.015
