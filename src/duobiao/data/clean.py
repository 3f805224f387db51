"""Text cleaning as a declared chain: named pure steps, stored in the bundle, the same for training and serving."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duobiao import progress
from duobiao.config import CLEAN_STEPS, clean_step
from duobiao.data.clean_steps import characters, markup
from duobiao.data.clean_steps.fillers import fillers
from duobiao.data.clean_steps.mask import mask
from duobiao.data.clean_steps.stutter import stutter
from duobiao.data.clean_steps.work import ROUNDS, Work
from duobiao.errors import ConfigError

Entry = str | Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One step that a chain may name.

    Attributes:
        description: What it does, in a line.
        make: Makes it from its parameters, which are those of its class in ``config.CLEAN_STEPS``.
    """

    description: str
    make: Callable[..., Work]

    def __call__(self, text: str) -> str:
        """The step with its default parameters."""
        return self.make().run(text)


STEPS: dict[str, Step] = {
    "html": Step("tags, comments, scripts go; entities such as &nbsp; become what they stand for", lambda: markup.HTML),
    "invisible": Step("control, zero-width and direction characters and lone surrogates go", lambda: characters.INVISIBLE),
    "nfkc": Step("Unicode NFKC, narrow letters and digits; ，！？；：（）～…￥ stay full width", lambda: characters.NFKC),
    "halfwidth": Step("every full-width sign, letter and digit becomes half width", lambda: characters.HALFWIDTH),
    "fullwidth": Step(", ! ? ; : ( ) beside a Chinese character become full width", lambda: characters.FULLWIDTH),
    "simplified": Step("traditional to simplified Chinese, by OpenCC's phrases", characters.simplified),
    "urls": Step("a web address becomes [链接]", markup.urls),
    "mask": Step("telephone, ID-card and bank-card numbers, plates, e-mail addresses become [电话] and the like", mask),
    "fillers": Step("嗯 呃 啊 那个 就是说 and the like go where they only fill a pause", fillers),
    "stutter": Step("words and phrases said twice on the spot are said once; 看看, 天天, 研究研究 stay", stutter),
    "punctuation": Step("a punctuation mark that is repeated stands once", lambda: characters.PUNCTUATION),
    "keep_only": Step("everything but Chinese characters goes: dates, amounts and numbers too", characters.keep_only),
    "whitespace": Step("one space for a run of white space or line breaks, none at the ends", lambda: characters.WHITESPACE),
}

TRANSCRIPTS = ("html", "invisible", "nfkc", "simplified", "urls", "mask", "fillers", "stutter", "punctuation", "whitespace")
"""The chain that suits what speech recognition and call platforms write."""


class Chain:
    """Steps as one function.

    The steps run in order, and again until the text stays as it is, so that cleaning clean text changes nothing. Most
    texts are clean: one search for what any step looks for tells them.

    Attributes:
        names: Names of the steps, in order.
        works: The steps.
    """

    def __init__(self, names: Sequence[str], works: Sequence[Work]) -> None:
        self.names, self.works = tuple(names), tuple(works)
        self._steps = [(name, _search(work.spots), work.run) for name, work in zip(names, works, strict=True)]
        everywhere = not all(work.spots for work in works)  # a step that looks at every text
        self._look = _always if everywhere else _search([spot for work in works for spot in work.spots])

    def __call__(self, text: str) -> str:
        for _ in range(ROUNDS):
            if not self._look(text):
                break
            before = text
            for _, look, run in self._steps:
                if look(text):
                    text = run(text)
            if text == before:
                break
        return text

    def traced(self, text: str) -> tuple[str, list[tuple[str, str, str]]]:
        """The cleaned text, and (step, before, after) wherever a step changed it."""
        found: list[tuple[str, str, str]] = []
        for _ in range(ROUNDS):
            if not self._look(text):
                break
            start = text
            for name, look, run in self._steps:
                if look(text) and (new := run(text)) != text:
                    found.append((name, text, new))
                    text = new
            if text == start:
                break
        return text, found


def _always(text: str) -> bool:
    return True


def _search(spots: Sequence[tuple[str, str]]) -> Callable[[str], object]:
    """Finds any of the spots. The expression begins with one class of characters, which makes the search fast."""
    if not spots:
        return _always
    by_rest: dict[str, list[str]] = {}
    for chars, rest in spots:
        by_rest.setdefault(rest, []).append(chars)
    cases = "|".join(f"(?<=[{''.join(chars)}]){rest}" for rest, chars in by_rest.items())
    return re.compile(f"[{''.join(dict.fromkeys(chars for chars, _ in spots))}](?:{cases})").search


def build_chain(steps: Sequence[Entry]) -> Chain:
    """The named steps as one function, applied in the given order.

    Args:
        steps: Names, or ``{name: parameters}``, as ``clean:`` of a configuration holds them.

    Raises:
        ConfigError: Naming every step and parameter that does not exist.
        MissingExtraError: If a step needs a package that is not installed.
    """
    entries: list[str | dict[str, dict[str, Any]]] = []
    problems: list[str] = []
    foreign = False
    for entry in steps:
        name = next(iter(entry)) if isinstance(entry, Mapping) and len(entry) == 1 else entry
        if isinstance(name, str) and name not in CLEAN_STEPS:
            foreign = True
            problems.append(f"no such step: {name}")
            continue
        try:
            entries.append(clean_step(entry))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        hint = f"steps are {', '.join(STEPS)}" if foreign else "correct the parameters"
        raise ConfigError("clean: " + "; ".join(problems), hint=hint)
    named = [(entry, {}) if isinstance(entry, str) else next(iter(entry.items())) for entry in entries]
    if any(name == "keep_only" for name, _ in named):
        progress.say("clean: keep_only deletes digits and Latin letters, and with them dates, amounts and numbers")
    works = [STEPS[name].make(**CLEAN_STEPS[name](**given).model_dump()) for name, given in named]
    return Chain([name for name, _ in named], works)
