"""A dialogue as text, one turn a line, to turns: ``AI: ...``, ``[00:12] ME：...``, ``客服 09:02:11`` and lines that go on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from duobiao.data.flow import Speaker

_CLOCK = r"\d{1,2}[:：]\d{2}(?:[:：]\d{2})?(?:[.,]\d{1,6})?"
_DAY = r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?[ T]{0,3}"
_STAMP = rf"(?:{_DAY})?{_CLOCK}(?:\s{{0,3}}(?:-{{1,2}}>?|~|至)\s{{0,3}}{_CLOCK})?"
_BOXED = rf"[\[(（【]\s{{0,3}}{_STAMP}\s{{0,3}}[\])）】]"
_TIME = rf"(?:{_BOXED}|{_STAMP})"
_LINES = re.compile(r"\r\n|\r|\n|<br\s{0,3}/?>", re.IGNORECASE)
_FOREIGN = re.compile(
    rf"(?P<before>{_TIME})?\s{{0,3}}(?P<mark>[^\W\d_][^\W_]{{0,7}})\s{{0,3}}[:：](?!//)(?P<text>.*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says at a time.

    Attributes:
        number: Its place in the dialogue, from 1.
        speaker: Who speaks; ``other`` where the mark is unknown.
        text: What is said, without mark and time.
        mark: The speaker's mark as it stands in the file; empty where there is none.
        time: The time as it stands in the file; empty where there is none.
    """

    number: int
    speaker: Speaker
    text: str
    mark: str = ""
    time: str = ""


def dialogue_parser(marks: Sequence[str], speaker: Callable[[str], Speaker]) -> Callable[[str], tuple[Turn, ...]]:
    """A function from the text of a dialogue to its turns.

    A line that begins with a mark and a colon (or a mark and a time) begins a turn; times may stand before the mark, between
    mark and colon, or in brackets after the colon. A line that begins with another short word and a colon is a turn of an
    unknown speaker. All further lines go on with the turn before them, or begin a turn of an unknown speaker if there is none.

    Args:
        marks: Marks of robot and customer.
        speaker: Who a mark stands for.
    """
    words = {form for mark in marks for form in (mark.strip(), unicodedata.normalize("NFKC", mark).strip())}
    names = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    head = re.compile(
        rf"(?P<before>{_TIME})?\s{{0,3}}(?P<mark>{names})\s{{0,3}}(?P<between>{_TIME})?\s{{0,3}}"
        rf"(?:[:：]\s*(?P<after>{_BOXED})?(?P<text>.*)|(?(between)$|(?!)))",
        re.DOTALL | re.IGNORECASE,
    )

    def parse(text: str) -> tuple[Turn, ...]:
        begun: list[tuple[str, str, list[str]]] = []  # mark, time, lines
        for line in _LINES.split(text):
            line = line.strip()
            if not line:
                continue
            found = head.match(line) or _FOREIGN.match(line)
            if found:
                parts = found.groupdict()
                time = parts["before"] or parts.get("between") or parts.get("after") or ""
                begun.append((parts["mark"], time.strip("[](（）)【】 "), [(parts["text"] or "").strip()]))
            elif begun:
                begun[-1][2].append(line)
            else:
                begun.append(("", "", [line]))
        return tuple(
            Turn(number, speaker(mark), " ".join(filter(None, lines)), mark, time)
            for number, (mark, time, lines) in enumerate(begun, 1)
        )

    return parse
