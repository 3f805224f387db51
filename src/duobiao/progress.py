"""Progress of long work. The library is silent by default; a front end chooses the reporter with ``use``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TextIO

from tqdm import tqdm


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, amount: int = 1, note: str = "") -> None: ...


class Reporter(Protocol):
    """Shows progress somewhere."""

    def start(self, label: str, total: int, done: int) -> Task: ...

    def finish(self, task: Task) -> None: ...

    def say(self, message: str) -> None: ...


class _Silent:
    def start(self, label: str, total: int, done: int) -> Task:
        return self

    def finish(self, task: Task) -> None:
        pass

    def say(self, message: str) -> None:
        pass

    def advance(self, amount: int = 1, note: str = "") -> None:
        pass


class _Bar:
    def __init__(self, label: str, total: int, done: int, stream: TextIO) -> None:
        self.bar = tqdm(total=total, initial=done, desc=label, file=stream, dynamic_ncols=True, mininterval=0.3)

    def advance(self, amount: int = 1, note: str = "") -> None:
        if note:
            self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(amount)


class _Lines:
    """A plain line now and then, for logs."""

    def __init__(self, label: str, total: int, done: int, stream: TextIO, every: float) -> None:
        self.label, self.total, self.done, self.first, self.stream, self.every = label, total, done, done, stream, every
        self.began = self.told = time.monotonic()
        self.note = ""

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.done += amount
        self.note = note or self.note
        now = time.monotonic()
        if now - self.told >= self.every:
            self.told = now
            self.tell()

    def tell(self) -> None:
        seconds = time.monotonic() - self.began
        left = seconds / max(self.done - self.first, 1) * (self.total - self.done)
        rate = (self.done - self.first) / seconds if seconds else 0.0
        shown = f"{self.done}/{self.total} in {seconds:.0f} s ({rate:,.{0 if rate >= 100 else 1}f} a second)"
        print(
            f"{self.label}: {shown}, about {left:.0f} s left {self.note}".rstrip(),
            file=self.stream,
            flush=True,
        )


class Console:
    """Bars on a terminal, plain lines elsewhere, on standard error.

    Args:
        stream: Where to write.
        every: Seconds between plain lines.
    """

    def __init__(self, stream: TextIO | None = None, every: float = 10.0) -> None:
        self.stream = stream or sys.stderr
        self.every = every

    def start(self, label: str, total: int, done: int) -> Task:
        if self.stream.isatty():
            return _Bar(label, total, done, self.stream)
        return _Lines(label, total, done, self.stream, self.every)

    def finish(self, task: Task) -> None:
        if isinstance(task, _Bar):
            task.bar.close()
        elif isinstance(task, _Lines) and time.monotonic() - task.began >= self.every:
            task.tell()

    def say(self, message: str) -> None:
        tqdm.write(message, file=self.stream)


SILENT: Reporter = _Silent()
_reporter: ContextVar[Reporter] = ContextVar("reporter", default=SILENT)


@contextmanager
def use(reporter: Reporter) -> Iterator[None]:
    """Reports to ``reporter`` inside the block."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


@contextmanager
def task(label: str, total: int, done: int = 0) -> Iterator[Task]:
    """A piece of work of ``total`` steps, of which ``done`` are behind already."""
    reporter = _reporter.get()
    running = reporter.start(label, total, done)
    try:
        yield running
    finally:
        reporter.finish(running)


def say(message: str) -> None:
    """A line for the user about what is going on."""
    _reporter.get().say(message)
