import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.rows import Row
from duobiao.data.split import split_off
from duobiao.errors import DataError

QUICK = settings(deadline=None, max_examples=80)


def rows_of(texts: int, groups: int) -> st.SearchStrategy[list[Row]]:
    cells = st.tuples(st.integers(0, texts).map(str), st.none() | st.integers(0, groups).map(str))
    return st.lists(cells, min_size=2, max_size=30).map(
        lambda found: [Row(str(n), text, group_id=group) for n, (text, group) in enumerate(found)]
    )


ROWS = rows_of(25, 8) | rows_of(5, 3)


def families(rows: list[Row]) -> list[set[str]]:
    """Rows (by id) that share a text or a group, directly or through others; by plain repetition."""
    found = [{row.id} for row in rows]
    keys = {row.id: {f"t{row.text}"} | ({f"g{row.group_id}"} if row.group_id is not None else set()) for row in rows}
    joined = True
    while joined:
        joined = False
        for one in range(len(found)):
            for two in range(one + 1, len(found)):
                if any(keys[a] & keys[b] for a in found[one] for b in found[two]):
                    found[one] |= found.pop(two)
                    joined = True
                    break
            if joined:
                break
    return found


@QUICK
@given(ROWS, st.floats(0.05, 0.6), st.integers(0, 5))
def test_nothing_stands_on_both_sides(rows: list[Row], share: float, seed: int):
    kin = families(rows)
    wanted = round(len(rows) * share)
    if wanted == 0 or len(kin) == 1:
        with pytest.raises(DataError, match="too few rows to split"):
            split_off(rows, share, seed)
        return
    try:
        first, second = split_off(rows, share, seed)
    except DataError:
        assert len(rows) - max(map(len, kin)) < wanted  # only where one family is nearly all there is
        return
    assert sorted([*first, *second], key=lambda row: int(row.id)) == rows
    for part in (first, second):
        assert part
        assert [int(row.id) for row in part] == sorted(int(row.id) for row in part)  # file order
    sides = [{row.id for row in first}, {row.id for row in second}]
    assert all(any(family <= side for side in sides) for family in kin)
    assert wanted <= len(second) < wanted + max(map(len, kin))


def test_the_same_rows_are_always_split_alike():
    rows = [Row(str(n), f"文{n}") for n in range(50)]
    assert split_off(rows, 0.2) == split_off(rows, 0.2)
    assert len(split_off(rows, 0.2)[1]) == 10
    assert split_off(rows, 0.2, seed=1) != split_off(rows, 0.2, seed=2)


def test_a_text_and_a_group_of_the_same_name_are_not_kin():
    rows = [Row("1", "甲", group_id="乙"), Row("2", "乙", group_id="丙")]
    first, second = split_off(rows, 0.5)
    assert len(first) == len(second) == 1


def test_texts_tie_dialogues_together():
    rows = [Row("1", "好的", group_id="a"), Row("2", "再见", group_id="a"), Row("3", "好的", group_id="b"), Row("4", "x")]
    for seed in range(8):
        for part in split_off(rows, 0.25, seed):
            assert {row.id for row in part} in ({"1", "2", "3"}, {"4"})


def test_the_cure_for_too_few_rows_is_a_dev_file():
    with pytest.raises(DataError) as caught:
        split_off([Row("1", "一", group_id="d"), Row("2", "二", group_id="d")], 0.5)
    assert "dev file" in caught.value.hint


LABELLED = st.lists(st.tuples(st.integers(0, 12).map(str), st.sets(st.sampled_from("甲乙丙丁"))), min_size=2, max_size=40)


@QUICK
@given(LABELLED, st.floats(0.05, 0.6), st.integers(0, 5))
def test_no_label_is_lost_to_the_part_that_is_split_off(cells: list[tuple[str, set[str]]], share: float, seed: int):
    rows = [Row(str(n), text, labels=tuple(sorted(labels))) for n, (text, labels) in enumerate(cells)]
    try:
        first, second = split_off(rows, share, seed)
    except DataError:
        return
    assert {label for row in second for label in row.labels or ()} <= {label for row in first for label in row.labels or ()}


def test_the_one_row_of_a_label_is_learned_from():
    rows = [Row(str(n), f"文{n}", labels=("多",)) for n in range(30)] + [Row("30", "少", labels=("少",))]
    for seed in range(20):
        first, second = split_off(rows, 0.3, seed)
        assert rows[-1] in first
        assert len(second) == 9
