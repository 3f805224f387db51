"""What goes over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from duobiao.data.rows import LARGEST
from duobiao.serve.errors import Refusal
from duobiao.serve.settings import ServeSettings

SHOWN = 20
MOST_KEYS = 200
"""Keys that an object of a request may have."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _whole(value: Any) -> Any:
    """``3.0`` is a whole number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id = Annotated[Annotated[str, Field(max_length=1000)] | Annotated[int, Field(ge=-(2**53), le=2**53)], BeforeValidator(_whole)]


class RequestRow(_Wire):
    """A text to classify."""

    text: str = Field(description="what was said or written")
    context: str | None = Field(None, description="what it answers to: the dialogue node, the product line")
    id: Id | None = Field(None, description="comes back with the answer; the row's number, from 1, if left out")
    numeric: dict[str, float | None] | None = Field(None, description="columns of numbers, for models that read such")


class ClassifyRequest(_Wire):
    """Rows, and what is asked about them."""

    rows: list[RequestRow] = Field(min_length=1)
    model: str | None = Field(None, description="a name from /v1/models; the first model if left out")
    operating_point: str | None = Field(None, description="one of the model's, see /v1/models; its default if left out")
    top_k: Annotated[int | None, BeforeValidator(_whole)] = Field(
        None, ge=1, description="scores of the k likeliest labels only, the likeliest first"
    )
    explain: bool = Field(False, description="whether to say which words speak for the labels")
    depth: bool = Field(False, description="whether to say after how many layers a row was answered, where rows leave early")


class ErrorBody(_Wire):
    """What went wrong."""

    code: str = Field(description="a word for programs")
    message: str = Field(description="a sentence for people")
    problems: list[str] | None = Field(None, description="every single finding")


class ErrorAnswer(_Wire):
    """Any answer that is none."""

    error: ErrorBody


class ExplainedWord(_Wire):
    """A word and what it does for a label."""

    word: str
    start: int = Field(description="its first character in the text")
    end: int = Field(description="the character after its last")
    weight: float = Field(description="log-odds that the label loses without the word; positive: it speaks for the label")


class Result(_Wire):
    """The answer for one row: labels and scores or, for a row on which the model fails alone, an error."""

    id: Id
    labels: list[str] | None = Field(None, description="labels that hold; absent where there is an error")
    scores: dict[str, float] | None = Field(None, description="probability of each label that is asked")
    review: bool | None = Field(None, description="whether a person should look at it, where the operating point has a band")
    unsure: list[str] | None = Field(None, description="labels and groups that lie in the band")
    next: str | None = Field(None, description="the next dialogue node or action, where the server has routes")
    depth: int | None = Field(None, description="layers that the row ran through")
    explanation: dict[str, list[ExplainedWord]] | None = Field(None, description="words by label")
    error: ErrorBody | None = Field(None, description="why this row has no answer; its neighbours have theirs")


class ClassifyAnswer(_Wire):
    """Results in the order of the rows."""

    results: list[Result]
    model: str
    version: str = Field(description="begin of the bundle's digest")


class State(_Wire):
    """A state, as it is."""

    status: str


class ModelState(_Wire):
    """A model that is served."""

    name: str
    bundle: str = Field(description="the bundle's own name")
    kind: str
    version: str
    loaded: str = Field(description="when this version began to answer")
    ready: bool
    trouble: str = Field(description="why it is not ready, or why a newer version was not taken; empty if nothing is wrong")
    labels: list[str]
    groups: dict[str, Any] = Field(description="exclusive groups: labels, at_most_one, contexts")
    operating_points: dict[str, dict[str, float]] = Field(description="thresholds, the default point first")
    numeric: list[str] = Field(description="columns of numbers that rows must bring along")
    reads_context: bool
    depths: bool = Field(description="whether rows can leave early")
    queue: int = Field(description="rows that wait")


class Models(_Wire):
    """All models, the default one first."""

    models: list[ModelState]
    limits: dict[str, int]


class Reloaded(_Wire):
    """What a reload came to."""

    model: str
    version: str
    changed: bool


def parse_request(body: bytes, settings: ServeSettings) -> ClassifyRequest:
    """The request in a body.

    Raises:
        Refusal: 400 for what is no JSON; 422, naming the first problems, for what does not fit or exceeds the limits.
    """
    _check_size(body, settings)
    try:
        found = ClassifyRequest.model_validate_json(body)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        if details[0]["type"] == "json_invalid":
            raise Refusal(400, "malformed_json", f"the body is not JSON: {details[0]['ctx']['error']}") from None
        problems = [f"{_place(entry['loc'])}: {entry['msg']}" for entry in details]
        raise _unfit(problems) from None
    problems = []
    for number, row in enumerate(found.rows):
        for name, text in (("text", row.text), ("context", row.context or "")):
            if len(text) > settings.max_characters:
                problems.append(
                    f"rows.{number}.{name}: {len(text)} characters, but at most {settings.max_characters} are taken"
                )
    if found.explain and len(found.rows) > settings.max_explained:
        problems.append(f"explain: {len(found.rows)} rows, but at most {settings.max_explained} are explained at once")
    if problems:
        raise _unfit(problems)
    return found


def check_numeric(asked: ClassifyRequest, columns: Sequence[str]) -> None:
    """Refuses rows that lack a column of numbers that the model reads, or hold one that is of no use.

    Raises:
        Refusal: 422, naming the first places.
    """
    problems = []
    for number, row in enumerate(asked.rows):
        given = row.numeric or {}
        for name in columns:
            place, value = f"rows.{number}.numeric.{name}", given.get(name)
            if name not in given:
                problems.append(f"{place}: is missing; the model reads this column (null where the number is not known)")
            elif value is not None and abs(value) > LARGEST:
                problems.append(f"{place}: {value:g} is no usable number")
    if problems:
        raise _unfit(problems)


def _check_size(body: bytes, settings: ServeSettings) -> None:
    """Refuses what is too much before it is looked at piece by piece: each finding costs far more than its bytes."""
    try:
        found = from_json(body)
    except ValueError:
        return  # told by whoever looks at it next
    rows = found.get("rows") if isinstance(found, dict) else None
    problems = [] if not isinstance(found, dict) or len(found) <= MOST_KEYS else [f"body: {len(found)} keys"]
    if isinstance(rows, list):
        if len(rows) > settings.max_rows:
            problems.append(f"rows: {len(rows)} rows, but at most {settings.max_rows} are taken")
        for number, row in enumerate(rows):
            numeric = row.get("numeric") if isinstance(row, dict) else None
            for name, part in ((f"rows.{number}", row), (f"rows.{number}.numeric", numeric)):
                if isinstance(part, dict) and len(part) > MOST_KEYS:
                    problems.append(f"{name}: {len(part)} keys, but at most {MOST_KEYS} are taken")
    if problems:
        raise _unfit(problems)


def _place(parts: tuple[int | str, ...]) -> str:
    """Where in the body; without what pydantic calls the members of a union."""
    return ".".join(str(part) for part in parts if not str(part).startswith(("constrained-", "function-"))) or "body"


def _unfit(problems: list[str]) -> Refusal:
    more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return Refusal(422, "invalid_request", "the request does not fit", problems=[*problems[:SHOWN], *more])
