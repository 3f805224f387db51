"""What decides the answers of a scoring run, besides its bundle and its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from duobiao.config.base import Settings, field_problems
from duobiao.data.read import own_columns
from duobiao.errors import ConfigError

Format = Literal["parquet", "jsonl"]


class ScoreSettings(Settings):
    """Settings of ``duobiao score``. Workers and engine are none: they don't change an answer."""

    scores: Literal["all", "chosen", "none"] = Field(
        "all", description="Probabilities that are written: of all labels that were asked, of the chosen ones, or none."
    )
    at: str | None = Field(None, description="Operating point; the bundle's default one if left out.")
    band: float | None = Field(None, description="Abstain band; that of the operating point if left out.")
    keep: tuple[str, ...] | Literal["all"] = Field((), description="Columns of the input that are passed on.")
    columns: dict[str, str] = Field({}, description="Own column names: text, context, id.")
    part_rows: int = Field(512, ge=1, description="Rows of a part: what a worker takes at once, and what a kill can cost.")
    format: Format = Field("parquet", description="Format of the parts.")

    @field_validator("keep")
    @classmethod
    def _each_once(cls, names: tuple[str, ...] | Literal["all"]) -> tuple[str, ...] | Literal["all"]:
        return names if names == "all" else tuple(dict.fromkeys(names))


def settings_of(given: Mapping[str, Any]) -> ScoreSettings:
    """Checks settings.

    Raises:
        ConfigError: Naming every setting that is wrong.
        DataError: If a column is named for a field that does not exist.
    """
    try:
        found = ScoreSettings.model_validate(given)
    except ValidationError as error:
        raise ConfigError("settings of score are wrong", hint="correct them", problems=field_problems(error, 0, 1)) from error
    return found.model_copy(update={"columns": own_columns(found.columns, labelled=False)})
