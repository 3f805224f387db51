"""What a check finds, in a form that every output (terminal, page, JSON) is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from duobiao.data.clean_steps.mask import WORDS, mask
from duobiao.doctor.dataset import Dataset

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
EXAMPLES = 5
_WIDTH = 120
_MARGIN = 400  # so that no number is cut at the edge of what is masked
_MASK = mask(WORDS).run


@dataclass(frozen=True)
class Example:
    """One place where it is seen.

    Attributes:
        where: ``file:row``, or the name of a label.
        text: The text, shortened, personal data starred out.
        note: What is to be seen there.
    """

    where: str
    text: str = ""
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that will hurt.

    Attributes:
        kind: Its name; the wording of title, reason and remedy goes by it.
        severity: ``error``: training or evaluating refuses the rows, or scores will be wrong. ``warning``: it costs quality.
            ``note``: good to know.
        count: How many.
        total: Of how many.
        unit: Of what: ``rows``, ``labels``, ``pairs``, ``characters``.
        splits: How many in each split.
        values: What the wording needs besides.
        examples: A few of them.
    """

    kind: str
    severity: Severity
    count: int
    total: int
    unit: str = "rows"
    splits: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    examples: Sequence[Example] = ()

    @property
    def share(self) -> float:
        return self.count / self.total if self.total else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "share": self.share}


def row_finding(
    data: Dataset,
    kind: str,
    severity: Severity,
    positions: Sequence[int],
    note: Callable[[int], str] = lambda position: "",
    total: int | None = None,
    chosen: Sequence[int] = (),
    focus: Callable[[int], int] = lambda position: 0,
    **values: Any,
) -> list[Finding]:
    """A finding about rows at these positions; nothing where there are none.

    Args:
        data: All rows.
        kind: The finding's name.
        severity: How bad it is.
        positions: Positions of the rows in ``data.rows``.
        note: What an example says beside the text.
        total: Of how many rows; all by default.
        chosen: Positions to show; some from the first to the last by default.
        focus: Where in an example's text it is seen.
        values: What the wording needs besides.
    """
    if not positions:
        return []
    splits: dict[str, int] = {}
    for position in positions:
        splits[data.owners[position]] = splits.get(data.owners[position], 0) + 1
    examples = [example(data, position, note(position), focus(position)) for position in chosen or spread(positions)]
    return [Finding(kind, severity, len(positions), total or len(data.rows), "rows", splits, values, examples)]


def example(data: Dataset, position: int, note: str = "", focus: int = 0) -> Example:
    """A row as an example."""
    return Example(data.places[position], shown(data.rows[position].text, focus=focus), note)


def spread(positions: Sequence[int], count: int = EXAMPLES) -> list[int]:
    """Some of them, from the first to the last."""
    if len(positions) <= count:
        return list(positions)
    return [positions[number * (len(positions) - 1) // (count - 1)] for number in range(count)]


def shown(text: str, width: int = _WIDTH, focus: int = 0) -> str:
    """A text fit for a page: on one line, cut around ``focus``, without personal data, with odd characters made visible."""
    start = max(0, focus - width // 2) if focus > width * 2 // 3 else 0
    before = max(0, start - _MARGIN)
    text = _MASK(text[before : start + width + _MARGIN])[len(_MASK(text[before:start])) :]
    found = "".join(character if character.isprintable() else _visible(character) for character in text)
    found = found if len(found) <= width else found[: width - 1] + "…"
    return f"…{found}" if start else found


def _visible(character: str) -> str:
    return " " if character.isspace() else f"<U+{ord(character):04X}>"


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first: by severity, then by share."""
    return sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), -finding.share, finding.kind))
