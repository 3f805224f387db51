"""What a worker is told: the job once, then one part after another; and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from duobiao.data.stream import Form, Stretch
from duobiao.routing.routes import Routes
from duobiao.score.settings import ScoreSettings


@dataclass(frozen=True)
class Job:
    """A scoring run.

    Attributes:
        bundle: Folder of the bundle.
        digest: The bundle's digest; workers refuse another one.
        settings: What is written.
        forms: The input files.
        kept: Columns that are passed on; None: all that a row has.
        folder: Where relative names of files begin.
        teacher: Folder of a bundle that answers the rows in the abstain band.
        teacher_digest: Its digest.
        routes: Where rows go next.
    """

    bundle: Path
    digest: str
    settings: ScoreSettings
    forms: list[Form]
    kept: list[str] | None
    folder: Path
    teacher: Path | None = None
    teacher_digest: str = ""
    routes: Routes | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that are scored together.

    Attributes:
        number: Its place among the parts, from 0.
        file: The place of its file in ``Job.forms``.
        stretch: Its rows.
    """

    number: int
    file: int
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class Scored:
    """A part's answers.

    Attributes:
        number: The part.
        rows: Rows that were answered.
        bad: Rows that were not.
        answers: The answers as they go into a file.
        refused: JSON lines of the bad rows.
    """

    number: int
    rows: int
    bad: int
    answers: bytes
    refused: bytes
