"""What a server does when things go wrong: dying processes, sick models, full queues, callers that leave."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Connection, Server, body, make_bundle, serving, until


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def server(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    small = ("--set", "queue_rows=40", "--set", "batch_rows=16")
    environment = {"FAULTS_SICK": str(folder / "sick")}
    with serving(folder, bundle, *small, environment=environment) as running:
        yield running


def test_a_killed_process_is_replaced_and_nobody_notices(server: Server):
    found: list[list[str]] = []
    asking = [threading.Thread(target=lambda: found.append(server.results("慢快递没到")[0]["labels"])) for _ in range(4)]
    for one in asking:
        one.start()
    time.sleep(0.2)
    os.kill(server.workers()[0], signal.SIGKILL)
    for one in asking:
        one.join()
    assert found == [["物流"]] * 4
    assert server.ready()
    assert server.metric("duobiao_worker_restarts_total") >= 1


def test_readiness_is_the_truth(server: Server):
    assert server.ready()
    os.kill(server.workers()[0], signal.SIGKILL)
    until(lambda: not server.ready())
    assert server.client.get("/health").status_code == 200
    until(server.ready)


def test_a_row_that_kills_the_process_fails_alone(server: Server):
    found = server.results("快递没到", "崩", "东西坏了")
    assert [one.get("labels") for one in found] == [["物流"], None, ["质量"]]
    assert found[1]["error"]["code"] == "row_failed"
    until(server.ready)


def test_a_model_that_fails_on_everything_is_sick_until_it_recovers(server: Server):
    sick = server.log.with_name("sick")
    sick.touch()
    answer = server.classify("快递没到")
    until(lambda: not server.ready())
    assert answer.status_code == 503 or "error" in answer.json()["results"][0]
    until(lambda: server.classify("快递没到").status_code == 503)
    assert "Retry-After" in server.classify("快递没到").headers
    assert "cannot be served" in server.client.get("/v1/models").json()["models"][0]["trouble"]
    sick.unlink()
    until(server.ready)
    assert server.results("快递没到")[0]["labels"] == ["物流"]


def test_a_full_queue_is_told_and_empties(server: Server):
    statuses: list[tuple[int, str | None]] = []

    def ask() -> None:
        answer = server.classify(*["慢"] * 16)
        statuses.append((answer.status_code, answer.headers.get("retry-after")))

    asking = [threading.Thread(target=ask) for _ in range(12)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert {status for status, _ in statuses} == {200, 429}
    assert all(after and int(after) >= 1 for status, after in statuses if status == 429)
    assert server.results("快递没到")[0]["labels"] == ["物流"]


def test_rows_of_a_caller_that_has_gone_are_dropped(server: Server):
    before = server.metric('duobiao_rows_total{model="tiny",outcome="dropped"}')
    computed = server.metric("duobiao_batch_rows_sum")
    block = threading.Thread(target=lambda: [server.classify(*["慢"] * 16) for _ in range(2)])
    block.start()
    time.sleep(0.1)
    request = body(*["快递没到"] * 20)
    head = f"POST /v1/classify HTTP/1.1\r\nhost: x\r\ncontent-length: {len(request)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port)) as leaving:
        leaving.sendall(head + request)
        time.sleep(0.1)
    until(lambda: server.metric('duobiao_rows_total{model="tiny",outcome="dropped"}') == before + 20)
    block.join()
    assert server.metric("duobiao_batch_rows_sum") <= computed + 32 + 16  # one batch may have been on its way


def test_a_process_that_is_stuck_is_ended_and_the_row_told(bundle: Path, tmp_path: Path):
    with serving(tmp_path, bundle, "--set", "batch_seconds=1", "--set", "request_seconds=120") as server:
        found = server.results("快递没到", "卡")
        assert found[0]["labels"] == ["物流"]
        assert found[1]["error"]["code"] == "row_failed"
        until(server.ready)


def test_one_of_two_processes_goes_on_while_the_other_cannot_be_started(tmp_path: Path):
    bundle = make_bundle(tmp_path / "two")
    with serving(tmp_path, bundle, "--workers", "2") as server:
        bundle.rename(tmp_path / "away")
        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: len(server.workers()) == 1)
        until(lambda: server.log.read_text().count("model two: ") >= 2)  # it has ended, and cannot be started
        for _ in range(20):
            assert server.results("快递没到")[0]["labels"] == ["物流"]
            time.sleep(0.1)
        assert server.ready()
        (tmp_path / "away").rename(bundle)
        until(lambda: len(server.workers()) == 2)


def test_time_runs_out(bundle: Path, tmp_path: Path):
    with serving(tmp_path, bundle, "--set", "request_seconds=0.1") as server:
        answer = server.classify("慢")
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "timeout"
        until(lambda: server.classify("快递没到").status_code == 200)


def test_ten_thousand_mixed_requests_are_each_answered_once_in_flat_memory(bundle: Path, tmp_path: Path):
    clients, requests = 32, 10_000

    async def client(server: Server, number: int, share: int) -> int:
        chance = random.Random(number)
        connection = await Connection.open(server.port)
        for count in range(share):
            kind = chance.random()
            rows = [
                {"text": f"快递没到{chance.choice('一二三')}" * chance.randint(1, 8), "id": f"{number}-{count}-{place}"}
                for place in range(chance.choice((1, 1, 1, 2, 5)))
            ]
            if kind < 0.02:
                rows[-1]["text"] = "毒"
            status, told = await connection.post(
                "/v1/classify", b"{" if 0.02 < kind < 0.05 else json.dumps({"rows": rows, "top_k": 1}).encode()
            )
            if 0.02 < kind < 0.05:
                assert status == 400
                continue
            assert status == 200, told
            results = json.loads(told)["results"]
            assert [one["id"] for one in results] == [row["id"] for row in rows]
            for row, one in zip(rows, results, strict=True):
                assert ("error" in one) == (row["text"] == "毒")
                assert "error" in one or one["labels"] == ["物流"]
        connection.close()
        return share

    async def all_of_them(server: Server, count: int) -> int:
        return sum(await asyncio.gather(*(client(server, number, count // clients) for number in range(clients))))

    with serving(tmp_path, bundle) as server:
        warm = asyncio.run(all_of_them(server, 2_000 - 2_000 % clients))
        before = server.memory()
        done = asyncio.run(all_of_them(server, requests - requests % clients))
        grown = server.memory() - before
        assert done >= requests - clients
        assert server.metric('duobiao_requests_total{path="/v1/classify"') == done + warm
        assert grown < 12 * 2**20, f"{grown / 2**20:.1f} MiB more"
        assert server.metric("duobiao_worker_restarts_total") == 0
