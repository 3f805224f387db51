import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.rows import Row
from duobiao.data.units import Together, text_digest, text_key, tied_units

TEXTS = st.sampled_from(["好的", "好 的", "ＯＫ", "ok", "不用了", "再见", "再见。", "谁啊"])
ROWS = st.lists(st.tuples(TEXTS, st.none() | st.sampled_from("abcd")), max_size=20).map(
    lambda found: [Row(str(at), text, group_id=group) for at, (text, group) in enumerate(found)]
)


def slow_units(rows: list[Row], together: Together) -> list[int]:
    """Components by plain repetition, named by their first row."""
    names = list(range(len(rows)))
    for _ in rows:
        for one, first in enumerate(rows):
            for two, second in enumerate(rows):
                same_text = together != "group" and text_key(first.text) == text_key(second.text)
                same_group = together != "text" and first.group_id is not None and first.group_id == second.group_id
                if same_text or same_group:
                    names[one] = names[two] = min(names[one], names[two])
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


@settings(deadline=None, max_examples=80)
@given(ROWS, st.sampled_from(["both", "group", "text"]))
def test_units_are_the_connected_components(rows: list[Row], together: Together):
    assert tied_units(rows, together).tolist() == slow_units(rows, together)


@pytest.mark.parametrize("other", ["好的", " 好的\n", "好\u200b的", "好　的", "好\x01的", "\ud800好的"])
def test_texts_that_look_the_same_are_the_same(other: str):
    assert text_key(other) == text_key("好的")
    assert text_digest(other) == text_digest("好的")


def test_width_and_case_make_no_difference_but_digits_and_punctuation_do():
    assert text_key("ＡＢＣ１２") == text_key("abc12")
    assert text_key("改到3点") != text_key("改到8点")
    assert text_key("好的") != text_key("好的？")


def test_a_lone_surrogate_has_a_digest():
    assert len(text_digest("坏\ud800")) == 16
