"""Words that only fill a pause; left alone wherever they could be an answer or part of what is said."""

from __future__ import annotations

import re
from collections.abc import Sequence

from duobiao.data.clean_steps.work import HAN, Work, until_stable

_BREAK = r"\s，。！？；：、,.!?;:…～~"
_PAUSE = r"[，、,…\s]*"
_SAID = f"(?=[{HAN}A-Za-z0-9])"
_CONTENT = re.compile(f"[{HAN}A-Za-z0-9]")
_ANSWERS = "好|对|行|可以(?!说)|没问题|没有|没错|不|是(?=的|啊|呀|我|[，。,. ]|$)|知道|明白|谢谢|收到"
_ASKING = "我想问|我问|想问|请问|问一下|我想咨询|我跟你说|麻烦|你好|您好|不好意思"


def _first(word: str) -> str:
    """The word at the start of a clause. Rules begin with the word itself: so the search for it is fast."""
    return f"{word}(?<![^{_BREAK}]{word})"


def _pointing(word: str) -> str:
    """Said twice, or before a question is put; 那个快递, 这个行 and 那个我不要 name a thing."""
    return rf"{word}(?:(?:[，、, ]?{word})+(?=[{HAN}，])|(?<![^{_BREAK}]{word}){_PAUSE}(?={_ASKING}))"


_RULES = {
    # anywhere but in 打呃, 呃逆
    "呃": rf"呃(?<!打呃)呃*(?!逆|吐|[？?]){_PAUSE}",
    # inside of a clause, or before an answer in words; by itself, and before anything else, it means yes
    "嗯": rf"嗯(?:(?<=[{HAN}，、,]嗯)(?<!嗯嗯)嗯*[，、,]?(?=[{HAN}])|(?<![\s\S]嗯)嗯*{_PAUSE}(?={_ANSWERS}))",
    # at the start of a clause; not in 额度, 哎呀; not "啊？", which asks to say it again
    "啊": rf"{_first('啊')}啊*(?!呀|哈){_PAUSE}{_SAID}",
    "哦": rf"{_first('哦')}哦*(?!哟|豁|了){_PAUSE}{_SAID}",
    "噢": rf"{_first('噢')}噢*{_PAUSE}{_SAID}",
    "哎": rf"{_first('哎')}哎*(?!呀|哟|呦){_PAUSE}{_SAID}",
    "诶": rf"{_first('诶')}诶*(?!嘿|呀){_PAUSE}{_SAID}",
    "额": rf"{_first('额')}额*(?![度外头角定数满吉]){_PAUSE}{_SAID}",
    "那个": _pointing("那个"),
    "这个": _pointing("这个"),
    # at the very start; later on it means "that is"
    "就是说": rf"就是说(?<![\s\S]就是说)(?![说的到不]){_PAUSE}{_SAID}",
    "怎么说呢": rf"{_first('怎么说呢')}{_PAUSE}{_SAID}",
}

_GOES_ON = dict.fromkeys(("那个", "这个"), r"(?=[，、,…\s那这我想请问麻你您不])")
"""What must follow for the rule to apply; most 那个 and 这个 are told by it."""


def fillers(words: Sequence[str]) -> Work:
    """Takes these words away where they are fillers; a text that would hold nothing else stays as it is.

    A word without a rule of its own is a filler at the start of a clause that goes on.
    """
    chosen = sorted(set(words), key=len, reverse=True)
    perhaps = re.compile("|".join(map(re.escape, chosen)) or "(?!)").search
    rules = [(word, re.compile(_RULES.get(word) or rf"{_first(re.escape(word))}{_PAUSE}{_SAID}").sub) for word in chosen]

    def once(text: str) -> str:
        for word, replace in rules:
            if word in text:
                text = replace(_kept, text)
        return text

    def run(text: str) -> str:
        if not perhaps(text):
            return text
        left = until_stable(once, text)
        return left if _CONTENT.search(left) else text

    return Work(run, tuple((re.escape(word[0]), re.escape(word[1:]) + _GOES_ON.get(word, "")) for word in chosen))


def _kept(found: re.Match[str]) -> str:
    """Of 那个那个快递 one 那个 stays: it may point at the parcel."""
    text = found[0]
    return text[:2] if text[:2] in ("那个", "这个") and text.count(text[:2]) > 1 else ""
