"""Servers in processes of their own, and raw requests to them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from duobiao.bundle import Bundle, write_bundle
from duobiao.config import LinearConfig, ThresholdSettings
from duobiao.labels import LabelSpace
from duobiao.models.linear import fit_linear
from duobiao.postprocess.thresholds import thresholds_to_dict

SPACE = LabelSpace.from_dict(
    {"labels": ["物流", "质量"], "groups": {"身份": {"labels": ["本人", "他人"], "contexts": ["身份确认"]}}}
)
_TEXTS = [("快递没到", None), ("东西坏了", None), ("是我本人", "身份确认"), ("你打错了", "身份确认")]
FAULTS = Path(__file__).parent / "serve_faults"


def make_bundle(place: Path, name: str = "tiny", shift: float = 0.0) -> Path:
    """A linear bundle that loads in no time; one with another ``shift`` is another version."""
    cells = np.array([[1, 0, -2, -2], [0, 1, -2, -2], [0, 0, 1, 0], [0, 0, 0, 1]] * 3, dtype=np.int8)
    pairs = _TEXTS * 3
    config = LinearConfig(kind="linear")
    model, files, weights = fit_linear(config, SPACE, (pairs, cells), (pairs, cells)).stored()
    weights["coefficients"] = weights["coefficients"] * np.float32(0.4)  # less sure of itself
    weights["intercepts"] = weights["intercepts"] * np.float32(0.4) + np.float32(shift)
    first = thresholds_to_dict(np.array([0.5, 0.5], np.float32), ThresholdSettings(), SPACE)
    strict = thresholds_to_dict(np.array([0.99, 0.99], np.float32), ThresholdSettings(), SPACE)
    thresholds = {**first, "points": {"strict": strict}}
    settings = config.input.model_dump(mode="json")
    write_bundle(place, Bundle("linear", name, SPACE, settings, model, thresholds, {}, {}, files, weights))
    return place


class Server:
    """A running ``duobiao serve``."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log
        self.port = int(url.rpartition(":")[2])
        self.client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def classify(self, *texts: str, **more: Any) -> httpx.Response:
        return self.client.post("/v1/classify", json={"rows": [{"text": text} for text in texts], **more})

    def results(self, *texts: str, **more: Any) -> list[dict[str, Any]]:
        answer = self.classify(*texts, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    def ready(self) -> bool:
        return self.client.get("/ready").status_code == 200

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def workers(self) -> list[int]:
        """The processes that compute."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in found]

    def memory(self) -> int:
        """Resident bytes of the server and its processes."""
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in (self.process.pid, *self.workers())]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(folder: Path, *arguments: Any, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """Starts a server on a free port; ends it with SIGTERM, which must end it well."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    source = str(Path(sys.modules["duobiao"].__file__ or "").parents[1])
    paths = os.pathsep.join([str(FAULTS), source])
    settings = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", **(environment or {})}
    command = [sys.executable, "-m", "duobiao", "serve", *map(str, arguments), "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, stdout=file, env=settings)
    try:
        server = Server(process, _address(process, log), log)
        yield server
        server.client.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(1200):
        told = log.read_text(encoding="utf-8")
        if " at http://" in told:
            return told.rpartition(" at ")[2].split()[0]
        assert process.poll() is None, told
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8"))


def until(holds: Any, seconds: float = 30) -> None:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.05)


class Connection:
    """A kept-alive connection that speaks just enough HTTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        return await self.answer()

    async def answer(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head[9:12]), await self.reader.readexactly(size)

    def close(self) -> None:
        self.writer.close()


def body(*texts: str, **more: Any) -> bytes:
    return json.dumps({"rows": [{"text": text} for text in texts], **more}, ensure_ascii=False).encode()
