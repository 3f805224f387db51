"""Settings of the cleaning steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from duobiao.config.base import Settings, field_problems

_Word = Annotated[str, Field(pattern=r"^\S+$")]


class UrlsStep(Settings):
    """Cleaning: web addresses."""

    replace: str = Field("[链接]", description="what stands in place of a web address; empty: a space")


class MaskStep(Settings):
    """Cleaning: personal data."""

    kinds: tuple[Literal["id_card", "bank_card", "email", "phone", "plate"], ...] = Field(
        ("id_card", "bank_card", "email", "phone", "plate"), description="what is masked"
    )


class FillersStep(Settings):
    """Cleaning: words that fill a pause."""

    words: tuple[_Word, ...] = Field(
        ("嗯", "呃", "啊", "哦", "噢", "哎", "诶", "额", "那个", "这个", "就是说", "怎么说呢"),
        description="words that are fillers in some places",
    )


class StutterStep(Settings):
    """Cleaning: words said twice on the spot."""

    dictionary: tuple[_Word, ...] = Field(
        (),
        description="words beyond the segmenter's: names, products; a doubled one, such as 滴滴, then stays. Or the path of a "
        "text file, a word a line, # begins a comment: it is read once, and its words are what the bundle holds",
    )

    @field_validator("dictionary", mode="before")
    @classmethod
    def _from_file(cls, value: Any) -> Any:
        return _words_of(Path(value)) if isinstance(value, str) else value


def _words_of(path: Path) -> tuple[str, ...]:
    """The words of a file, in order, each once."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise ValueError(f"{path}: cannot be read: {reason} (a file with a word a line, or the words as a list)") from error
    words = [(number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1)]
    wrong = [f"line {number}: {word!r}" for number, word in words if len(word.split()) > 1]
    if wrong:
        raise ValueError(f"{path}: one word a line: {', '.join(wrong[:20])}")
    return tuple(dict.fromkeys(word for _, word in words if word))


class KeepOnlyStep(Settings):
    """Cleaning: everything else is deleted."""

    script: Literal["chinese"] = Field("chinese", description="chinese: Chinese characters; dates and amounts are deleted")


_PLAIN = ("html", "invisible", "nfkc", "halfwidth", "fullwidth", "simplified", "punctuation", "whitespace")
CLEAN_STEPS: dict[str, type[Settings]] = {
    **dict.fromkeys(_PLAIN, Settings),
    "urls": UrlsStep,
    "mask": MaskStep,
    "fillers": FillersStep,
    "stutter": StutterStep,
    "keep_only": KeepOnlyStep,
}


def clean_step(entry: Any) -> str | dict[str, dict[str, Any]]:
    """Checks one entry of ``clean``; a step with parameters comes back with all of them.

    Raises:
        ValueError: Naming the step, or every parameter, that does not exist or has a wrong value.
    """
    name: Any = entry
    given: Any = {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        name, given = next(iter(entry.items()))
    if not isinstance(name, str):
        raise ValueError(f"{entry!r} is no step; write a name, or one name: parameters")
    if name not in CLEAN_STEPS:
        raise ValueError(f"no such step: {name} (steps are {', '.join(CLEAN_STEPS)})")
    parameters = list(CLEAN_STEPS[name].model_fields)
    if not isinstance(given, Mapping) and len(parameters) == 1:
        given = {parameters[0]: given}
    try:
        settings = CLEAN_STEPS[name].model_validate(given)
    except ValidationError as error:
        wrong = field_problems(error)
        has = f"its parameters are {', '.join(parameters)}" if parameters else "it has no parameters"
        raise ValueError(f"step {name}: {'; '.join(wrong)} ({has})") from error
    return name if isinstance(entry, str) else {name: settings.model_dump(mode="json")}
