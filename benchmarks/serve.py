"""The server under load, beside the same bundle offline and, if wished, beside infinity with the same encoder.

    python benchmarks/serve.py BUNDLE ROWS [--clients 1 16 64 256] [--seconds 20] [--rounds 3] [--threads 2]
        [--infinity PYTHON]

ROWS is a file of rows; each request carries one of them. A round measures the bundle offline (``predict`` on 256 rows at a
time, in a process of its own), then the server at each number of clients, and the other server beside it; ratios are taken
within a round, so that a disturbance hits all alike. Clients are kept-alive connections of a load generator in a process of its
own, which sends a client's next request when its last one is answered, over raw sockets; its own CPU time is told. It shares
the machine's cores with what it measures. ``--infinity`` names a Python that has infinity-emb, which is given the same encoder
as a BertForSequenceClassification.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from duobiao.data.read import read_rows
from duobiao.data.rows import Row

OFFLINE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warm", type=float, default=3, help="seconds of load before those that count")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--infinity", help="a Python that has infinity-emb", default=None)
    parser.add_argument("--encoder", type=Path, help="the torch bundle to take infinity's encoder from; BUNDLE if left out")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    rows = read_rows(given.rows, labelled=False)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        offline = stack.enter_context(offline_engine(given.bundle, rows, given.threads))
        ports = {"duobiao": stack.enter_context(duobiao_server(given.bundle, given.threads, Path(folder)))}
        if given.infinity:
            ports["infinity"] = stack.enter_context(infinity_server(given, Path(folder)))
        for number in range(given.rounds):
            rate = offline(given.seconds)
            print(f"round {number + 1}: offline {rate:.1f} rows/s", flush=True)
            for clients in given.clients:
                for name, port in ports.items():
                    result = load(name, port, rows, clients, given.warm, given.seconds)
                    found.append({"round": number, "system": name, "clients": clients, "offline": rate, **result})
                    print(line(found[-1]), flush=True)
    print(
        f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {given.threads} threads; {len(rows)} rows\n"
    )
    print(table(found, list(ports), given.clients))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


def line(one: dict[str, Any]) -> str:
    share = one["rows_per_s"] / one["offline"]
    return (
        f"  {one['system']:9} {one['clients']:4} clients: {one['rows_per_s']:8.1f} rows/s ({share:.0%} of offline), "
        f"p50 {one['p50']:.0f} p95 {one['p95']:.0f} p99 {one['p99']:.0f} ms, generator {one['cpu']:.0%} of a core"
    )


def table(found: list[dict[str, Any]], systems: list[str], counts: list[int]) -> str:
    lines = [
        "| clients | system | rows/s | of offline | p50 ms | p95 ms | p99 ms | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for clients in counts:
        for system in systems:
            own = [one for one in found if one["clients"] == clients and one["system"] == system]
            middle = {key: statistics.median(one[key] for one in own) for key in ("rows_per_s", "p50", "p95", "p99")}
            shares = sorted(one["rows_per_s"] / one["offline"] for one in own)
            cells = [str(clients), system, f"{middle['rows_per_s']:.1f}"]
            cells += [f"{statistics.median(shares):.0%} ({shares[0]:.0%} to {shares[-1]:.0%})"]
            cells += [f"{middle[key]:.0f}" for key in ("p50", "p95", "p99")] + [str(sum(one["failed"] for one in own))]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


# ---- offline ----------------------------------------------------------------------------------------


def _engine(pipe: Any, bundle: Path, rows: list[Row], threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from duobiao.classifier import Classifier

    classifier = Classifier.load(bundle)
    at = 0
    while (seconds := pipe.recv()) is not None:
        done, began = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - began < seconds:
            part = [rows[(at + place) % len(rows)] for place in range(OFFLINE)]
            classifier.predict([row.text for row in part], [row.context for row in part])
            at, done = at + OFFLINE, done + OFFLINE
        pipe.send(done / (time.perf_counter() - began))


@contextlib.contextmanager
def offline_engine(bundle: Path, rows: list[Row], threads: int) -> Iterator[Any]:
    """Rows a second of the bundle without a server."""
    context = get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=_engine, args=(other, bundle, rows, threads))
    process.start()
    other.close()

    def measure(seconds: float) -> float:
        pipe.send(seconds)
        return float(pipe.recv())

    measure(0)
    try:
        yield measure
    finally:
        pipe.send(None)
        process.join()


# ---- load -------------------------------------------------------------------------------------------


def load(system: str, port: int, rows: list[Row], clients: int, warm: float, seconds: float) -> dict[str, Any]:
    """Rows a second and latencies, ms, seen by clients; the generator is a process of its own."""
    context = get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_generator, args=(queue, system, port, rows, clients, warm, seconds))
    process.start()
    found: dict[str, Any] = queue.get()
    process.join()
    return found


def _generator(queue: Any, system: str, port: int, rows: list[Row], clients: int, warm: float, seconds: float) -> None:
    requests = [_request(system, row) for row in rows]
    queue.put(asyncio.run(_clients(port, requests, clients, warm, seconds)))


def _request(system: str, row: Row) -> bytes:
    if system == "infinity":
        path, body = "/classify", {"input": [row.text], "model": "m", "raw_scores": True}
    else:
        path, body = "/v1/classify", {"rows": [{"text": row.text, "context": row.context}]}
    text = json.dumps(body, ensure_ascii=False).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
    return head.encode() + text


async def _clients(port: int, requests: list[bytes], clients: int, warm: float, seconds: float) -> dict[str, Any]:
    began = time.perf_counter()
    first, last = began + warm, began + warm + seconds
    latencies: list[float] = []
    failed = 0

    async def client(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        at = number * 7919
        while (sent := time.perf_counter()) < last:
            writer.write(requests[at % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(int(part[15:]) for part in head.lower().split(b"\r\n") if part.startswith(b"content-length:"))
            await reader.readexactly(size)
            now = time.perf_counter()
            if first <= now <= last:
                latencies.append(1000 * (now - sent))
                failed += not head.startswith(b"HTTP/1.1 200")
            at += 1
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cuts = statistics.quantiles(latencies, n=100, method="inclusive") if len(latencies) > 1 else [float("nan")] * 99
    return {
        "rows_per_s": len(latencies) / seconds,
        "p50": cuts[49],
        "p95": cuts[94],
        "p99": cuts[98],
        "failed": failed,
        "cpu": (spent.ru_utime + spent.ru_stime) / (time.perf_counter() - began),
    }


# ---- servers ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def duobiao_server(bundle: Path, threads: int, folder: Path) -> Iterator[int]:
    port = _free_port()
    command = [sys.executable, "-m", "duobiao", "serve", str(bundle), "--port", str(port), "--threads", str(threads)]
    with _running(command, folder / "duobiao.log", port):
        yield port


@contextlib.contextmanager
def infinity_server(given: argparse.Namespace, folder: Path) -> Iterator[int]:
    port, model = _free_port(), folder / "model"
    as_transformers(given.encoder or given.bundle, model)
    program = str(Path(given.infinity).parent / "infinity_emb")
    command = [program, "v2", "--model-id", str(model), "--served-model-name", "m"]
    command += ["--port", str(port), "--engine", "torch", "--device", "cpu", "--no-bettertransformer", "--batch-size", "64"]
    settings = {
        "OMP_NUM_THREADS": str(given.threads),
        "HF_HUB_OFFLINE": "1",
        "INFINITY_ANONYMOUS_USAGE_STATS": "0",
        "PYTHONPATH": "",
    }
    with _running(command, folder / "infinity.log", port, settings):
        yield port


def as_transformers(bundle: Path, folder: Path) -> None:
    """The encoder of a bundle, with its output layer, as a BertForSequenceClassification (which pools by the first token)."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    from duobiao.bundle import read_bundle

    read = read_bundle(bundle)
    form = {key: value for key, value in read.model["encoder"].items() if key not in ("architectures", "dtype")}
    names = dict(enumerate(read.space.names))
    config = BertConfig(**{**form, "id2label": names, "label2id": {name: at for at, name in names.items()}})
    config.problem_type = "multi_label_classification"
    model = BertForSequenceClassification(config)
    weights = {f"bert.{name.removeprefix('encoder.')}": torch.from_numpy(own) for name, own in read.weights.items()}
    weights |= {f"classifier.{part}": weights.pop(f"bert.output.{part}") for part in ("weight", "bias")}
    missing = model.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys, missing
    model.save_pretrained(folder)
    (folder / "t.json").write_text(read.files["tokenizer.json"], encoding="utf-8")
    longest = int(read.input["max_length"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "t.json"), model_max_length=longest, pad_token="<pad>", unk_token="<unk>"
    )
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"  # older versions of transformers know the class by this name alone
    told = json.loads(settings.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings.write_text(json.dumps(told), encoding="utf-8")


@contextlib.contextmanager
def _running(command: list[str], log: Path, port: int, settings: dict[str, str] | None = None) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **(settings or {})})
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.25)
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main()
