"""Steps for what web pages leave behind: tags, entities, addresses."""

from __future__ import annotations

import re
from html import unescape
from html.entities import html5

from duobiao.data.clean_steps.work import ROUNDS, Work

_BLOCKS = "address|article|blockquote|body|br|dd|div|dl|dt|footer|form|h[1-6]|head|header|hr|html|img|input|li|ol|option|p|pre"
_BLOCKS += "|section|select|table|tbody|td|textarea|tfoot|th|thead|title|tr|ul|video|iframe|script|style|link|meta"
_INLINE = "a|abbr|b|big|button|center|cite|code|em|font|i|ins|del|label|mark|q|s|small|span|strike|strong|sub|sup|tt|u|var"
_INLINE += r"|(?:o|v|w|st1):\w{1,20}"
_TAG = re.compile(rf"</?(?:({_BLOCKS})|{_INLINE})(?:[\s/][^<>]*)?>|<!doctype[^<>]*>", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)(?:\s[^<>]*)?>|<!--|<!\[CDATA\[", re.IGNORECASE)
_ENDS = {"<!--": "-->", "<![cdata[": "]]>"}
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPED = re.compile(r"&(?:amp;|#38;|#[xX]26;)+")
_URL = re.compile(
    r"(?:(?<![A-Za-z0-9])(?:https?|ftp)://|(?<![A-Za-z0-9./@-])www\.(?=[A-Za-z0-9]))"
    r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%|-]*[A-Za-z0-9/=_#-]",
    re.IGNORECASE,
)


def _html(text: str) -> str:
    """What was escaped twice is unescaped twice, so the step repeats; what is still no plain text then loses its signs."""
    for _ in range(ROUNDS):
        if "<" not in text and "&" not in text:
            return text
        before = text
        text = _ENTITY.sub(_character, _ESCAPED.sub("&", text)) if "&" in text else text
        text = _TAG.sub(_gap, _without_hidden(text)) if "<" in text else text
        if text == before:
            return text
    return re.sub("[<&]", "", text)


def _character(found: re.Match[str]) -> str:
    entity = found[0]
    return unescape(entity) if entity[1] == "#" or entity[1:] in html5 else entity


def _gap(found: re.Match[str]) -> str:
    return " " if found[1] else ""


def _without_hidden(text: str) -> str:
    """Without comments, scripts and styles that are closed; each kind of end is looked for until there is none left."""
    if not _HIDDEN.search(text):
        return text
    parts: list[str] = []
    missing = set[str]()
    at = start = 0
    while (found := _HIDDEN.search(text, at)) is not None:
        at = found.end()
        end = _ENDS.get(found[0].lower(), f"</{(found[1] or '').lower()}>")
        if end in missing:
            continue
        if (close := re.compile(re.escape(end), re.IGNORECASE).search(text, at)) is None:
            missing.add(end)
            continue
        cdata = text[at : close.start()] if end == "]]>" else " "
        parts += [text[start : found.start()], cdata]
        at = start = close.end()
    return "".join([*parts, text[start:]])


HTML = Work(_html, (("<&", ""),))


def urls(replace: str) -> Work:
    """Web addresses become ``replace``, or a space if that is empty."""
    word = replace or " "

    def run(text: str) -> str:
        if "://" in text or "ww." in text or "WW." in text:
            return _URL.sub(lambda _: word, text)
        return text

    return Work(run, ((":", "//"), ("wW", "[wW]")))
