"""The server's end of a process that computes: starting, asking, noticing its death, ending it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duobiao.errors import BundleError
from duobiao.serve.frames import LENGTH, packed, split_answer, to_json
from duobiao.serve.security import KEY_VARIABLES
from duobiao.serve.settings import ServeSettings


class WorkerDiedError(Exception):
    """The process ended, or was ended, before it answered.

    Args:
        computing: Whether it was this batch that it computed; later ones merely waited in the pipe.
    """

    def __init__(self, computing: bool) -> None:
        super().__init__("the process that computes has ended")
        self.computing = computing


@dataclass(frozen=True)
class Answer:
    """A batch's answer: its head (see ``worker.serve``), and one JSON object a row as it goes to the caller."""

    head: dict[str, Any]
    rows: list[bytes]


class WorkerProcess:
    """A process that answers batches, in the order in which they are sent.

    Attributes:
        described: What the process says about its bundle.
        died: Set when it has ended.
    """

    def __init__(self, process: asyncio.subprocess.Process, seconds: float) -> None:
        self.process, self.seconds = process, seconds
        self.described: dict[str, Any] = {}
        self.died = asyncio.Event()
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._sizes: deque[int] = deque()
        self._began = 0.0
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, bundle: Path, routes: Path | None, settings: ServeSettings) -> WorkerProcess:
        """Starts a process; returns when it has loaded its bundle and answered a few texts.

        Raises:
            BundleError: If it cannot load the bundle, answers nothing sensible, or takes too long.
        """
        count = settings.threads_each
        threads = dict.fromkeys(("OMP_NUM_THREADS", "DUOBIAO_THREADS"), str(count)) if count else {}
        own = {name: value for name, value in os.environ.items() if name not in KEY_VARIABLES}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "duobiao.serve.worker",
                str(bundle),
                *([] if routes is None else [str(routes)]),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**own, "TOKENIZERS_PARALLELISM": "false", **threads},
            )
        except OSError as error:  # no memory, no more processes or files
            raise BundleError(
                f"{bundle}: no process can be started: {error}", hint="free memory, or raise the limits"
            ) from error
        worker = cls(process, settings.batch_seconds)
        try:
            worker.described = await worker._first_words(bundle, settings.load_seconds)
        except BaseException:
            await worker.stop()
            raise
        worker._reader = asyncio.create_task(worker._read())
        return worker

    async def _first_words(self, bundle: Path, seconds: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                said, _ = split_answer(await self._frame())
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            why = "took too long to load" if isinstance(error, TimeoutError) else "its process ended while it was loaded"
            raise BundleError(f"{bundle}: cannot be served: {why}", hint="look into the log") from error
        if "ready" not in said:
            raise BundleError(f"{bundle}: cannot be served: {said['failed']}", hint="correct the bundle; the log has more")
        described: dict[str, Any] = said["ready"]
        return described

    def busy_until(self, seconds_a_row: float) -> float:
        """Until when, on the monotonic clock, it is likely to compute what it has; 0 if it has nothing.

        A fifth earlier than the pace says, so that the next batch is there in time.
        """
        return self._began + 0.8 * seconds_a_row * sum(self._sizes) if self._sizes else 0.0

    async def ask(self, rows: Sequence[Sequence[Any]], options: Sequence[dict[str, Any]]) -> Answer:
        """The answer to a batch.

        Raises:
            WorkerDiedError: If the process ends first; one that takes longer than ``batch_seconds`` is ended.
        """
        if self.died.is_set():
            raise WorkerDiedError(computing=False)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if not self._sizes:
            self._began = time.monotonic()
        self._waiting.append(future)
        self._sizes.append(len(rows))
        assert self.process.stdin is not None
        with contextlib.suppress(ConnectionError):  # its death is told to the future
            self.process.stdin.write(packed(to_json({"rows": rows, "options": options})))
            await self.process.stdin.drain()
        return await future

    async def stop(self, seconds: float = 0) -> None:
        """Ends the process: lets it come to its end, or kills it after so many seconds, or when this is cancelled."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(seconds):
                await self.process.wait()
        except TimeoutError:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        await self.process.wait()
        if self._reader is not None:
            await asyncio.wait([self._reader])
        self.died.set()

    async def _frame(self) -> bytes:
        assert self.process.stdout is not None
        size = int.from_bytes(await self.process.stdout.readexactly(LENGTH), "big")
        return await self.process.stdout.readexactly(size)

    async def _read(self) -> None:
        """Hands answers to those who wait, in order; whatever ends this tells all that are left."""
        try:
            while True:
                head, rows = split_answer(await self._frame_in_time())
                future = self._waiting.popleft()
                self._sizes.popleft()
                self._began = time.monotonic()
                if not future.done():
                    future.set_result(Answer(head, rows))
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, ValueError):
            pass
        finally:
            self.died.set()
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            for place, future in enumerate(self._waiting):
                if not future.done():
                    future.set_exception(WorkerDiedError(computing=place == 0))
            self._waiting.clear()
            self._sizes.clear()

    async def _frame_in_time(self) -> bytes:
        """The next answer; a batch that takes between once and twice ``seconds`` at most counts as stuck."""
        frame = asyncio.ensure_future(self._frame())
        try:
            while True:
                began = self._waiting[0] if self._waiting else None
                done, _ = await asyncio.wait([frame], timeout=self.seconds)
                if done:
                    return frame.result()
                if began is not None and self._waiting and self._waiting[0] is began:
                    raise TimeoutError
        finally:
            frame.cancel()
