"""Stuttered words as speech recognition writes them: 是的是的是的 -> 是的, 我我现在 -> 我现在.

Words are told apart by a segmenter (jieba's dictionary), so that 看看, 天天 and 高高兴兴, which are words, stay. What is
not surely a stutter stays: numbers, quantities, verbs said twice (研究研究, "have a look at it"), places (吉林吉林市).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from duobiao.data.clean_steps.work import HAN, Work, listed, until_stable
from duobiao.data.segmenter import make_jieba

_PRONOUNS = frozenset("我你您他她它咱俺")
_NOUNS = listed("快递 客服")
"""Nouns, whatever the dictionary calls them."""
_SINGLE = _PRONOUNS | frozenset("这那不没就也都还又再很才是有在要能可给对跟从向被的了吗呢吧呀嘛啊但而因所虽如且或喂嗯哦噢行")
"""Characters that don't stand twice in a row in good Chinese, when they are words of their own."""
_BEGUN = _PRONOUNS | frozenset("这那就也都还又再很太不没什怎现今昨因所如但虽而然已应可能为")
"""The same for a word that was begun twice, such as 这这个; without characters like 在 and 要 (在在线, 要要求)."""
_OWN_START = listed("还款 还钱 还清 还贷 还债 还账 还本 还车 还书 还信用卡 就业 就医 就诊 就餐 都市 没收 能力 能源 能量 为人")
_SAID_APART = _PRONOUNS | frozenset("对行好嗯喂哦中得成是")
_OPEN_END = ("着", "谁", "哪", "哪儿", "哪里", "啥", "什么")
_ANSWERS = frozenset("好对行是嗯喂")
_SOUNDS = frozenset("哈呵嘻嘿嗨呜哇啦嘟滴嗒咚叮汪喵噜咕咯")
_NUMERALS = frozenset("零〇一二两三四五六七八九十百千万亿几半第多")
_A_MOMENT = re.compile("^[^零〇一二两三四五六七八九十百千万亿几半第多]+一(?:下|下儿|会|会儿|点|点儿)$")
_SAY = listed("觉得 认为 以为 感觉 希望 说 想 怕 知道")
_SAID_TWICE = listed(
    "商量 联系 核实 体验 关心 通融 整理 清理 交流 聊天 总结 评价 散心 寻思 联络 比较 意思 高兴"
    " 非常 特别 真的 十分 超级 哪里 好多 好久 很多 千万"
)
"""Verbs that the dictionary takes for nouns, emphasis, and 哪里哪里, which is polite."""
_SAID_ONCE = listed(
    "没有 知道 满意 需要 愿意 喜欢 觉得 应该 收到 听见 方便 清楚 合适 再见 拜拜 肯定 正确 可能 明天 后天 同意 可以"
)
"""Words that are never doubled to mean something, whatever the dictionary calls them."""
_DOUBLED = ("v", "a", "b", "m", "q", "z", "o", "ns", "nz")
_LONGEST = 6
_SPEECH = re.compile(f"[{HAN}，、, ]+")
_REPEAT = re.compile(f"([{HAN}]{{1,10}}?)[，、, ]{{0,2}}\\1")


class _Word(NamedTuple):
    """A word, its part of speech, and the pause after it."""

    text: str
    kind: str
    pause: str


Tagger = Callable[[str, bool], list[tuple[str, str]]]


def stutter(dictionary: Sequence[str]) -> Work:
    """Words and phrases that are repeated on the spot are said once.

    Args:
        dictionary: Words beyond jieba's: names, products, or doubled ones such as 滴滴, which then stay.
    """
    tag: Tagger = make_jieba(tuple(dictionary)).tag

    def once(text: str) -> str:
        return _SPEECH.sub(lambda found: _joined(_said(_words(found[0], tag))) if _REPEAT.search(found[0]) else found[0], text)

    def run(text: str) -> str:
        if len(set(text)) == len(text) or not _REPEAT.search(text):
            return text
        return until_stable(once, text)

    return Work(run)


def _words(text: str, tag: Tagger) -> list[_Word]:
    """Words with the pauses that follow them; a pause at the very start is an empty word's."""
    words: list[_Word] = []
    for word, kind in tag(text, False):
        if word[0] in "，、, ":
            last = words.pop() if words else _Word("", "x", "")
            words.append(last._replace(pause=last.pause + word))
        else:
            words.append(_Word(word, kind, ""))
    return words


def _joined(words: Sequence[_Word]) -> str:
    return "".join(word.text + word.pause for word in words)


def _said(words: Sequence[_Word]) -> list[_Word]:
    """The words without repeats."""
    kept: list[_Word] = []
    at = 0
    while at < len(words):
        if _begun_twice(words, at, kept):
            at += 1
            continue
        size, times = _repeat(words, at)
        end = at + size * times
        last = words[end - size : end]
        if times == 1:
            kept.append(words[at])
            end = at + 1
        elif size == 1 and len(last[0].text) > 1 and len(set(last[0].text)) == 1 and last[0].text[0] in _ANSWERS:
            kept.append(last[0]._replace(text=last[0].text[0]))  # 好好好好 is 好好 and 好好
        else:
            kept += last if _is_stutter(words, at, size, times, kept) else words[at:end]
        at = end
    return kept


def _repeat(words: Sequence[_Word], at: int) -> tuple[int, int]:
    """Size of the shortest phrase that is repeated from here on, and how often: without a pause, or with one each time."""
    for size in range(1, _LONGEST + 1):
        unit = [word.text for word in words[at : at + size]]
        if len(unit) < size or any(word.pause for word in words[at : at + size - 1]):
            break
        paused = bool(words[at + size - 1].pause)
        times, end = 1, at + size
        while bool(words[end - 1].pause) == paused and [word.text for word in words[end : end + size]] == unit:
            if any(word.pause for word in words[end : end + size - 1]):
                break
            times, end = times + 1, end + size
        if times > 1:
            return size, times
    return 1, 1


def _is_stutter(words: Sequence[_Word], at: int, size: int, times: int, kept: Sequence[_Word]) -> bool:
    unit, end = words[at : at + size], at + size * times
    text = "".join(word.text for word in unit)
    if not text or set(text) <= _SOUNDS or (set(text) & _NUMERALS and not _A_MOMENT.match(text)):
        return False
    if unit[-1].pause:  # 是的，是的，... but not 问客服，客服说...
        begins = not kept or bool(kept[-1].pause)
        ends = end == len(words) or bool(words[end - 1].pause)
        return begins and (ends or text in _PRONOUNS) and (size > 1 or times > 2 or _is_said_once(unit[0]))
    if size > 1:
        return times > 2 or not unit[-1].text.endswith(_OPEN_END)  # 走着走着, 爱找谁找谁
    if times > 2:
        return True
    if len(text) > 1:
        noun = unit[0].kind[0] in "nr" or text in _NOUNS
        return _is_said_once(unit[0]) and not (noun and _is_object(kept))
    asked = [following.text for following in words[end : end + 1]] in (["不" + text], ["没" + text])  # 会会不会
    return asked or (text in _SINGLE and not (text in _PRONOUNS and _is_object(kept)))


def _is_said_once(word: _Word) -> bool:
    """Whether nobody doubles the word to mean something by it."""
    text = word.text
    if len(text) == 1:
        return text in _SAID_APART
    if len(set(text)) == 1 or text in _SAID_ONCE | _NOUNS or text[0] in "不没别":  # 谢谢谢谢
        return True
    return text not in _SAID_TWICE and not word.kind.startswith(_DOUBLED)


def _is_object(kept: Sequence[_Word]) -> bool:
    """Whether a noun that follows would be the object of the word before it: 告诉你你来, 问客服客服说."""
    if not kept or kept[-1].pause or kept[-1].text in _SAY:
        return False
    return kept[-1].kind[0] in "vp" or kept[-1].text.endswith(("是", "问"))


def _begun_twice(words: Sequence[_Word], at: int, kept: Sequence[_Word]) -> bool:
    """Whether the word here is a false start of the next one: 这这个, 怎么怎么办, 好好好, 是是不是."""
    if at + 1 == len(words) or words[at].pause or not words[at].text:
        return False
    word, following = words[at], words[at + 1].text
    text, first = word.text, word.text[0]
    if text == following or not following.startswith(first):
        return False
    if set(text) == {first} and first not in _NUMERALS:
        if len(following) >= 3 and following[1] in "不没" and following[2] == first:
            return True
        if len(text) > 1:  # 好好好 is 好好 and 好; 太太太贵 is 太太 and 太贵
            doubled = following.startswith(text) or (first == "太" and len(following) > 1)
            return doubled or (first in _ANSWERS and set(following) == {first})
        if first in _BEGUN and following not in _OWN_START:
            return not (first in _PRONOUNS and _is_object(kept))
        return False
    longer = following.startswith(text) and len(text) > 1
    return longer and not set(text) & _NUMERALS and (word.kind[0] in "rdct" or text in _SAID_ONCE)
