"""Single steps, by hand."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.clean import build_chain

MOBILE, LAND = "138" + "0" * 8, "010-8888" + "0000"


def with_check_digit(digits: str) -> str:
    """GB 11643: the weights are powers of two modulo 11."""
    total = sum(int(digit) * pow(2, 17 - at, 11) for at, digit in enumerate(digits))
    return digits + "10X98765432"[total % 11]


def with_luhn(digits: str) -> str:
    def total(number: str) -> int:
        doubled = [int(one) * (2 if at % 2 else 1) for at, one in enumerate(reversed(number))]
        return sum(one - 9 if one > 9 else one for one in doubled)

    return next(digits + str(last) for last in range(10) if total(digits + str(last)) % 10 == 0)


IDENTITY, BANK = with_check_digit("110101" + "19900307" + "000"), with_luhn("622202" + "0" * 11 + "1")
WRONG_IDENTITY = IDENTITY[:-1] + ("1" if IDENTITY[-1] != "1" else "2")
WRONG_BANK = BANK[:-1] + str((int(BANK[-1]) + 1) % 10)
SPOKEN = "一三八" + "零" * 8


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"我电话是{MOBILE}", "我电话是[电话]"),
        ("138-0000-" + "0000", "[电话]"),
        ("138 0000 " + "0000，谢谢", "[电话]，谢谢"),
        (f"+86 {MOBILE}", "[电话]"),
        (f"86{MOBILE}", "[电话]"),
        (f"打{LAND}吧", "打[电话]吧"),
        ("（010）8888" + "0000", "[电话]"),
        (f"2024-03-05 {MOBILE}", "2024-03-05 [电话]"),
        (f"tel:{MOBILE},", "tel:[电话],"),
        ("１３８" + "０" * 8, "[电话]"),
        (f"我是{SPOKEN}你打这个", "我是[电话]你打这个"),
        ("幺三八零零零零 零零零零", "[电话]"),
        ("幺三八 零零零零 零零零零", "[电话]"),
        (f"{MOBILE}、{MOBILE}", "[电话]、[电话]"),
        (f"身份证{IDENTITY}", "身份证[身份证]"),
        (IDENTITY, "[身份证]"),
        (WRONG_IDENTITY, WRONG_IDENTITY),
        (f"身份证号：{WRONG_IDENTITY}", "身份证号：[身份证]"),
        (BANK, "[银行卡]"),
        (" ".join([BANK[:4], BANK[4:8], BANK[8:12], BANK[12:16], BANK[16:]]), "[银行卡]"),
        (WRONG_BANK, WRONG_BANK),
        (f"卡号{WRONG_BANK}", "卡号[银行卡]"),
        (f"订单号{BANK}", f"订单号{BANK}"),
        ("京A12" + "345", "[车牌]"),
        ("车牌京A·12" + "345的", "车牌[车牌]的"),
        ("粤BD12" + "345", "[车牌]"),
        ("粤B1234" + "5D", "[车牌]"),
        ("沪a12" + "b34", "[车牌]"),
        ("abc.d@example.com谢谢", "[邮箱]谢谢"),
    ],
)
def test_personal_data_is_masked(text: str, found: str):
    assert build_chain(["mask"])(text) == found


NUMBERS = """
400-800-1234 2024年3月5日退款￥1,299.50元 2024-03-05 单号SF1029384756 20240305103000123456 新ABCDEF 新B超 一二三四五六七八九十
二零二四年三月五日 退款1299.00元 iPhone15Pro/256G 111111111111111111111111111111 95588 尾号0000 @我 a@b
"""


@pytest.mark.parametrize(
    "text", [*NUMBERS.split(), f"订单号{MOBILE}", f"运单编号：{MOBILE}", f"{MOBILE}.00元", "2024-03-05 10:30"]
)
def test_amounts_dates_and_order_numbers_are_not_masked(text: str):
    assert build_chain(["mask"])(text) == text


FILLED = """
嗯好的 好的 | 嗯，可以 可以 | 嗯不是 不是 | 嗯是的 是的 | 呃我现在在开会 我现在在开会 | 我呃现在不方便 我现在不方便
我，呃，现在不方便 我，现在不方便 | 我嗯明天有空 我明天有空 | 啊对 对 | 哦好的 好的 | 哎这个行 这个行 | 额我不知道 我不知道
那个我想问一下 我想问一下 | 那个那个快递没到 那个快递没到 | 那个那个我想问一下 我想问一下 | 就是说我现在没空 我现在没空
怎么说呢，还可以吧 还可以吧 | 呃呃呃那个请问一下 请问一下 | 方便，嗯，你说 方便，你说 | 呃嗯 嗯
"""
NOT_FILLED = """
嗯 嗯嗯 嗯， 呃 啊 啊？ 呃？ 嗯什么事 嗯你讲 嗯我是你讲 嗯是什么事 嗯，可以说是很糟糕 好啊 是啊 哎呀打错了 哦了，记下了
额度是多少 余额不足 他打呃了 呃逆 那个 那个那个 那个快递没到 那个不行 这个我不要 这个行 也就是说不行 就是说说而已
心是本体，就是说心是心脏
嗯。好的
"""


@pytest.mark.parametrize("pair", [one for line in FILLED.strip().splitlines() for one in line.split("|")])
def test_fillers_go(pair: str):
    text, found = pair.split()
    assert build_chain(["fillers"])(text) == found


@pytest.mark.parametrize("text", NOT_FILLED.split())
def test_what_may_be_an_answer_or_names_a_thing_is_no_filler(text: str):
    assert build_chain(["fillers"])(text) == text


@settings(deadline=None, max_examples=60)
@given(st.text("嗯呃啊哦那个这，。？ 我想问好是", max_size=12))
def test_fillers_never_empty_an_answer(text: str):
    said = any("\u4e00" <= char <= "\u9fff" for char in text)
    assert any("\u4e00" <= char <= "\u9fff" for char in build_chain(["fillers"])(text)) == said


@pytest.mark.parametrize(
    ("step", "text", "found"),
    [
        ("html", "<p>你好<br/>在吗</p>", " 你好 在吗 "),
        ("html", "价格&lt;100&nbsp;元", "价格<100\xa0元"),
        ("html", "<b>退</b>款<span class='a'>快</span>", "退款快"),
        ("html", "<SCRIPT>alert('<p>')</script>退款<style>p{}</style>", " 退款 "),
        ("html", "<!-- 旧 -->退款", " 退款"),
        ("html", "退款<!-- 没关", "退款<!-- 没关"),
        ("html", "&amp;lt;b&amp;gt;粗", "粗"),
        ("html", "<![CDATA[退款]]>", "退款"),
        ("html", "a<b且c>d，<小米>手机，A&B，?x=1&copy=2，&没有;", "a<b且c>d，<小米>手机，A&B，?x=1&copy=2，&没有;"),
        ("urls", "看http://t.cn/abc，谢谢", "看[链接]，谢谢"),
        ("urls", "看www.example.com吧，HTTPS://A.CN/b?x=1&y=2退款", "看[链接]吧，[链接]退款"),
        ("urls", "3:2，www，a://", "3:2，www，a://"),
        ("punctuation", "太差了！！！！真的吗？？", "太差了！真的吗？"),
        ("punctuation", "......等等…………——————-----", "...等等……——-"),
        ("punctuation", "等等……a--b，138****0000，？！？！", "等等……a--b，138****0000，？！？！"),
        ("nfkc", "ｉＰｈｏｎｅ１５，多少钱？（含税）；是：～…！", "iPhone15，多少钱？（含税）；是：～…！"),
        ("nfkc", "①退款￥１００％“好”、《书》。", "1退款￥100%“好”、《书》。"),
        ("halfwidth", "Ａ１，（好）！\u3000", "A1,(好)! "),
        ("fullwidth", "你好,在吗?退款(全部)", "你好，在吗？退款（全部）"),
        ("fullwidth", "1,299.50(a) 10:30 OK!", "1,299.50(a) 10:30 OK!"),
        ("simplified", "請問營業時間，頭髮，皇后，乾坤", "请问营业时间，头发，皇后，乾坤"),
        ("simplified", "屏幕打坏了，電話打坏了，明瞭答覆", "屏幕打坏了，电话打坏了，明了答复"),
        ("simplified", "林暐哲來了\ud800請", "林暐哲来了\ud800请"),
        ("keep_only", "3月5日，退款￥1,299元OK", "月日退款元"),
    ],
)
def test_what_a_step_does(step: str, text: str, found: str):
    assert build_chain([step]).works[0].run(text) == found


def test_simplified_text_is_left_alone_even_where_opencc_would_change_it():
    for text in ("打坏了", "沈思来了", "著名著作"):
        assert build_chain(["simplified"])(text) == text


def test_nfkc_misses_no_character():
    run = build_chain(["nfkc"]).works[0].run
    wrong = [code for code in range(0x30000) if run(chr(code)) != unicodedata.normalize("NFKC", chr(code))]
    assert {chr(code) for code in wrong} == set("，！？；：（）～…￥")


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_nfkc_is_that_of_unicode_but_for_kept_punctuation(text: str):
    kept = set("，！？；：（）～…￥")
    if not kept & set(text):
        assert build_chain(["nfkc"])(text) == unicodedata.normalize("NFKC", text)
    assert [c for c in build_chain(["nfkc"])(text) if c in kept] == [c for c in text if c in kept]
