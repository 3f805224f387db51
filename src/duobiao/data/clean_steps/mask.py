"""Masking personal data: numbers and addresses become a word that says what stood there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from duobiao.data.clean_steps.work import Work, until_stable
from duobiao.data.personal import is_id_card, is_luhn

WORDS = {"id_card": "[身份证]", "bank_card": "[银行卡]", "email": "[邮箱]", "phone": "[电话]", "plate": "[车牌]"}
"""What stands in place of each kind; the order is that in which they are looked for."""

_SPOKEN = "零〇一幺二三四五六七八九"
_DIGITS = str.maketrans(_SPOKEN, "001123456789")
_WIDE = re.compile("[\uff0b\uff10-\uff19\uff20-\uff3a\uff41-\uff5a]")
_NARROWED = {
    code: chr(code - 0xFEE0) for code in (0xFF0B, *range(0xFF10, 0xFF1A), *range(0xFF20, 0xFF3B), *range(0xFF41, 0xFF5B))
}
_END = r"(?![0-9A-Za-z]|\.[0-9])"
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_BIRTH = "(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_AREA = "(?:10|2[0-9]|[3-9][0-9]{2})"
_NAME = "A-Za-z0-9._%+-"
_LETTER = "A-HJ-NP-Za-hj-np-z"


def _from(first: str, rest: str, not_after: str = "0-9A-Za-z") -> re.Pattern[str]:
    """``rest`` after a character of ``first`` that follows none of ``not_after``; the class in front makes the search fast."""
    return re.compile(f"[{first}](?<![{not_after}][{first}]){rest}")


_PATTERNS = {
    "id_card": (
        _from(
            "1-9",
            f"(?:[0-9]{{5}}[ -]?{_BIRTH}[ -]?[0-9]{{3}}[0-9Xx]|[0-9]{{13}}(?:[0-9]{{3}}[0-9Xx]|[0-9])){_END}",
        ),
        _from(_SPOKEN, f"[{_SPOKEN}]{{16}}[{_SPOKEN}Xx叉](?![{_SPOKEN}])", _SPOKEN),
    ),
    "bank_card": (
        _from("3-69", f"(?:[0-9]{{3}}(?:[ -]?[0-9]{{4}}){{3}}(?:[ -]?[0-9]{{1,3}})?|[0-9]{{5}}[ -][0-9]{{10,13}}){_END}"),
    ),
    "email": (
        _from(_NAME, rf"[{_NAME}]{{0,63}}@[A-Za-z0-9-]{{1,63}}(?:\.[A-Za-z0-9-]{{1,63}}){{0,4}}\.[A-Za-z]{{2,20}}", _NAME),
    ),
    "phone": (
        _from(
            "+018",
            rf"(?:(?<=1)|(?<=\+)86[ -]?1|(?<=0)086[ -]?1|(?<=8)6[ -]?1)[3-9][0-9](?:[ -]?[0-9]{{4}}){{2}}{_END}",
        ),
        _from("0(（", f"(?:(?<=0){_AREA}[ -]?|(?<=[(（])0{_AREA}[)）] ?)[2-9][0-9]{{6,7}}{_END}"),
        _from("一幺", f"[三四五六七八九][{_SPOKEN}](?: ?[{_SPOKEN}]{{4}}){{2}}(?![{_SPOKEN}])", _SPOKEN),
    ),
    "plate": (
        re.compile(
            f"[{_PROVINCES}][{_LETTER}][ ·•]?(?=[A-Za-z]{{0,5}}[0-9])"
            f"[{_LETTER}0-9]{{4,5}}[{_LETTER}0-9挂学警港澳](?![A-Za-z0-9])"
        ),
    ),
}
_ORDER = re.compile(r"(?:单号|编号|订单|运单|工单|流水|票号)(?:号码|号)?(?:是|为)?[:： ]{0,2}$")
_STATED = {
    "id_card": re.compile(r"身份证(?:号码|号)?(?:是|为)?[:： ]{0,2}$"),
    "bank_card": re.compile(r"(?:卡号|银行卡|储蓄卡|信用卡)(?:号码|号)?(?:是|为)?[:： ]{0,2}$"),
}
_DIGIT = re.compile("[0-9\uff10-\uff19@\uff20]").search
_NUMERALS = re.compile(f"[{_SPOKEN}]{{4}}").search
_PERHAPS = re.compile(
    rf"[0-9](?:[ -]?[0-9]){{6}}|[0-9][)） -]+[0-9]{{7}}|@|[{_PROVINCES}][A-Za-z]|[{_SPOKEN}]{{3}} ?[{_SPOKEN}]{{4}}"
)


def mask(kinds: Collection[str]) -> Work:
    """Masks the given kinds, of those in ``WORDS``."""
    chosen = [kind for kind in WORDS if kind in kinds]

    def once(text: str) -> str:
        for kind in chosen:
            for pattern in _PATTERNS[kind]:
                text = _masked(text, kind, pattern)
        return text

    def run(text: str) -> str:
        if (_DIGIT(text) or _NUMERALS(text)) and _PERHAPS.search(_narrow(text)):
            return until_stable(once, text)
        return text

    return Work(run, (("0-9\uff10-\uff19@\uff20", ""), (_SPOKEN, f"[{_SPOKEN}]{{3}}")))


def _masked(text: str, kind: str, pattern: re.Pattern[str]) -> str:
    parts: list[str] = []
    at = 0
    decide = _DECIDE[kind]
    for found in pattern.finditer(_narrow(text)):
        if decide(found[0], text[max(found.start() - 14, 0) : found.start()]):
            parts += [text[at : found.start()], WORDS[kind]]
            at = found.end()
    return "".join([*parts, text[at:]]) if parts else text


def _narrow(text: str) -> str:
    """The text with narrow digits and letters, every character in its place."""
    return text.translate(_NARROWED) if _WIDE.search(text) else text


def _is_id_card(number: str, before: str) -> bool:
    """The check digit is right (15 digits have none), or the text says what it is."""
    plain = re.sub("[ -]", "", number).translate(_DIGITS).replace("叉", "X")
    return is_id_card(plain) or bool(_STATED["id_card"].search(before))


def _is_bank_card(number: str, before: str) -> bool:
    plain = re.sub("[ -]", "", number)
    return bool(_STATED["bank_card"].search(before)) or (is_luhn(plain) and not _ORDER.search(before))


def _is_phone(number: str, before: str) -> bool:
    return not _ORDER.search(before)


def _always(number: str, before: str) -> bool:
    return True


_DECIDE: dict[str, Callable[[str, str], bool]] = {
    "id_card": _is_id_card,
    "bank_card": _is_bank_card,
    "email": _always,
    "phone": _is_phone,
    "plate": _always,
}
