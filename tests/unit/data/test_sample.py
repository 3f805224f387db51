import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.sample import ALL, NO_NODE, sample_file, sample_rows
from duobiao.errors import DataError
from duobiao.labels import LabelSpace

CELLS = st.tuples(st.lists(st.sampled_from("abcde"), unique=True), st.none() | st.sampled_from("甲乙"))
ROWS = st.lists(CELLS, min_size=1, max_size=40).map(
    lambda found: [Row(str(at), f"文{at}", context=node, labels=tuple(own)) for at, (own, node) in enumerate(found)]
)


@settings(deadline=None, max_examples=100)
@given(ROWS, st.integers(1, 8), st.integers(0, 3))
def test_every_label_gets_n_rows_or_all_it_has(rows: list[Row], n: int, seed: int):
    if not any(row.labels for row in rows):
        with pytest.raises(DataError, match="no row can be drawn per label"):
            sample_rows(rows, n, "label", seed)
        return
    sample = sample_rows(rows, n, "label", seed)
    assert len({row.id for row in sample.rows}) == len(sample.rows)
    assert [int(row.id) for row in sample.rows] == sorted(int(row.id) for row in sample.rows)
    for label, line in sample.report["categories"].items():
        there = sum(label in (row.labels or ()) for row in rows)
        drawn = sum(label in (row.labels or ()) for row in sample.rows)
        assert line == {"rows": there, "drawn": drawn, "short": max(n - there, 0)}
        assert drawn >= min(n, there)
    assert all(row.labels for row in sample.rows)
    assert sample.report["without_category"] == sum(not row.labels for row in rows)
    assert sample_rows(rows, n, "label", seed).rows == sample.rows


@settings(deadline=None, max_examples=50)
@given(ROWS, st.integers(1, 8))
def test_nodes_and_all_rows_are_counted_exactly(rows: list[Row], n: int):
    sample = sample_rows(rows, n, "node")
    for name, line in sample.report["categories"].items():
        there = sum((row.context or NO_NODE) == name for row in rows)
        assert (line["rows"], line["drawn"]) == (there, min(n, there))
    found = sample_rows(rows, n, "all")
    assert len(found.rows) == min(n, len(rows))
    assert list(found.report["categories"]) == [ALL]


def test_a_row_with_two_labels_counts_for_both():
    rows = [Row(str(at), "x", labels=("a", "b")) for at in range(20)]
    assert len(sample_rows(rows, 5).rows) == 5


def test_another_seed_draws_other_rows():
    rows = [Row(str(at), "x", labels=("a",)) for at in range(100)]
    assert sample_rows(rows, 10, seed=0).rows != sample_rows(rows, 10, seed=1).rows


def test_an_expected_label_without_a_row_is_told():
    rows = [Row("1", "x", labels=("a",))]
    line = sample_rows(rows, 3, space=LabelSpace(("a", "b"))).report["categories"]["b"]
    assert line == {"rows": 0, "drawn": 0, "short": 3}


def test_nothing_to_draw_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="at least one row"):
        sample_rows([Row("1", "x")], 0)
    with pytest.raises(DataError, match="no row can be drawn"):
        sample_rows([Row("1", "x")], 5)
    with pytest.raises(DataError, match="no row can be drawn"):
        sample_rows([], 5, "all")
    with pytest.raises(DataError, match="written as JSONL"):
        sample_file(tmp_path / "a.jsonl", tmp_path / "b.csv", n=1)


def test_a_file_is_sampled(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    records = [{"id": f"r{at}", "text": f"文{at}", "labels": ["a"], "别的": at} for at in range(20)]
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    sample = sample_file(path, tmp_path / "out.jsonl", n=4)
    again = read_rows(tmp_path / "out.jsonl")
    assert [(row.id, dict(row.extra)) for row in again] == [(row.id, dict(row.extra)) for row in sample.rows]
    assert len(again) == 4
    with pytest.raises(DataError, match="is the input itself"):
        sample_file(path, path, n=4)
