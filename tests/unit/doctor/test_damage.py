import pytest
from hypothesis import given
from hypothesis import strategies as st

from duobiao.doctor.damage import damage, mend

SOUND = [
    "你好，我要退货",
    "我们的东西坏了。",
    "联通的电话打不通",
    "价格￥100，尺寸5×3",
    "résumé 简历",
    "浣熊和涓涓细流",
    "鑫锘公司",
    "",
]


@pytest.mark.parametrize("text", SOUND)
def test_sound_text_is_neither_damaged_nor_changed(text: str):
    assert damage(text) is None
    assert mend(text) == text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("你好", "latin-1"), ("我要退货，谢谢您", "latin-1"), ("你好", "gb18030"), ("中文测试", "gb18030"), ("谢谢", "gb18030")],
)
def test_text_in_the_wrong_encoding_is_recognised_and_mended(text: str, wrong: str):
    garbled = text.encode("utf-8").decode(wrong)
    assert damage(garbled) is not None
    assert mend(garbled) == text


def test_windows_shows_bytes_of_its_own():
    assert mend("ä½\xa0å¥½ï¼Œæˆ‘è¦\x81é€€è´§") == "你好，我要退货"
    assert mend("浣犲ソ锛屾垜瑕侀€€璐э紝璋㈣阿") == "你好，我要退货，谢谢"


@pytest.mark.parametrize("text", ["锟斤拷锟斤拷你好", "烫烫烫烫", "半个字\ufffd", "鎴戜滑鐨勪笢瑗垮潖浜嗐?"])
def test_damage_that_lost_something_is_told_and_left_alone(text: str):
    assert damage(text) is not None
    assert mend(text) == text


@given(st.text())
def test_any_text_is_taken_and_what_is_mended_stays_mended(text: str):
    damage(text)
    once = mend(text)
    assert len(once) <= len(text)


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=20))
def test_every_chinese_text_that_was_read_as_latin_comes_back(text: str):
    assert mend(text.encode("utf-8").decode("latin-1")) == text
