"""What runs where the model is: a worker of any engine, and what it hands back when it cannot go on."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from dataclasses import dataclass

from duobiao.errors import DuobiaoError
from duobiao.score.job import Job, Part, Scored
from duobiao.score.scorer import Scorer

ONE_THREAD = {
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "DUOBIAO_THREADS"), "1"
    ),
    "TOKENIZERS_PARALLELISM": "false",
}
"""Read when numpy, torch and tokenizers are loaded: a worker is one thread, whose sums do not depend on how many others run."""


@dataclass(frozen=True)
class Failure:
    """Why a worker cannot go on; errors themselves do not travel between processes.

    Attributes:
        message: What is wrong.
        hint: What to do about it.
        problems: Every finding.
        trace: Where it happened, if it is no matter of the user's.
    """

    message: str
    hint: str = ""
    problems: tuple[str, ...] = ()
    trace: str = ""


class Worker:
    """Scores parts; the bundle is loaded with the first one.

    Args:
        job: The run.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.scorer: Scorer | None = None
        with suppress(OSError):
            os.chdir(job.folder)  # where relative names of files begin

    def answer(self, part: Part) -> Scored | Failure:
        """A part's answers, or why there are none."""
        try:
            self.scorer = self.scorer or Scorer(self.job)
            return self.scorer.score(part)
        except DuobiaoError as error:
            return Failure(error.message, error.hint, error.problems)
        except Exception as error:
            return Failure(str(error), trace=traceback.format_exc())


def checked(found: Scored | Failure) -> Scored:
    """What a worker handed back.

    Raises:
        DuobiaoError: What stopped it.
        RuntimeError: If that is no matter of the user's.
    """
    if isinstance(found, Scored):
        return found
    if found.trace:
        raise RuntimeError(f"a worker failed:\n{found.trace}")
    raise DuobiaoError(found.message, hint=found.hint, problems=found.problems)
