"""Text cleaning as a declared chain: named pure steps, stored in the bundle, the same for training and serving."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from duobiao.errors import ConfigError

_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad"  # control characters, soft hyphen
    "\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufff9-\ufffb"  # zero width, direction marks
    "\ud800-\udfff]"  # lone surrogates
)
_WHITESPACE = re.compile(r"\s+")


def remove_invisible(text: str) -> str:
    """Drops control characters, zero-width characters, direction marks and lone surrogates."""
    return _INVISIBLE.sub("", text)


def squeeze_whitespace(text: str) -> str:
    """One space for each run of white space (line breaks and the ideographic space too), none at the ends."""
    return _WHITESPACE.sub(" ", text).strip()


STEPS: dict[str, Callable[[str], str]] = {"invisible": remove_invisible, "whitespace": squeeze_whitespace}


def build_chain(names: Sequence[str]) -> Callable[[str], str]:
    """The named steps as one function, applied in the given order.

    Raises:
        ConfigError: If a step does not exist.
    """
    missing = [name for name in names if name not in STEPS]
    if missing:
        raise ConfigError(f"clean: no such step: {', '.join(missing)}", hint=f"steps are {', '.join(STEPS)}")
    steps = [STEPS[name] for name in names]

    def chain(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return chain
