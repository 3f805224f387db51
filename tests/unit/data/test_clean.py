import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.config import InputSettings
from duobiao.data.clean import STEPS, build_chain
from duobiao.errors import ConfigError

clean = build_chain(InputSettings().clean)
QUICK = settings(deadline=None, max_examples=80)
CHARACTERS = st.one_of(st.characters(), st.sampled_from("\u200b\u200e\u202e\ufeff\u00ad\u0000\x85\u3000\ud800 \t\r\n你好a1"))
TEXTS = st.lists(CHARACTERS, max_size=20).map("".join)


@QUICK
@given(TEXTS)
def test_cleaning_twice_is_cleaning_once(text: str):
    assert clean(clean(text)) == clean(text)


@QUICK
@given(TEXTS)
def test_cleaning_only_takes_away_white_space_and_what_nobody_sees(text: str):
    kept = [c for c in clean(text) if not c.isspace()]
    assert kept == [c for c in STEPS["invisible"](text) if not c.isspace()]
    removed = set(text) - set(STEPS["invisible"](text))
    assert not any(c.isalnum() or "\u4e00" <= c <= "\u9fff" for c in removed)


@QUICK
@given(TEXTS)
def test_clean_text_can_be_stored_and_stands_on_one_line(text: str):
    found = clean(text)
    found.encode("utf-8")  # no lone surrogates
    assert len(found.splitlines()) <= 1
    assert found == found.strip()
    assert "  " not in found


@pytest.mark.parametrize(
    "text",
    ["2024年3月5日退款￥1,299.50元，电话400-800-1234", "iPhone15 Pro/256G，单号SF1029384756", "满意👍！！（真的）", "a=b&c≤d"],
)
def test_dates_amounts_telephone_numbers_and_signs_stay(text: str):
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("  我的\u3000\u3000快递\r\n\r\n没到\t", "我的 快递 没到"),
        ("快\u200b递\ufeff没\u202e到\u00ad", "快递没到"),
        ("坏\ud83d的\x00字\x7f符\x9f", "坏的字符"),
        ("\u200b \ufeff", ""),
    ],
)
def test_what_goes(text: str, found: str):
    assert clean(text) == found


def test_steps_are_applied_in_the_given_order_and_no_others():
    text = " a \u200b b "
    assert build_chain([])(text) == text
    assert build_chain(["invisible"])(text) == " a  b "
    assert build_chain(["whitespace"])(text) == "a \u200b b"
    assert build_chain(["whitespace", "invisible"])(text) == "a  b"
    assert build_chain(["invisible", "whitespace"])(text) == "a b"


def test_unknown_steps_are_all_named_with_the_known_ones():
    with pytest.raises(ConfigError, match="no such step: lower, html") as caught:
        build_chain(["lower", "whitespace", "html"])
    assert caught.value.hint == "steps are invisible, whitespace"
