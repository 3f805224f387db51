"""Licences by the names that the Hub knows them by."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources

from duobiao.errors import ConfigError

PAGE = "https://huggingface.co/docs/hub/repositories-licenses"
"""The list of the Hub."""

LICENCES = tuple((resources.files("duobiao.card") / "licences.txt").read_text(encoding="utf-8").split())
"""What may stand behind ``license`` in the head of a card, as of the middle of 2026."""


def check_licence(name: str) -> None:
    """Refuses what is no licence's name on the Hub; none at all is one.

    Raises:
        ConfigError: With the names that come close.
    """
    if not name or name in LICENCES:
        return
    words = name.lower().replace("_", " ").split()
    close = _close("-".join(word for word in words if word not in ("license", "licence", "version", "the")))
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    raise ConfigError(
        f"the Hub knows no licence {name!r}", hint=f"{meant}Names are listed at {PAGE}; give other for what is not there"
    )


def _close(written: str) -> list[str]:
    """The most similar names, at most three: the very name, those that it begins with, those that are spelt alike."""
    begun = sorted((one for one in LICENCES if written.startswith(one)), key=len, reverse=True)
    alike = get_close_matches(written, LICENCES, n=3, cutoff=0.7)
    return list(dict.fromkeys([*begun[:1], *alike]))[:3]
