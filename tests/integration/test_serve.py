"""A running server: answers, limits, keys, versions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import refused
from serving import Server, make_bundle, serving, until

from duobiao.classifier import Classifier

KEY, ADMIN = "a-key-of-the-tests", "an-admin-key-of-the-tests"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def server(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    small = ("--set", "max_body_bytes=4096", "--set", "max_rows=8", "--set", "max_characters=100", "--set", "body_seconds=1")
    with serving(tmp_path_factory.mktemp("server"), bundle, f"other={bundle}", *small) as running:
        yield running


def test_answers_are_those_of_the_bundle(server: Server, bundle: Path):
    texts, contexts = ["快递没到", "东西坏了", "是我本人", "😀"], [None, None, "身份确认", "别处"]
    rows = [{"text": text, "context": context, "id": f"r{text}"} for text, context in zip(texts, contexts, strict=True)]
    answer = server.client.post("/v1/classify", json={"rows": rows, "model": "other"}).json()
    expected = Classifier.load(bundle).predict(texts, contexts)
    assert answer["model"] == "other"
    assert [one["id"] for one in answer["results"]] == [row["id"] for row in rows]
    assert [one["labels"] for one in answer["results"]] == [one.labels for one in expected]
    assert [one["scores"] for one in answer["results"]] == [one.scores for one in expected]


def test_a_request_chooses_what_it_is_told(server: Server):
    plain = server.results("快递没到", "东西坏了")
    assert [one["id"] for one in plain] == [1, 2]
    assert plain[0]["labels"] == ["物流"]
    assert server.results("快递没到", operating_point="strict")[0]["labels"] == []
    assert list(server.results("东西坏了", top_k=1)[0]["scores"]) == ["质量"]
    words = server.results("快递没到", explain=True)[0]["explanation"]["物流"]
    assert max(words, key=lambda word: word["weight"])["word"] in "快递没到"


def test_models_are_described_with_their_thresholds(server: Server):
    told = server.client.get("/v1/models").json()["models"]
    assert [one["name"] for one in told] == ["tiny", "other"]
    assert told[0]["operating_points"] == {"default": {"物流": 0.5, "质量": 0.5}, "strict": {"物流": 0.99, "质量": 0.99}}
    assert told[0]["groups"]["身份"]["contexts"] == ["身份确认"]
    assert told[0]["ready"] is True
    assert told[0]["trouble"] == ""


def test_no_torch_is_loaded_for_a_bundle_that_needs_none(server: Server):
    for pid in (server.process.pid, *server.workers()):
        assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"rows": [{"text": "x"}], "model": "none"}, 404, "unknown_model"),
        ({"rows": [{"text": "x"}], "operating_point": "none"}, 404, "unknown_operating_point"),
        ({"rows": [{"text": "x"}] * 9}, 422, "invalid_request"),
        ({"rows": [{"text": "x" * 101}]}, 422, "invalid_request"),
        ({"rows": [{"text": "x" * 5000}]}, 413, "too_large"),
        ({"row": []}, 422, "invalid_request"),
    ],
)
def test_refusals_say_what_is_wrong(server: Server, body: dict, status: int, code: str):
    answer = server.client.post("/v1/classify", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.headers["content-type"] == "application/json"


def test_every_answer_carries_safe_headers_and_none_opens_the_server_to_other_sites(server: Server):
    for path in ("/", "/health", "/v1/models", "/nothing"):
        answer = server.client.get(path, headers={"origin": "https://evil.example"})
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
    assert server.client.get("/nothing").json()["error"]["code"] == "not_found"
    wrong = server.client.get("/v1/classify")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert server.client.get("/docs").status_code == 404


def test_a_slow_client_is_given_up_and_others_are_answered_meanwhile(server: Server):
    import socket

    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /v1/classify HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{")
        assert server.results("快递没到")[0]["labels"] == ["物流"]
        slow.settimeout(30)
        assert b" 408 " in slow.recv(4096)


def test_a_poisoned_row_fails_alone_and_tells_nothing_of_the_inside(server: Server):
    found = server.results("快递没到", "毒", "东西坏了")
    assert [one.get("labels") for one in found] == [["物流"], None, ["质量"]]
    assert found[1]["error"]["code"] == "row_failed"
    assert "secret" not in json.dumps(found)
    assert server.ready()


def test_metrics_count_what_happened(server: Server):
    before = {name: server.metric(name) for name in ("duobiao_rows_total", 'duobiao_labels_total{label="物流"')}
    server.results("快递没到", "快递没到")
    assert server.metric("duobiao_rows_total") == before["duobiao_rows_total"] + 2
    assert server.metric('duobiao_labels_total{label="物流"') == before['duobiao_labels_total{label="物流"'] + 2
    text = server.client.get("/metrics").text
    for stage in ("queue", "pipe", "compute", "request"):
        assert f'stage="{stage}"' in text
    for name in ("duobiao_batch_rows", "duobiao_batch_tokens", "duobiao_queue_rows", "duobiao_ready", "duobiao_unknown_tokens"):
        assert f"# TYPE {name}" in text


def test_sigterm_lets_requests_come_to_their_end(bundle: Path, tmp_path: Path):
    with serving(tmp_path, bundle) as server:
        found: list[int] = []
        asking = [threading.Thread(target=lambda: found.append(server.classify("慢").status_code)) for _ in range(3)]
        for one in asking:
            one.start()
        until(lambda: server.metric("duobiao_batch_rows_count") or any(server.workers()))
        threading.Event().wait(0.2)
        server.process.send_signal(signal.SIGTERM)
        for one in asking:
            one.join(30)
        assert found == [200, 200, 200]
        assert server.process.wait(30) == 0


def test_keys_are_asked_for_where_there_are_some(bundle: Path, tmp_path: Path):
    (tmp_path / "keys").write_text(KEY + "\n")
    environment = {"DUOBIAO_ADMIN_KEYS": ADMIN}
    with serving(tmp_path, bundle, "--keys", tmp_path / "keys", environment=environment) as server:
        for path in ("/v1/models", "/metrics"):
            assert server.client.get(path).status_code == 401
        assert server.classify("快递没到").status_code == 401
        assert server.classify("快递没到").headers["www-authenticate"] == "Bearer"
        assert server.client.get("/health").status_code == server.client.get("/ready").status_code == 200
        server.client.headers["authorization"] = f"Bearer {KEY}"
        assert server.classify("快递没到").status_code == 200
        assert server.client.post("/v1/models/tiny/reload").status_code == 403
        server.client.headers["authorization"] = f"Bearer {ADMIN}"
        assert server.client.post("/v1/models/tiny/reload").json()["changed"] is False
        assert server.client.post("/v1/models/none/reload").status_code == 404
        assert server.client.get("/openapi.json").json()["paths"]["/v1/classify"]["post"]["security"]


def test_a_new_version_takes_over_without_a_lost_request_and_a_broken_one_never(tmp_path: Path):
    versions = tmp_path / "versions"
    make_bundle(versions / "v1")
    environment = {"DUOBIAO_ADMIN_KEYS": ADMIN}
    with serving(tmp_path, versions, environment=environment) as server:
        server.client.headers["authorization"] = f"Bearer {ADMIN}"
        first = server.classify("快递没到").json()["version"]
        answers, stop = [], threading.Event()

        def ask() -> None:
            while not stop.is_set():
                answers.append(server.classify("快递没到", "慢"))

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for one in asking:
            one.start()
        make_bundle(versions / "v2", shift=-0.5)
        told = server.client.post("/v1/models/versions/reload").json()
        assert told["changed"] is True
        assert told["version"] != first
        until(lambda: answers and answers[-1].json().get("version") == told["version"])
        stop.set()
        for one in asking:
            one.join()
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["version"] for answer in answers} == {first, told["version"]}
        until(lambda: len(server.workers()) == 1)  # the old one is gone

        make_bundle(versions / "v3", shift=float("nan"))  # loads well, and answers no number
        assert server.client.post("/v1/models/versions/reload").status_code == 409
        shutil.copytree(versions / "v1", versions / "v4")
        (versions / "v4" / "model.safetensors").write_bytes(b"damaged")
        refused_reload = server.client.post("/v1/models/versions/reload")
        assert refused_reload.status_code == 409
        assert "safetensors" not in refused_reload.text
        assert server.classify("快递没到").json()["version"] == told["version"]
        assert server.ready()
        assert "damaged" in server.client.get("/v1/models").json()["models"][0]["trouble"]

        make_bundle(versions / "v5", shift=0.25)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.classify("快递没到").json()["version"] not in (first, told["version"]))
        assert server.client.get("/v1/models").json()["models"][0]["trouble"] == ""


def test_a_watched_bundle_is_loaded_when_it_changes(tmp_path: Path):
    bundle = make_bundle(tmp_path / "b")
    with serving(tmp_path, bundle, "--set", "watch_seconds=0.1", "--set", "cors=[https://ours.example]") as server:
        first = server.classify("快递没到").json()["version"]
        make_bundle(bundle, shift=0.5)
        until(lambda: server.classify("快递没到").json()["version"] != first)
        answer = server.client.get("/health", headers={"origin": "https://ours.example"})
        assert answer.headers["access-control-allow-origin"] == "https://ours.example"


def test_an_edited_routes_file_answers_from_the_next_reload_on(tmp_path: Path):
    def write(where: str) -> None:
        text = f'nodes:\n  "*":\n    - {{labels: 物流, to: {where}}}\n    - {{else: 完}}\nactions: [{where}, 完]\n'
        (tmp_path / "routes.yaml").write_text(text, encoding="utf-8")

    bundle = make_bundle(tmp_path / "b")
    write("甲")
    routes, environment = f"routes.b={tmp_path / 'routes.yaml'}", {"DUOBIAO_ADMIN_KEYS": ADMIN}
    with serving(tmp_path, bundle, "--set", routes, environment=environment) as server:
        server.client.headers["authorization"] = f"Bearer {ADMIN}"

        def reloaded() -> bool:
            return bool(server.client.post("/v1/models/b/reload").json()["changed"])

        assert not reloaded()
        write("乙")
        assert server.results("快递没到")[0]["next"] == "甲"
        assert reloaded()
        assert server.results("快递没到")[0]["next"] == "乙"
        until(lambda: len(server.workers()) == 1)  # the old one is gone
        write("丙")
        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: "routes" in server.client.get("/v1/models").json()["models"][0]["trouble"])
        assert not server.ready()
        assert reloaded()
        assert server.ready()
        assert server.results("快递没到")[0]["next"] == "丙"
        (tmp_path / "routes.yaml").write_text("nodes: 1\n", encoding="utf-8")
        assert server.client.post("/v1/models/b/reload").status_code == 409
        assert server.results("快递没到")[0]["next"] == "丙"


def test_what_cannot_be_served_is_told_before_anything_starts(bundle: Path, tmp_path: Path):
    refused("serve", tmp_path / "missing", names=("missing", "no such folder"))
    refused("serve", bundle, "--set", "port=x", names=("port",))
    (tmp_path / "keys").write_text("short")
    refused("serve", bundle, "--keys", tmp_path / "keys", names=("too short",))
