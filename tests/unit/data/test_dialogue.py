"""Dialogues as text: marks, times, lines that go on, and line ends of every kind."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.dialogue import dialogue_parser
from duobiao.data.flow import Flow

FLOW = Flow.from_dict({"nodes": {"A": ["甲"]}, "prefixes": {"robot": ["AI", "机器人", "Bot 2"], "customer": ["ME", "客户"]}})
parse = dialogue_parser((*FLOW.robot, *FLOW.customer), FLOW.speaker)


def seen(text: str) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text) for turn in parse(text)]


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("AI: 您好", ""),
        ("AI：您好", ""),
        ("ai : 您好  ", ""),
        ("ＡＩ：您好", ""),
        ("机器人：您好", ""),
        ("Bot 2：您好", ""),
        ("  AI:您好", ""),
        ("[00:12] AI: 您好", "00:12"),
        ("00:12 AI: 您好", "00:12"),
        ("【00：12】AI：您好", "00：12"),
        ("09:02:11 机器人：您好", "09:02:11"),
        ("2026-03-01 09:02:11 AI: 您好", "2026-03-01 09:02:11"),
        ("2026/3/1 9:02 AI: 您好", "2026/3/1 9:02"),
        ("[2026-03-01T09:02:11.250] AI: 您好", "2026-03-01T09:02:11.250"),
        ("[00:12 --> 00:15] AI: 您好", "00:12 --> 00:15"),
        ("(00:12-00:15)AI: 您好", "00:12-00:15"),
        ("AI [00:12]: 您好", "00:12"),
        ("AI 09:02:11：您好", "09:02:11"),
        ("AI: [00:12] 您好", "00:12"),
        ("AI 09:02:11\n您好", "09:02:11"),
    ],
)
def test_ways_to_begin_a_turn(line: str, time: str):
    (turn,) = parse(line)
    assert (turn.speaker, turn.text, turn.time, turn.number) == ("robot", "您好", time, 1)


def test_a_time_in_the_answer_stays():
    assert seen("ME: 9:30来吧") == [("customer", "9:30来吧")]
    assert seen("ME: 09:30:00") == [("customer", "09:30:00")]


def test_lines_that_go_on():
    assert seen("AI: 您好，\n请问是本人吗\n\n  对吧\nME: 是") == [("robot", "您好， 请问是本人吗 对吧"), ("customer", "是")]
    assert seen("AI: 请看\nhttp://a.b\n9:30 开始") == [("robot", "请看 http://a.b 9:30 开始")]


def test_unknown_marks_are_turns_of_an_unknown_speaker():
    assert seen("AI: 您好\n系统：静音5秒\nME: 喂") == [("robot", "您好"), ("other", "静音5秒"), ("customer", "喂")]
    assert [turn.mark for turn in parse("坐席1: 您好")] == ["坐席1"]


def test_lines_before_the_first_mark_are_kept():
    assert seen("通话开始\n录音中\nAI: 您好") == [("other", "通话开始 录音中"), ("robot", "您好")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "<br>", "<BR />", "\n\r\n"])
def test_line_ends(end: str):
    assert seen(f"AI: 您好{end}ME: 是{end}") == [("robot", "您好"), ("customer", "是")]


def test_separators_that_are_no_line_ends_stay_in_the_text():
    assert seen("ME: 一\u2028AI: 二\x0b三") == [("customer", "一\u2028AI: 二\x0b三")]


def test_a_mark_without_words_is_a_turn_without_words():
    assert seen("AI:\nME: \nAI: 您好") == [("robot", ""), ("customer", ""), ("robot", "您好")]


@pytest.mark.parametrize("text", ["", " \r\n\n", "\u3000"])
def test_no_words_no_turns(text: str):
    assert parse(text) == ()


LINES = st.lists(st.tuples(st.sampled_from(["AI", "ME", "系统"]), st.text("你好，9: AIME", max_size=8)), max_size=8)


@settings(deadline=None)
@given(lines=LINES, end=st.sampled_from(["\n", "\r\n", "\r", "<br>"]))
def test_what_was_written_is_read(lines: list[tuple[str, str]], end: str):
    turns = parse(end.join(f"{mark}：{text}" for mark, text in lines))
    assert [(turn.mark, turn.text) for turn in turns] == [(mark, text.strip()) for mark, text in lines]
    assert [turn.number for turn in turns] == list(range(1, len(lines) + 1))


@settings(deadline=None)
@given(text=st.text(st.characters(codec=None), max_size=60))
def test_no_character_is_lost_whatever_the_text(text: str):
    turns = parse(text)
    kept = "".join(turn.time + turn.mark + turn.text for turn in turns)
    dropped = set("[](（)）【】:：") | {"<", ">", "b", "r", "B", "R", "/"}
    rest = [c for c in text if not c.isspace() and c not in dropped]
    assert [c for c in kept if not c.isspace() and c not in dropped] == rest


@pytest.mark.parametrize(
    "text", ["ME: " + " " * 300_000 + "x", "[" * 300_000, "00:12 " * 50_000, "<br" + " " * 300_000, "a:" * 150_000]
)
def test_long_odd_cells_take_no_longer_than_others(text: str):
    assert len(parse(text)) == 1
