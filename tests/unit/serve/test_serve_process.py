"""Processes that cannot be started."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from duobiao.errors import BundleError
from duobiao.serve.process import WorkerProcess
from duobiao.serve.settings import ServeSettings


def test_what_the_system_refuses_is_told_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}

    async def refusing(*arguments: str, env: dict[str, str], **more: Any) -> Any:
        given.update(env)
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refusing)
    monkeypatch.setenv("DUOBIAO_API_KEYS", "a-secret-that-is-long-enough")
    with pytest.raises(BundleError, match=r"no process can be started: .*Cannot allocate memory"):
        asyncio.run(WorkerProcess.start(tmp_path, None, ServeSettings()))
    assert "PATH" in given
    assert "DUOBIAO_API_KEYS" not in given


@pytest.mark.parametrize(
    ("workers", "threads", "cores", "each"), [(1, 0, 8, None), (1, 3, 8, "3"), (4, 0, 8, "2"), (3, 0, 2, "1"), (2, 5, 8, "5")]
)
def test_several_processes_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, threads: int, cores: int, each: str | None
) -> None:
    given: dict[str, str] = {}

    async def refusing(*arguments: str, env: dict[str, str], **more: Any) -> Any:
        given.update(env)
        raise OSError(12, "no")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refusing)
    monkeypatch.setattr("duobiao.serve.settings.cores", lambda: cores)
    for name in ("OMP_NUM_THREADS", "DUOBIAO_THREADS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BundleError):
        asyncio.run(WorkerProcess.start(tmp_path, None, ServeSettings(workers=workers, threads=threads)))
    assert (given.get("OMP_NUM_THREADS"), given.get("DUOBIAO_THREADS")) == (each, each)
