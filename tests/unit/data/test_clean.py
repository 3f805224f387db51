import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao import progress
from duobiao.config import CLEAN_STEPS, InputSettings, LinearConfig, parse_config
from duobiao.data.clean import STEPS, TRANSCRIPTS, build_chain
from duobiao.errors import ConfigError

clean = build_chain(InputSettings().clean)
for_calls = build_chain(TRANSCRIPTS)
QUICK = settings(deadline=None, max_examples=80)
WRITTEN = """
你好 a 1 ， ！ ？ （ ） … ～ 。 , ! ( ) . - & < > / ; amp; &lt; &nbsp; <b> </b> <br> <!-- --> <script> </script> &#38; ＜ ｂ ＞
http:// www. a.cn @ 138 0000 0000 一三八零 零零零零 京 A 12345 嗯 呃 啊 那个 就是说 我想问 是的 我 我们 我现在 看看 谢谢 对 不
好 一 第 é ① ﬁ 請 問 藴 坏 、 、、 ー 🙏 ℃
"""
UNSEEN = "\u200b\u200e\u202e\ufeff\u00ad\u0000\x85\u3000\ud800\udc00\t\r\n\u0301 "
PIECES = st.sampled_from([*WRITTEN.split(), *UNSEEN])
CHARACTERS = st.one_of(st.characters(), PIECES)
TEXTS = st.lists(CHARACTERS, max_size=20).map("".join)
EVERY = [name for name in STEPS if name != "keep_only"]


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


@settings(deadline=None, max_examples=120)
@given(TEXTS)
def test_the_chain_for_calls_changes_nothing_in_what_it_has_cleaned(text: str):
    found = for_calls(text)
    assert for_calls(found) == found
    assert for_calls.traced(text)[0] == found
    found.encode("utf-8")


@pytest.mark.parametrize("name", STEPS)
def test_every_step_takes_any_text_and_is_done_after_one_time(name: str):
    step = build_chain([name]).works[0]

    @settings(deadline=None, max_examples=50)
    @given(TEXTS)
    def holds(text: str):
        found = step.run(text)
        assert step.run(found) == found
        assert isinstance(found, str)

    holds()


@pytest.mark.parametrize("name", STEPS)
def test_a_chain_that_looks_first_gives_what_its_step_gives(name: str):
    """What a step says it looks for must be enough to know that it has nothing to do."""
    chain, step = build_chain([name]), build_chain([name]).works[0]

    @settings(deadline=None, max_examples=60)
    @given(TEXTS)
    def holds(text: str):
        assert chain(text) == step.run(text)

    holds()


@pytest.mark.parametrize("name", ["invisible", "nfkc", "halfwidth", "whitespace", "simplified"])
def test_a_chain_that_looks_first_misses_no_single_character(name: str):
    chain, step = build_chain([name]), build_chain([name]).works[0].run
    assert [hex(code) for code in [*range(0x10000), *range(0x10000, 0x110000, 97)] if chain(chr(code)) != step(chr(code))] == []


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_parameters_in_the_configuration_and_a_line_that_says_what_it_does(name: str):
    assert set(STEPS) == set(CLEAN_STEPS)
    assert 10 < len(STEPS[name].description) < 110


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
        ("\u2066快递\u2069", "快递"),
        ("\u200b \ufeff", ""),
    ],
)
def test_what_goes(text: str, found: str):
    assert clean(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("呃我我现在在开会呢你你过一个小时再打吧", "我现在在开会呢你过一个小时再打吧"),
        ("那个那个我想问一下，我的ｉＰｈｏｎｅ１５怎么还没到！！！", "我想问一下，我的iPhone15怎么还没到！"),
        ("<p>請打１３８００００００００，謝謝&nbsp;</p>", "请打[电话]，谢谢"),
        ("&lt;b&gt;是的是的&lt;/b&gt;", "是的"),
        ("嗯", "嗯"),
        ("对对，对对", "对"),
        ("", ""),
    ],
)
def test_the_chain_for_calls(text: str, found: str):
    assert for_calls(text) == found


def test_steps_are_applied_in_the_given_order_and_no_others():
    text = " a \u200b b "
    assert build_chain([])(text) == text
    assert build_chain(["invisible"])(text) == " a  b "
    assert build_chain(["whitespace"])(text) == "a \u200b b"
    assert build_chain(["invisible", "whitespace"])(text) == "a b"
    assert build_chain(["urls", "keep_only"])("看http://a.cn") == "看链接"
    assert build_chain(["keep_only", "urls"])("看http://a.cn") == "看"


def test_a_chain_goes_on_until_the_text_stays_as_it_is():
    """A step may make work for one before it."""
    assert build_chain(["whitespace", "invisible"])(" a \u200b b ") == "a b"
    assert build_chain(["html", "nfkc"])("＜b＞退") == "退"


def test_a_trace_names_the_steps_that_changed_something():
    text, changes = for_calls.traced("呃 我我现在忙！！")
    assert text == "我现在忙！"
    assert changes == [
        ("fillers", "呃 我我现在忙！！", "我我现在忙！！"),
        ("stutter", "我我现在忙！！", "我现在忙！！"),
        ("punctuation", "我现在忙！！", "我现在忙！"),
    ]
    assert for_calls.traced("我现在忙！") == ("我现在忙！", [])


def test_unknown_steps_are_all_named_with_the_known_ones():
    with pytest.raises(ConfigError) as caught:
        build_chain(["lower", "whitespace", "stem", {"mask": {"kinds": ["fax"], "word": "x"}}, 3])  # type: ignore[list-item]
    for name in ("no such step: lower", "no such step: stem", "kinds", "word", "3 is no step"):
        assert name in str(caught.value), name
    assert "invisible" in caught.value.hint


def test_a_configuration_names_every_wrong_step_at_its_place():
    steps = [
        "lower",
        {"mask": {"kinds": ["fax"]}},
        {"whitespace": {"wide": True}},
        {"urls": "x", "mask": {}},
        {"keep_only": "latin"},
    ]
    with pytest.raises(ConfigError) as caught:
        parse_config({"kind": "linear", "input": {"clean": steps}})
    shown = "\n".join(caught.value.problems)
    for part in ("clean.0", "lower", "clean.1", "kinds", "clean.2", "it has no parameters", "clean.3", "is no step", "clean.4"):
        assert part in shown, part


def test_parameters_are_stored_whole_so_that_serving_is_the_same():
    steps = ["invisible", {"stutter": ["呷哺"]}, {"mask": {"kinds": ["phone"]}}, {"keep_only": "chinese"}, {"fillers": {}}]
    config = parse_config({"kind": "linear", "input": {"clean": steps}})
    stored = config.input.model_dump(mode="json")
    assert stored["clean"][:4] == [
        "invisible",
        {"stutter": {"dictionary": ["呷哺"]}},
        {"mask": {"kinds": ["phone"]}},
        {"keep_only": {"script": "chinese"}},
    ]
    assert "嗯" in stored["clean"][4]["fillers"]["words"]
    assert InputSettings(**stored) == config.input
    assert isinstance(config, LinearConfig)
    for text in ("我我要去呷哺", "138" + "0" * 8, "a1"):
        assert build_chain(InputSettings(**stored).clean)(text) == build_chain(config.input.clean)(text)


def test_only_chosen_kinds_are_masked_and_own_words_are_fillers():
    text = "电话138" + "0" * 8 + "邮箱a@b.cn"
    assert build_chain([{"mask": {"kinds": ["email"]}}])(text) == "电话138" + "0" * 8 + "邮箱[邮箱]"
    assert build_chain([{"fillers": ["讲真"]}])("讲真，嗯我不需要") == "嗯我不需要"
    assert build_chain([{"urls": ""}])("看http://a.cn吧") == "看 吧"


def test_keeping_only_chinese_is_told_to_delete_dates_and_amounts():
    said: list[str] = []

    class Listener:
        def start(self, label: str, total: int, done: int) -> progress.Task:
            raise AssertionError

        def finish(self, task: progress.Task) -> None: ...

        def say(self, message: str) -> None:
            said.append(message)

    with progress.use(Listener()):
        chain = build_chain(["keep_only"])
        build_chain(["whitespace"])
    assert len(said) == 1
    assert "dates" in said[0]
    assert "amounts" in said[0]
    assert chain("3月5日退款￥1,299元，OK") == "月日退款元"


REPEATED = """
我 我我 是的 < <b <!-- <script> & &amp; &amp;lt; 1 138 a@ a. @a. ( (1 ！ !, . - 嗯 呃， 那个 一
一三八零 京A1 w www. http:// 請 一个人 看看 好好
"""
NASTY = [*REPEATED.split(), "1 ", "138" + "0" * 8 + " ", "\u0301", "\ud800", " "]


@pytest.mark.parametrize("piece", NASTY)
def test_a_long_cell_takes_time_in_proportion(piece: str):
    """No expression may go back over what it has seen: eight times the text may take no 64 times as long."""
    chain = build_chain([*EVERY, "keep_only"])
    chain("我我 一三八零")  # whatever is loaded once
    for name, step in zip(chain.names, chain.works, strict=True):

        def seconds(size: int, run: Callable[[str], str] = step.run) -> float:
            text = piece * (size // len(piece))
            begin = time.process_time()
            run(text)
            return time.process_time() - begin

        small = min(seconds(2_500) for _ in range(2))
        assert min(seconds(20_000) for _ in range(2)) < 24 * small + 0.03, name


def test_ten_megabytes_in_one_cell():
    chance = random.Random(3)
    parts = ["我我现在不方便，", "是的是的", "请打138" + "0" * 8, "<br>", "那个我想问", "。", "退款1,299.50元", "\u200b"]
    plain = "快递还没到想问一下什么时候能送过来麻烦帮我查一查单子上写的是明天下午" * 10 + "，"
    text = "".join(chance.choices([*parts, plain], k=90_000))
    assert len(text.encode()) >= 10_000_000
    found = build_chain([name for name in TRANSCRIPTS if name not in ("stutter", "fillers")])(text)
    assert "138" not in found
