"""What all settings have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

LARGEST_SEED = 2**32 - 1
"""What NumPy's and scikit-learn's generators take at most."""


class Settings(BaseModel):
    """Base of all settings: unknown names and numbers that are none are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def field_problems(error: ValidationError, begin: int = 0, end: int | None = None, *, whole: str = "") -> list[str]:
    """What pydantic has found, a line a finding: the field, and what is wrong with it.

    Args:
        error: Its error.
        begin: The first part of a place that is told: pydantic counts the members of unions, which no user wrote.
        end: Behind the last one; None: all are told.
        whole: What stands for a place of which nothing is left; nothing by default.
    """
    found = []
    for one in error.errors(include_url=False, include_input=False):
        place = ".".join(map(str, one["loc"][begin:end])) or whole
        said = one["msg"].removeprefix("Value error, ")  # what our own validators say needs no such word
        found.append(f"{place}: {said}" if place else said)
    return found


def _shortest_first(ngrams: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= ngrams[0] <= ngrams[1]:
        raise ValueError(f"{list(ngrams)} is not [shortest, longest] with a shortest of 1 or more")
    return ngrams


Ngrams = Annotated[tuple[int, int], AfterValidator(_shortest_first)]
"""Shortest and longest n-gram."""


def _auto_or_number(value: Any) -> Any:
    if value == "auto" or (type(value) is int and value >= 0):
        return value
    raise ValueError(f"{value!r} is neither auto nor a whole number of 0 or more")


Shared = Annotated[Literal["auto"] | int, BeforeValidator(_auto_or_number)]
"""Dimensions that the labels of a linear model share."""
SHARED = (
    "dimensions that labels share, 0: a machine a label; auto: where there are several groups, 0 and 100 are tried, and what "
    "is better on dev rows is kept"
)
