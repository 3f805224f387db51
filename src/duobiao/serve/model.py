"""One version of one model being served: its queue, its processes, and what happens when one of them dies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from duobiao.errors import BundleError
from duobiao.serve.errors import Refusal
from duobiao.serve.frames import to_json
from duobiao.serve.metrics import Metrics
from duobiao.serve.process import Answer, WorkerDiedError, WorkerProcess
from duobiao.serve.queue import RowQueue, Waiting
from duobiao.serve.settings import ServeSettings

log = logging.getLogger("duobiao.serve")
LANES = 2
"""Batches under way for a process: one that it computes, and one in the pipe, so that it need not wait for the next."""
LONGEST_PAUSE = 30.0
DIED = to_json({"error": {"code": "row_failed", "message": "the process that computes ended on this row"}})
STOPPED = Refusal(503, "stopping", "the server stopped before this request was answered", retry_after=1)
BROKEN = Refusal(503, "not_ready", "the model does not answer at present", retry_after=5)
FAILED = Refusal(500, "internal", "the server failed on this request")


class ServedModel:
    """A loaded bundle with a queue and one or several processes.

    Args:
        name: What callers name it.
        path: Its folder.
        settings: Batching and times.
        metrics: Where it counts.
    """

    def __init__(self, name: str, path: Path, settings: ServeSettings, metrics: Metrics) -> None:
        self.name, self.path, self.settings, self.metrics = name, path, settings, metrics
        self.queue = RowQueue(settings.token_budget, settings.batch_rows, settings.batch_wait_ms / 1000)
        self.described: dict[str, Any] = {}
        self.trouble = ""
        self.broken = False
        self.seconds_a_row = 0.0
        self._alive: set[WorkerProcess] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._patience = 5.0

    # ---- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Loads and tries the bundle in all its processes.

        Raises:
            BundleError: If that fails; nothing is left running.
        """
        starting = [asyncio.create_task(self._new_worker()) for _ in range(self.settings.workers)]
        try:
            done = await asyncio.gather(*starting, return_exceptions=True)
        except asyncio.CancelledError:
            started = [one.result() for one in starting if not one.cancelled() and one.exception() is None]
            await asyncio.gather(*(worker.stop() for worker in started))
            raise
        workers = [worker for worker in done if isinstance(worker, WorkerProcess)]
        failed = [error for error in done if isinstance(error, BaseException)]
        if failed:
            await asyncio.gather(*(worker.stop() for worker in workers))
            raise failed[0]
        self._keepers = [asyncio.create_task(self._keep(worker)) for worker in workers]
        self._alive.update(workers)

    async def drain(self) -> None:
        """Answers all that waits, then ends the processes; to cancel this ends nothing, ``stop`` does."""
        self.queue.close()
        if self._keepers:
            await asyncio.wait(self._keepers)

    async def stop(self) -> None:
        """Ends the processes at once; whoever still waits is told so."""
        self._patience = 0.0
        self.queue.close()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for row in self.queue.clear():
            row.call.refuse(STOPPED)

    @property
    def ready(self) -> bool:
        """Whether a process is there that answers."""
        return any(not worker.died.is_set() for worker in self._alive)

    @property
    def version(self) -> str:
        return str(self.described.get("digest", ""))[:12]

    @property
    def pids(self) -> list[int]:
        """The processes that compute."""
        return [worker.process.pid for worker in self._alive if not worker.died.is_set()]

    def seconds_to_empty(self) -> float:
        """How long the rows that wait will take, by the pace of the last batches."""
        return len(self.queue) * self.seconds_a_row / self.settings.workers

    # ---- processes ----------------------------------------------------------------------------

    async def _new_worker(self) -> WorkerProcess:
        """Starts a process; what it has loaded must be the version that was accepted, whatever lies in the folder by now."""
        worker = await WorkerProcess.start(self.path, self.settings.routes.get(self.name), self.settings)
        accepted, found = (_versions(described) for described in (self.described or worker.described, worker.described))
        changed = [f"{what} {found[what]} instead of {accepted[what]}" for what in accepted if found[what] != accepted[what]]
        if changed:
            await worker.stop()
            raise BundleError(
                f"{self.path}: holds {', '.join(changed)}, so no process can be started for the version that was accepted",
                hint="reload the model to take the new version, or put the old one back",
            )
        self.described = worker.described
        return worker

    async def _keep(self, worker: WorkerProcess | None) -> None:
        """Feeds a process; starts another when it dies, with growing pauses while that fails."""
        pause = 0.0
        while worker is not None or not self.queue.closed or len(self.queue):
            if worker is None:
                await asyncio.sleep(pause)
                try:
                    worker = await self._new_worker()
                except BundleError as error:
                    self.trouble = error.message
                    log.error("model %s: %s", self.name, error.message)
                    if not self.ready:  # else another process answers
                        self.broken = True
                        for row in self.queue.clear():
                            row.call.refuse(BROKEN)
                    pause = min(max(2 * pause, 0.5), LONGEST_PAUSE)
                    continue
                log.info("model %s: a new process answers", self.name)
                self.metrics.restarts.labels(self.name).inc()
            pause, self.trouble, self.broken = 0.0, "", False
            self._alive.add(worker)
            try:
                await self._feed(worker)
            finally:
                self._alive.discard(worker)
                await worker.stop(0 if worker.died.is_set() else self._patience)
            worker = None
            if not self.queue.closed:
                self.trouble = "its process has ended; another is being started"
                log.error("model %s: %s", self.name, self.trouble)

    async def _feed(self, worker: WorkerProcess) -> None:
        """Sends batches until the process dies, or the queue is closed and empty."""
        lanes = [asyncio.create_task(self._lane(worker)) for _ in range(LANES)]
        death = asyncio.create_task(worker.died.wait())
        try:
            waiting: set[asyncio.Task[Any]] = set(lanes)
            while waiting:
                done, waiting = await asyncio.wait({*waiting, death}, return_when=asyncio.FIRST_COMPLETED)
                waiting.discard(death)
                if death in done:
                    break
        finally:
            for task in (*lanes, death):
                task.cancel()
            await asyncio.gather(*lanes, death, return_exceptions=True)

    async def _lane(self, worker: WorkerProcess) -> None:
        """Takes, sends, hands out. Every way out of it answers the rows that it took, or returns them to the queue."""
        while batch := await self.queue.take(lambda: worker.busy_until(self.seconds_a_row)):
            self.metrics.queue.labels(self.name).set(len(self.queue))
            try:
                await self._compute(worker, batch)
            except WorkerDiedError as death:
                self._after_death(batch, death.computing)
                return
            except asyncio.CancelledError:
                self.queue.put_back(batch)
                raise
            except Exception:
                log.exception("model %s: a batch cannot be handed out", self.name)
                for row in batch:
                    row.call.refuse(FAILED)
                raise

    async def _compute(self, worker: WorkerProcess, batch: Sequence[Waiting]) -> None:
        options: list[dict[str, Any]] = []
        places: dict[int, int] = {}
        for row in batch:
            if id(row.options) not in places:
                places[id(row.options)] = len(options)
                options.append(row.options)
        began = time.monotonic()
        rows = [(row.text, row.context, places[id(row.options)], row.numeric) for row in batch]
        answer = await worker.ask(rows, options)
        if answer.head["sick"]:
            log.error("model %s: it fails on everything, so its process is replaced", self.name)
            await worker.stop()
            raise WorkerDiedError(computing=True)
        version = str(worker.described["digest"])[:12]
        for row, line in zip(batch, answer.rows, strict=True):
            row.call.settle(row.place, line, version)
        self._count(batch, answer, began)

    def _after_death(self, batch: Sequence[Waiting], computing: bool) -> None:
        """Rows that were being computed are tried once more, each alone; a row that was alone is told that it failed.

        What merely waited in the pipe goes back as it was.
        """
        again = []
        for row in batch:
            if computing and row.alone:
                row.call.settle(row.place, DIED)
                self.metrics.rows.labels(self.name, "failed").inc()
            else:
                row.alone = row.alone or computing
                again.append(row)
        self.queue.put_back(again)

    def _count(self, batch: Sequence[Waiting], answer: Answer, began: float) -> None:
        own, head, name = self.metrics, answer.head, self.name
        now = time.monotonic()
        own.batch_rows.labels(name).observe(len(batch))
        own.batch_tokens.labels(name).observe(len(batch) * max(row.tokens for row in batch))
        for row in batch:
            own.stages.labels(name, "queue").observe(began - row.since)
        own.stages.labels(name, "pipe").observe(now - began - head["seconds"])
        own.stages.labels(name, "compute").observe(head["seconds"])
        own.rows.labels(name, "ok").inc(len(batch) - head["failed"])
        own.rows.labels(name, "failed").inc(head["failed"])
        own.tokens.labels(name).inc(head["tokens"])
        own.unknown.labels(name).inc(head["unknown"])
        for label, count in head["labels"].items():
            own.labels.labels(name, label).inc(count)
        pace = head["seconds"] / len(batch)
        self.seconds_a_row = pace if not self.seconds_a_row else 0.8 * self.seconds_a_row + 0.2 * pace


def _versions(described: Mapping[str, Any]) -> dict[str, str]:
    """What decides the answers of a process: begins of the digests of its bundle and its routes."""
    return {what: str(described.get(key) or "")[:12] for what, key in (("version", "digest"), ("routes", "routes"))}
