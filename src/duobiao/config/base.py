"""What all settings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of all settings: unknown names and numbers that are none are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _shortest_first(ngrams: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= ngrams[0] <= ngrams[1]:
        raise ValueError(f"{list(ngrams)} is not [shortest, longest] with a shortest of 1 or more")
    return ngrams


Ngrams = Annotated[tuple[int, int], AfterValidator(_shortest_first)]
"""Shortest and longest n-gram."""
