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
