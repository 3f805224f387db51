import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.rows import Row, check_texts, content_digest, rows_digest, targets
from duobiao.errors import DataError
from duobiao.labels import UNASKED, UNKNOWN, Group, LabelSpace

SPACE = LabelSpace(("物流", "质量"), (Group("身份", ("是", "否"), contexts=("身份确认",)),))
WORDS = st.text(st.characters(exclude_categories=["Cc"]), max_size=4)  # lone surrogates included


def test_cells_of_rows_stand_in_row_order():
    rows = [
        Row("1", "一", labels=("质量",), unknown=("物流",)),
        Row("2", "二", "身份确认", labels=("否",)),
        Row("3", "三", "身份确认", labels=()),
    ]
    found = targets(rows, SPACE)
    assert found.dtype == np.int8
    assert found.tolist() == [[UNKNOWN, 1, UNASKED, UNASKED], [0, 0, 0, 1], [0, 0, UNKNOWN, UNKNOWN]]
    assert targets([], SPACE).shape == (0, 4)


def test_all_rows_that_do_not_fit_the_space_are_named_at_once():
    rows = [
        Row("1", "一", labels=("价格",), source="a.csv: row 2"),
        Row("2", "二", labels=("物流",), source="a.csv: row 3"),
        Row("3", "三", source="a.csv: row 4"),
        Row("x4", "四", labels=("是", "否")),
    ]
    with pytest.raises(DataError, match="4 problems between the rows and the label space") as caught:
        targets(rows, SPACE)
    assert caught.value.problems == (
        "a.csv: row 2: label '价格' is not in the label space",
        "a.csv: row 4: has no labels",
        "row x4: group '身份' is exclusive, but the row has 是, 否",
        "row x4: group '身份' is not asked of context None, but the row has 是",
    )
    assert "so that they fit the label space" in caught.value.hint
    assert "in a column 'labels'" in caught.value.hint
    with pytest.raises(DataError) as unfit:
        targets(rows[:1], SPACE)
    assert "column" not in unfit.value.hint
    with pytest.raises(DataError, match="1 rows have no labels") as bare:
        targets(rows[2:3], SPACE)
    assert "in a column 'labels'" in bare.value.hint
    assert "--labels" not in f"{caught.value.hint} {unfit.value.hint} {bare.value.hint}"


def test_rows_without_text_are_named_at_once():
    rows = [Row("1", "一"), Row("2", " \n\u3000", source="a.csv: row 3"), Row("x3", "")]
    with pytest.raises(DataError, match="2 rows for training have no text") as caught:
        check_texts(rows, "training")
    assert caught.value.problems == ("a.csv: row 3: the text is empty", "x3: the text is empty")
    with pytest.raises(DataError, match="there are no rows for dev"):
        check_texts([], "dev")
    check_texts(rows[:1], "training")


@settings(deadline=None, max_examples=80)
@given(WORDS, st.none() | WORDS, WORDS, st.none() | WORDS)
def test_a_content_has_one_name_of_its_own(text: str, context: str | None, other: str, elsewhere: str | None):
    same = (text, context) == (other, elsewhere)
    assert (content_digest(text, context) == content_digest(other, elsewhere)) == same
    assert content_digest(text, context) == content_digest(text, context)
    assert len(content_digest(text, context)) == 32


@pytest.mark.parametrize(
    ("one", "two"), [(("a", None), ("a", "")), (("ab", "c"), ("b", "ca")), (("", "a"), ("a", None)), (("", "a"), ("a", ""))]
)
def test_text_and_context_do_not_run_into_each_other(one: tuple[str, str | None], two: tuple[str, str | None]):
    assert content_digest(*one) != content_digest(*two)


ROW = Row("1", "一", "身份确认", ("是", "物流"), ("质量",), "d1", {"渠道": "电话"}, "a.csv: row 2")


def test_the_name_of_rows_changes_with_what_is_learned():
    changes = [
        {"text": "二"},
        {"context": None},
        {"labels": ("是",)},
        {"labels": None},
        {"labels": ()},
        {"unknown": ()},
        {"labels": ("是",), "unknown": ("物流", "质量")},
    ]
    names = {rows_digest([dataclasses.replace(ROW, **change)]) for change in changes}
    names |= {rows_digest([ROW]), rows_digest([ROW, ROW]), rows_digest([])}
    assert len(names) == len(changes) + 3


def test_the_name_of_rows_does_not_change_with_what_is_not_learned():
    other = dataclasses.replace(ROW, id="9", labels=("物流", "是"), group_id=None, extra={}, source="")
    assert rows_digest([other]) == rows_digest([ROW])


def test_the_order_of_rows_counts():
    other = dataclasses.replace(ROW, text="二")
    assert rows_digest([ROW, other]) != rows_digest([other, ROW])
