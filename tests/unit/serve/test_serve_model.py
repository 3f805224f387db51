"""A served model whose processes are stand-ins: which versions may answer, and what counts as waiting."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from duobiao.errors import BundleError
from duobiao.serve.app import Service
from duobiao.serve.errors import Refusal
from duobiao.serve.metrics import Metrics
from duobiao.serve.model import ServedModel
from duobiao.serve.process import Answer, WorkerProcess
from duobiao.serve.registry import Entry, Registry
from duobiao.serve.schemas import ClassifyRequest
from duobiao.serve.settings import ServeSettings

POINTS = {"default": {}}


class StandIn(WorkerProcess):
    """A process that answers until it is ended."""

    def __init__(self, digest: str, routes: str = "") -> None:
        self.described = {
            "digest": digest,
            "routes": routes,
            "operating_points": POINTS,
            "max_length": 64,
            "columns": ["年龄"],
        }
        self.died, self.stopped = asyncio.Event(), False

    def busy_until(self, seconds_a_row: float) -> float:
        return 0.0

    async def ask(self, rows: Any, options: Any) -> Answer:
        head = {"sick": False, "failed": 0, "seconds": 0.0, "tokens": 0, "unknown": 0, "labels": {}}
        return Answer(head, [b'{"labels":[]}'] * len(rows))

    async def stop(self, seconds: float = 0) -> None:
        self.stopped = True
        self.died.set()


def started(monkeypatch: pytest.MonkeyPatch, *folder: Any) -> list[StandIn]:
    """Lets processes load what the folder holds, one after another; an error is raised, a number slept."""
    made: list[StandIn] = []
    waiting = list(folder)

    async def start(bundle: Path, routes: Path | None, settings: ServeSettings) -> StandIn:
        found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(found, (int, float)):
            await asyncio.sleep(found)
        made.append(StandIn(*found) if isinstance(found, tuple) else StandIn("slow"))
        return made[-1]

    monkeypatch.setattr(WorkerProcess, "start", start)
    return made


def served(**settings: Any) -> ServedModel:
    return ServedModel("m", Path("runs/m"), ServeSettings(**settings), Metrics())


async def until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("other", [("other-version",), ("the-version", "other-routes")])
def test_a_process_that_is_started_again_must_load_what_was_accepted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, other: tuple[str, ...]
):
    async def check() -> None:
        made = started(monkeypatch, ("the-version",), other, ("the-version",))
        model = served()
        await model.start()
        with caplog.at_level(logging.ERROR, "duobiao.serve"):
            made[0].died.set()
            await until(lambda: model.broken)
        assert not model.ready
        assert made[1].stopped
        assert f"{other[-1][:12]} instead of" in model.trouble
        assert "runs/m: holds" in caplog.text
        assert model.described["digest"] == "the-version"
        await until(lambda: model.ready)  # the old one lies there again
        assert model.trouble == ""
        await model.stop()

    asyncio.run(check())


def test_processes_of_one_model_that_load_two_versions_are_not_taken(monkeypatch: pytest.MonkeyPatch):
    async def check() -> None:
        made = started(monkeypatch, ("a",), ("b",))
        with pytest.raises(BundleError, match="holds version b instead of a"):
            await served(workers=2).start()
        assert all(one.stopped for one in made)

    asyncio.run(check())


def test_loading_that_is_broken_off_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch):
    async def check() -> None:
        made = started(monkeypatch, ("a",), 60)
        loading = asyncio.create_task(served(workers=2).start())
        await until(lambda: made)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        assert [one.stopped for one in made] == [True]

    asyncio.run(check())


def asked(count: int, **more: Any) -> ClassifyRequest:
    return ClassifyRequest.model_validate({"rows": [{"text": "物流", "numeric": {"年龄": 3}, **more}] * count})


def test_callers_who_have_gone_take_no_place_in_a_full_queue():
    async def check() -> None:
        settings, metrics = ServeSettings(queue_rows=10), Metrics()
        model = served(queue_rows=10)
        model.described = StandIn("a").described
        entry = Entry("m", Path(), model, "")
        service = Service(Registry(settings, metrics), metrics, settings)
        first = service._enqueue(asked(8), entry)
        with pytest.raises(Refusal, match="8 rows are waiting") as refusal:
            service._enqueue(asked(3), entry)
        assert refusal.value.status == 429
        first.drop()
        service._enqueue(asked(3), entry)
        assert len(model.queue) == 3

    asyncio.run(check())


@pytest.mark.parametrize(
    ("numeric", "told"),
    [
        (None, "rows.0.numeric.年龄: is missing"),
        ({"年纪": 3}, "rows.0.numeric.年龄: is missing"),
        ({"年龄": 1e16}, "rows.0.numeric.年龄: 1e+16 is no usable number"),
    ],
)
def test_columns_of_numbers_that_the_model_reads_are_asked_for(numeric: Any, told: str):
    async def check() -> None:
        model = served()
        model.described = StandIn("a").described
        service = Service(Registry(ServeSettings(), Metrics()), Metrics(), ServeSettings())
        entry = Entry("m", Path(), model, "")
        with pytest.raises(Refusal) as refusal:
            service._enqueue(asked(2, numeric=numeric), entry)
        assert refusal.value.status == 422
        assert refusal.value.problems[0].startswith(told)
        assert len(refusal.value.problems) == 2
        assert len(model.queue) == 0
        service._enqueue(asked(2, numeric={"年龄": None, "further": 1}), entry)  # blank is unknown, not missing

    asyncio.run(check())
