"""What is wrong with single texts: empty, damaged, mixed scripts, other languages, personal data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from duobiao.data.clean import build_chain
from duobiao.data.clean_steps.mask import WORDS, mask
from duobiao.doctor.damage import damage
from duobiao.doctor.dataset import Dataset
from duobiao.doctor.findings import Finding, Severity, row_finding

LONG = 1000
_visible = build_chain(["invisible"])
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SCRIPTS = {
    "Latin": re.compile("[A-Za-z\u00c0-\u024f]"),
    "Japanese": re.compile("[\u3040-\u30ff]"),
    "Korean": re.compile("[\uac00-\ud7a3\u1100-\u11ff]"),
    "Cyrillic": re.compile("[\u0400-\u04ff]"),
    "Arabic": re.compile("[\u0600-\u06ff]"),
    "Thai": re.compile("[\u0e00-\u0e7f]"),
}
_OTHER = re.compile("|".join(pattern.pattern for pattern in _SCRIPTS.values()))
_CHINESE_SHARE = 0.3
_LETTERS = 8  # fewer Latin letters, such as OK or VIP, are Chinese usage


def check_texts(data: Dataset) -> list[Finding]:
    """All findings about single texts but those that need OpenCC or a tokenizer."""
    texts = data.texts
    empty = [at for at, text in enumerate(texts) if not text]
    filled = [(at, text) for at, text in enumerate(texts) if text]
    wordless = [at for at, text in filled if not any(map(str.isalpha, text))]
    bare = [at for at, text in filled if len(text) == 1 and text.isalpha() and not data.rows[at].context]
    long = [at for at, text in filled if len(text) > LONG]
    invisible = [at for at, row in enumerate(data.rows) if _visible(row.text) != row.text]
    return [
        *row_finding(data, "empty", "error", empty),
        *row_finding(data, "wordless", "note", wordless),
        *row_finding(data, "single", "note", bare),
        *row_finding(data, "long", "note", long, lambda at: str(len(texts[at])), limit=LONG),
        *row_finding(data, "invisible", "note", invisible, lambda at: _invisible(data.rows[at].text)),
        *_named(data, "damage", damage),
        *_named(data, "foreign", language),
        *personal_data(data),
    ]


def _invisible(text: str) -> str:
    gone = Counter(character for character in text if not _visible(character))
    return ", ".join(f"U+{ord(character):04X} ×{count}" for character, count in gone.most_common(3))


def _named(data: Dataset, kind: str, name: Callable[[str], str | None]) -> list[Finding]:
    """A finding about texts that a function gives a name; the names are counted."""
    found = {at: named for at, text in enumerate(data.texts) if (named := name(text))}
    names = Counter(found.values()).most_common()
    return row_finding(data, kind, "warning", list(found), lambda at: found[at], names=names)


def language(text: str) -> str | None:
    """The script of a text that is hardly Chinese; None for Chinese, and for texts without letters."""
    if not _OTHER.search(text) or (text.isascii() and sum(map(str.isalpha, text)) < _LETTERS):
        return None
    counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    counts["Latin"] = -(-counts["Latin"] // 4)  # a word of some four letters weighs as much as a Chinese character
    chinese, other = len(_HAN.findall(text)), sum(counts.values())
    if not counts["Japanese"] and chinese >= _CHINESE_SHARE * (chinese + other):
        return None
    if counts["Japanese"] and counts["Japanese"] < 0.2 * (chinese + other):
        return None  # の in a Chinese name
    return max(counts, key=lambda name: counts[name])


def personal_data(data: Dataset) -> list[Finding]:
    """Rows that hold telephone numbers and the like, with a count for each kind."""
    hide = mask(WORDS).run
    found: dict[int, str] = {}
    kinds: dict[int, list[str]] = {}
    for at, row in enumerate(data.rows):
        if (hidden := hide(row.text)) != row.text:
            found[at] = hidden
            kinds[at] = [kind for kind, word in WORDS.items() if hidden.count(word) > row.text.count(word)]
    names = Counter(kind for some in kinds.values() for kind in some)
    return row_finding(
        data,
        "personal",
        "warning",
        list(found),
        focus=lambda at: _first_difference(found[at], data.rows[at].text),
        names=[(kind, names[kind]) for kind in WORDS if names[kind]],
    )


def _first_difference(one: str, other: str) -> int:
    return next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)


def check_scripts(data: Dataset) -> list[Finding]:
    """Traditional characters, and whether simplified ones stand beside them.

    Raises:
        ImportError: If OpenCC is not installed.
    """
    seen = {character for character in set().union(*data.texts) if _HAN.match(character)}
    traditional, simplified = _one_script(seen)
    old = [at for at, text in enumerate(data.texts) if traditional and not traditional.isdisjoint(text)]
    if not old:
        return []
    new = sum(not simplified.isdisjoint(text) for text in data.texts)
    both = sum(not simplified.isdisjoint(data.texts[at]) for at in old)
    counts = Counter(character for at in old for character in data.texts[at] if character in traditional)
    # Nearly all in one script: the few others are what the model will not know.
    severity: Severity = "warning" if new and len(old) >= 0.005 * len(data.rows) else "note"
    return row_finding(
        data,
        "scripts",
        severity,
        old,
        lambda at: "".join(dict.fromkeys(character for character in data.texts[at] if character in traditional))[:20],
        simplified=new,
        both=both,
        names=counts.most_common(10),
    )


def _one_script(characters: set[str]) -> tuple[set[str], set[str]]:
    """The characters that only traditional text has, and those that only simplified text has.

    A character such as 后, 里 or 干 stands in both; so does 著. OpenCC tells what is converted, the national character sets
    GB 2312 and Big5 what the other script uses itself.
    """
    import opencc

    to_simplified, to_traditional = opencc.OpenCC("t2s"), opencc.OpenCC("s2t")
    traditional = {c for c in characters if to_simplified.convert(c) != c and not _encodes(c, "gb2312")}
    simplified = {c for c in characters if to_traditional.convert(c) != c and not _encodes(c, "big5")}
    return traditional - simplified, simplified - traditional


def _encodes(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
