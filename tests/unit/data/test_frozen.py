"""A later, larger export: old rows stay where they were."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.frozen import Frozen, freeze, read_frozen, write_frozen
from duobiao.data.rows import Row
from duobiao.data.split import Split, split_rows
from duobiao.data.units import text_key
from duobiao.errors import DataError


def rows_of(first: int, last: int, **changes: object) -> list[Row]:
    return [Row(f"r{at}", f"句{at}", labels=("x",) if at % 3 else ("y",), **changes) for at in range(first, last)]


def frozen_of(split: Split) -> Frozen:
    assert split.frozen is not None
    return split.frozen


def place(split: Split) -> dict[str, str]:
    return {row.id: name for name, part in split.parts.items() for row in part}


def test_old_rows_stay_and_new_ones_join(tmp_path: Path):
    first = split_rows(rows_of(0, 100), seed=1, freeze_them=True)
    write_frozen(tmp_path / "ids.json", frozen_of(first))
    known = read_frozen(tmp_path / "ids.json")
    assert known == frozen_of(first)
    second = split_rows(rows_of(0, 300)[::-1], seed=9, frozen=known, freeze_them=True)
    assert {id_: name for id_, name in place(second).items() if id_ in place(first)} == place(first)
    assert {name: len(part) for name, part in second.parts.items()} == {"train": 240, "dev": 30, "test": 30}
    report = second.report["frozen"]
    assert (report["kept"], report["followed"], report["distributed"], report["missing"]) == (100, 0, 200, 0)
    third = split_rows(rows_of(50, 300), frozen=frozen_of(second))
    assert place(third) == {id_: name for id_, name in place(second).items() if int(id_[1:]) >= 50}
    assert third.report["frozen"]["missing"] == 50


def test_rows_that_are_gone_keep_their_place_in_the_file():
    first = split_rows(rows_of(0, 50), freeze_them=True)
    second = split_rows(rows_of(40, 80), frozen=frozen_of(first), freeze_them=True)
    assert len(frozen_of(second).entries) == 80
    third = split_rows(rows_of(0, 80), frozen=frozen_of(second))
    assert {id_: name for id_, name in place(third).items() if int(id_[1:]) < 50} == place(first)


def test_a_new_row_follows_its_text_and_its_dialogue_even_if_the_old_row_is_gone():
    first = split_rows([*rows_of(0, 60), *rows_of(60, 90, group_id="电话")], freeze_them=True)
    there = place(first)
    test_row = next(row for row in first.parts["test"] if row.group_id is None)
    new = [Row("n1", f" {test_row.text}", labels=()), Row("n2", "没听过", labels=(), group_id="电话")]
    second = split_rows([*(row for row in rows_of(0, 60) if row != test_row), *new], frozen=frozen_of(first))
    assert place(second)["n1"] == "test"
    assert place(second)["n2"] == there["r60"]
    assert second.report["frozen"]["followed"] == 2


def test_what_belongs_to_two_splits_is_set_aside_with_the_reason():
    first = split_rows(rows_of(0, 90), freeze_them=True)
    train, test = first.parts["train"][0], first.parts["test"][0]
    dialogue = [Row("n1", train.text, group_id="g"), Row("n2", test.text, group_id="g"), Row("n3", "新", group_id="g")]
    second = split_rows([*rows_of(0, 90), *dialogue, Row("n4", "别的")], frozen=frozen_of(first))
    assert [row.id for row in second.aside] == ["n1", "n2", "n3"]
    assert place(second) | {"n4": ""} == place(first) | {"n4": ""}
    aside = second.report["frozen"]["aside"]
    assert [item["id"] for item in aside] == ["n1", "n2", "n3"]
    assert "a text of train and a text of test" in aside[0]["why"]
    assert second.report["on_both_sides"] == {"rows_by_text": 0, "rows_by_group": 0}


def test_changed_and_overlapping_old_rows_are_told_and_stay():
    first = split_rows(rows_of(0, 90), freeze_them=True)
    train, test = first.parts["train"][0], first.parts["test"][0]
    rows = [dataclasses.replace(row, text=test.text) if row == train else row for row in rows_of(0, 90)]
    second = split_rows(rows, frozen=frozen_of(first))
    assert place(second) == place(first)
    assert second.report["frozen"]["changed"] == [train.id]
    assert len(second.report["frozen"]["overlaps"]) == 2
    assert second.report["on_both_sides"]["rows_by_text"] == 2


def test_a_file_without_ids_is_known_by_its_texts():
    rows = [Row(str(at), f"句{at}", labels=("x",), source=f"f.csv: row {at}") for at in range(60)]
    first = split_rows(rows, freeze_them=True)
    assert all(entry.id is None for entry in frozen_of(first).entries)
    moved = [Row(str(at), f"句{59 - at}", labels=("x",), source=f"f.csv: row {at}") for at in range(60)]
    second = split_rows(moved, frozen=frozen_of(first))
    by_text = {row.text: name for name, part in first.parts.items() for row in part}
    assert {row.text: name for name, part in second.parts.items() for row in part} == by_text
    with pytest.raises(DataError, match="no ids to freeze"):
        split_rows(rows, freeze_them=True, together="group")
    named = split_rows(rows_of(0, 60), freeze_them=True)
    with pytest.raises(DataError, match="these have none"):
        split_rows(rows, frozen=frozen_of(named))


def test_ids_must_be_unique():
    with pytest.raises(DataError, match="1 ids are not unique") as caught:
        split_rows([*rows_of(0, 60), Row("r3", "又来")], freeze_them=True)
    assert "'r3'" in caught.value.problems[0]


def test_time_and_frozen_do_not_go_together():
    first = split_rows(rows_of(0, 60), freeze_them=True)
    with pytest.raises(DataError, match="cannot be continued by time"):
        split_rows(rows_of(0, 70), frozen=frozen_of(first), by="time")


CELLS = st.tuples(st.sampled_from([f"句{at}" for at in range(25)]), st.none() | st.sampled_from("abcdefgh"))


@settings(deadline=None, max_examples=80)
@given(st.lists(CELLS, min_size=8, max_size=30), st.lists(CELLS, max_size=20), st.integers(0, 2))
def test_however_the_export_grows_nothing_crosses(old, new, seed):
    rows = [Row(f"r{at}", text, labels=("x",), group_id=group) for at, (text, group) in enumerate(old + new)]
    try:
        first = split_rows(rows[: len(old)], seed=seed, freeze_them=True)
    except DataError:
        return
    second = split_rows(rows, seed=seed, frozen=frozen_of(first), freeze_them=True)
    there = place(second)
    assert {id_: there[id_] for id_ in place(first)} == place(first)
    assert len(there) + len(second.aside) == len(rows)
    assert second.report["on_both_sides"] == {"rows_by_text": 0, "rows_by_group": 0}
    texts = {text_key(row.text): name for name, part in second.parts.items() for row in part}
    groups = {row.group_id: name for name, part in second.parts.items() for row in part if row.group_id}
    for row in second.aside:  # only what really has two owners, directly or through its kin
        kin = [one for one in second.aside if one.group_id == row.group_id or text_key(one.text) == text_key(row.text)]
        assert kin
        assert texts or groups
    report = second.report["frozen"]
    assert report["kept"] + report["followed"] + report["distributed"] + len(report["aside"]) == len(rows)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"format": "duobiao-split", "version": 2, "together": "both", "splits": {"a": 1}, "rows": []}',
        '{"format": "duobiao-split", "version": 1, "together": "no", "splits": {"a": 1}, "rows": []}',
        '{"format": "duobiao-split", "version": 1, "together": "both", "splits": {"a": 1}, "rows": [["r", "b", "t", null]]}',
        '{"format": "duobiao-split", "version": 1, "together": "both", "splits": {"a": 1}, "rows": [["r", "a"]]}',
        '{"format": "duobiao-split", "version": 1, "together": "both", "splits": {"a": 1}, "rows": [[1, "a", "t", null]]}',
        '{"format": "duobiao-split", "version": 1, "together": "both", "splits": [], "rows": []}',
    ],
)
def test_a_file_that_holds_no_splits_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "ids.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_frozen(path)
    assert "--freeze" in caught.value.hint


def test_texts_are_not_in_the_file(tmp_path: Path):
    rows = [Row("r1", "我的电话是一三八", labels=()), Row("r2", "乙", labels=())]
    write_frozen(tmp_path / "ids.json", freeze(rows, [0, 1], {"a": 0.5, "b": 0.5}, "both"))
    content = (tmp_path / "ids.json").read_text(encoding="utf-8")
    assert "电话" not in content
    assert [row[:2] for row in json.loads(content)["rows"]] == [["r1", "a"], ["r2", "b"]]
