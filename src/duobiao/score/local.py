"""Worker processes on this machine, one thread each."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait

from duobiao.errors import DuobiaoError
from duobiao.machine import cores
from duobiao.score.job import Job, Part, Scored
from duobiao.score.worker import ONE_THREAD, Worker, checked

ATTEMPTS = 3


def scored(job: Job, parts: Iterator[Part], workers: int | None = None) -> Generator[Scored]:
    """Scores parts with so many processes; each has one part at a time, so memory does not grow with their number.

    A part whose worker dies is done again by another one.

    Args:
        job: The run.
        parts: The parts.
        workers: How many processes; one a core by default.

    Raises:
        DuobiaoError: What stopped a worker; or that a part ended its worker again and again.
    """
    again: list[Part] = []
    deaths: Counter[int] = Counter()
    crew: list[_Process] = []
    try:
        while True:
            _hand_out(job, crew, workers or cores(), again, parts)
            busy = {worker.pipe: worker for worker in crew if worker.part is not None}
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                part = worker.part
                assert part is not None
                try:
                    found = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.end()
                    crew.remove(worker)
                    deaths[part.number] += 1
                    _refuse_deadly(job, part, deaths[part.number])
                    again.append(part)
                    continue
                worker.part = None
                yield checked(found)
    finally:
        for worker in crew:
            worker.end()


def _hand_out(job: Job, crew: list[_Process], workers: int, again: list[Part], parts: Iterator[Part]) -> None:
    idle = [worker for worker in crew if worker.part is None]
    while idle or len(crew) < workers:
        part = again.pop() if again else next(parts, None)
        if part is None:
            return
        if idle:
            worker = idle.pop()
        else:
            worker = _Process(job)
            crew.append(worker)
        worker.give(part)


class _Process:
    """One process, and what it has in hand."""

    def __init__(self, job: Job) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.part: Part | None = None
        self.process = context.Process(target=_work, args=(theirs, job), daemon=True)
        with _environment(ONE_THREAD):
            self.process.start()
        theirs.close()

    def give(self, part: Part) -> None:
        self.part = part
        with suppress(OSError):  # dead: seen when its answer is read
            self.pipe.send(part)

    def end(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _work(pipe: Connection, job: Job) -> None:
    """A worker's life: answers parts, and ends with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interrupt of a terminal is the parent's matter
    worker = Worker(job)
    with suppress(EOFError, OSError):
        while True:
            pipe.send(worker.answer(pipe.recv()))


def _refuse_deadly(job: Job, part: Part, deaths: int) -> None:
    if deaths >= ATTEMPTS:
        first = part.stretch.number
        raise DuobiaoError(
            f"{job.forms[part.file].path}: the {part.stretch.rows} rows from row {first} ended {deaths} workers",
            hint="memory may be short: fewer --workers, or smaller --part-rows with --force",
        )


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets variables for the processes that are started in the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
