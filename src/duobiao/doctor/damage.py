"""Text that was decoded wrongly on its way: how it is recognised, and mended where nothing is lost."""

from __future__ import annotations

import re

_LATIN = re.compile(
    "[\u00c2-\u00f4](?:[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122])+"
)
"""A byte that opens a UTF-8 character and those that go on with it, shown in Latin-1 or Windows-1252."""
_SIGNS = {
    "replacement character U+FFFD": re.compile("\ufffd"),
    "锟斤拷": re.compile("锟斤拷|斤拷锟"),
    "烫烫烫 / 屯屯屯": re.compile("烫烫烫|屯屯屯"),
    "UTF-8 read as GBK": re.compile("銆|锛|鈥|锘[縚挎]|鐨勶|[浣鎴涓鍦鏄][犲戝浜鍥湁]|鎴戜|浠栦"),
    "UTF-8 read as Latin-1": re.compile(rf"(?:{_LATIN.pattern}){{2,}}|â€|ï¼|ã€"),
}
_FIRST = "".join(bytes([lead, trail]).decode("gbk", "ignore") for lead in range(0xE2, 0xF0) for trail in range(0x80, 0xC0))
"""What GBK makes of the first two bytes of a Chinese character in UTF-8; mostly rare characters."""
_PERHAPS = re.compile(f"[{_FIRST}\ufffd锟烫屯\u00c2-\u00f4]")
_PLAIN = re.compile("[\u4e00-\u9fff\u3400-\u4dbf\u3000-\u303f\uff00-\uffef\u2010-\u2026\u0020-\u007e\\s·×£€]*")
_HAN = re.compile("[\u4e00-\u9fff]")
_WINDOWS = {
    ord(bytes([byte]).decode("cp1252")): byte for byte in range(0x80, 0xA0) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
"""Characters of Windows-1252 to the bytes they stand for; the five bytes it lacks show as Latin-1 has them."""


def damage(text: str) -> str | None:
    """The sign by which a text is seen to be damaged, or None."""
    if not _PERHAPS.search(text):
        return None
    for name, pattern in _SIGNS.items():
        if pattern.search(text):
            return name
    return "UTF-8 read as GBK" if _from_gbk(text) else None


def mend(text: str) -> str:
    """The text decoded rightly, where every byte of it is still there; else the text as it is.

    A text is mended only if writing it in the wrong encoding and reading it as UTF-8 works from the first byte to the last
    and gives Chinese, which does not happen to sound Chinese text.
    """
    if not _PERHAPS.search(text):
        return text
    return _from_gbk(text) or _through(text.translate(_WINDOWS), "latin-1") or text


def _from_gbk(text: str) -> str | None:
    """The text that was read as GBK; Windows shows the byte 0x80, which GBK does not have, as €."""
    try:
        return _sound(b"\x80".join(part.encode("gb18030") for part in text.split("€")))
    except UnicodeError:
        return None


def _through(text: str, encoding: str) -> str | None:
    try:
        return _sound(text.encode(encoding))
    except UnicodeError:
        return None


def _sound(data: bytes) -> str | None:
    """What the bytes say in UTF-8, if that is Chinese."""
    found = data.decode("utf-8")
    return found if _HAN.search(found) and _PLAIN.fullmatch(found) else None
