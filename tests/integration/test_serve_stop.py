"""How a server ends: while it loads, and with a request that would never end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from serving import FAULTS, make_bundle, serving, until


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_sigterm_ends_a_server_that_is_still_loading(tmp_path: Path):
    bundle = make_bundle(tmp_path / "tiny")
    source = str(Path(sys.modules["duobiao"].__file__ or "").parents[1])
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FAULTS), source]), "FAULTS_LOADING": str(tmp_path / "loading")}
    command = [sys.executable, "-m", "duobiao", "serve", str(bundle), "--port", "0", "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=settings)
    try:
        until(lambda: len(list(tmp_path.glob("loading.*"))) == 2, 120)
        workers = children(process.pid)
        assert len(workers) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert b"stopped while models were being loaded" in process.stderr.read()
        assert not any(alive(pid) for pid in workers)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_the_end_takes_no_longer_than_requests_may_go_on(tmp_path: Path):
    seconds = 6
    bundle = make_bundle(tmp_path / "tiny")
    environment = {"FAULTS_STUCK": str(tmp_path / "stuck")}
    with serving(tmp_path, bundle, "--set", f"drain_seconds={seconds}", environment=environment) as server:
        told: list[int] = []
        asking = threading.Thread(target=lambda: told.append(server.classify("卡").status_code), daemon=True)
        asking.start()
        until((tmp_path / "stuck").exists)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert time.monotonic() - began < 2 * seconds
        asking.join(30)
        assert told == [503]
        assert "Traceback" not in server.log.read_text(encoding="utf-8")
