"""What duobiao raises: one base class that says what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN_PROBLEMS = 1000


class DuobiaoError(Exception):
    """Base of every error that a user can mend.

    Args:
        message: What is wrong, in one sentence.
        hint: What to do about it.
        problems: Every single finding (file, row, what), all collected before raising.
    """

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = ()) -> None:
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  - {problem}" for problem in self.problems[:SHOWN_PROBLEMS]]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"  ... and {len(self.problems) - SHOWN_PROBLEMS} more")
        if self.hint:
            lines.append(f"  What to do: {self.hint}")
        return "\n".join(lines)


class DataError(DuobiaoError):
    """Rows that cannot be read or do not fit the label space."""


class LabelSpaceError(DuobiaoError):
    """A label space file that contradicts itself."""


class ConfigError(DuobiaoError):
    """A configuration that cannot be carried out."""


class BundleError(DuobiaoError):
    """A model folder that is missing, damaged, foreign or too new."""


class MissingExtraError(DuobiaoError):
    """An optional dependency is not installed.

    Args:
        package: The module that could not be imported.
        extra: The extra of duobiao that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed",
            hint=f'pip install "duobiao[{extra}]"',
        )
