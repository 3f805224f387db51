"""Steps that look at characters: their form, their width, their script, and those that nobody sees."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from duobiao.data.clean_steps.work import HAN, Clean, Work, until_stable
from duobiao.errors import MissingExtraError

UNSEEN = (
    "\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e"  # control characters, soft hyphen
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, direction marks
    "\ud800-\udfff"  # lone surrogates
)
"""Characters that nobody sees, as the inside of a character class."""
_INVISIBLE = re.compile(f"[{UNSEEN}]")
_BLANK = "\t-\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # all white space but the space

KEPT = "，！？；：（）～…￥"
"""Full-width signs that NFKC would make narrow though Chinese vocabularies hold them as they are."""
_OTHERS = (  # all but ASCII, Chinese characters, common punctuation, emoji, and what is kept
    "\x80-\xb6\xb8-\u2013\u2015-\u2017\u201a\u201b\u201e-\u2025\u2027-\u3000\u3003\u3004\u3006\u3012-\u33ff\u4dc0-\u4dff"
    "\ua000-\uff00\uff02-\uff07\uff0a\uff0b\uff0d-\uff19\uff1c-\uff1e\uff20-\uff5d\uff5f-\uffe4\uffe6-\U0001f2ff"
    "\U0001f700-\U0001f8ff\U0001fa00-\U0010ffff"
)
_UNSTABLE = re.compile(f"[{_OTHERS}]")
_AROUND_KEPT = re.compile(f"([{KEPT}]+)")

_WIDE = re.compile("[\uff01-\uff5e\u3000]")
_NARROWED = {0x3000: " ", **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}}
_WIDENED = str.maketrans(",!?;:", "，！？；：")
_NARROW_SIGNS = re.compile(f"(?<=[{HAN}])[,!?;:]+|(?<![,!?;:])[,!?;:]+(?=[{HAN}])")
_BRACKETS = re.compile(r"\(([^()]{0,100})\)")
_HAN = re.compile(f"[{HAN}]")
_NOT_HAN = re.compile(f"[^{HAN}]+")

_SIGNS = re.compile(r"([，。！？；：、,!?;:~～])\1+|\.{4,}|…{3,}|—{3,}|([-=_])\2{2,}")


_MARKS = r"，。！？；：、,!?;:~～.…—=_\-"
_TWO_MARKS = re.compile(f"[{_MARKS}]{{2}}").search


def _invisible(text: str) -> str:
    return _INVISIBLE.sub("", text)


def _whitespace(text: str) -> str:
    return " ".join(text.split())


def _nfkc(text: str) -> str:
    if not _UNSTABLE.search(text):
        return text
    parts = _AROUND_KEPT.split(text)
    parts[::2] = [unicodedata.normalize("NFKC", part) for part in parts[::2]]
    return "".join(parts)


def _halfwidth(text: str) -> str:
    return text.translate(_NARROWED) if _WIDE.search(text) else text


def _fullwidth(text: str) -> str:
    return _BRACKETS.sub(_wide_brackets, _NARROW_SIGNS.sub(lambda found: found[0].translate(_WIDENED), text))


def _wide_brackets(found: re.Match[str]) -> str:
    """Both brackets of a pair, if there is a Chinese character in it or beside it."""
    beside = found.string[max(found.start() - 1, 0) : found.start()] + found.string[found.end() : found.end() + 1]
    return f"（{found[1]}）" if _HAN.search(found[1] + beside) else found[0]


def _punctuation(text: str) -> str:
    return _SIGNS.sub(_once, text) if _TWO_MARKS(text) else text


def _once(found: re.Match[str]) -> str:
    sign = found[0][0]
    return sign * {".": 3, "…": 2, "—": 2}.get(sign, 1)


INVISIBLE = Work(_invisible, ((UNSEEN, ""),))
WHITESPACE = Work(_whitespace, ((_BLANK, ""), (" ", r"(?: |$|(?<![\s\S] ))")))
NFKC = Work(_nfkc, ((_OTHERS, ""),))
HALFWIDTH = Work(_halfwidth, (("\uff01-\uff5e\u3000", ""),))
FULLWIDTH = Work(_fullwidth, ((",!?;:(", ""),))
PUNCTUATION = Work(_punctuation, ((_MARKS, f"[{_MARKS}]"),))


def keep_only(script: str) -> Work:
    """Deletes everything but Chinese characters (``script`` has no other value yet)."""
    return Work(lambda text: _NOT_HAN.sub("", text))


@lru_cache(maxsize=1)
def simplified() -> Work:
    """Traditional to simplified Chinese by OpenCC's phrases and characters (t2s).

    Texts without any traditional character are left alone. So is 坏, which OpenCC would read as 坯, as in 打坏, and what
    has only a simplified form outside of Unicode's first plane.

    Raises:
        MissingExtraError: If OpenCC is not installed.
    """
    try:
        import opencc
    except ImportError as error:
        raise MissingExtraError("opencc", "text") from error
    convert: Clean = opencc.OpenCC("t2s").convert
    before = list(map(chr, [*range(0x2E80, 0xA000), *range(0xF900, 0xFB00)]))
    after = convert("\n".join(before)).split("\n")
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    rare = "".join(old for old, new in changed if max(new) > "\uffff")  # its simplified form is in no vocabulary
    traditional = "".join(old for old, _ in changed if old not in rare)
    traditional += "甦瞭藉衹覆"  # these only change inside of words
    found = re.compile(f"[{traditional}]")
    whole = re.compile(f"([\ud800-\udfff坏{rare}]+)")

    def once(text: str) -> str:
        parts = whole.split(text)
        parts[::2] = [convert(part) for part in parts[::2]]
        return "".join(parts)

    return Work(lambda text: until_stable(once, text) if found.search(text) else text, ((traditional, ""),))
