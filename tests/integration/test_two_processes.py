"""Two gloo processes give the weights of one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from tiny_run import plain_sgd, train
from torch.testing import assert_close

from duobiao.bundle import read_bundle
from duobiao.config import parse_config
from duobiao.data.load import load_splits
from duobiao.labels import LabelSpace
from duobiao.train import loop, recipe
from duobiao.train.optim import make_optimizer

JOBS: list[dict[str, Any]] = [
    {"kind": "bert"},
    {"kind": "bigru", "sgd": True, "micro_batch_size": 5},
    {"kind": "projection", "sgd": True, "micro_batch_size": 1, "tracker": "tensorboard"},
    {"kind": "distil", "checkpoint_seconds": 0.0, "clocks_differ": True},
]


def launch_environments(processes: int) -> list[dict[str, str]]:
    """What ``torchrun`` and ``accelerate launch`` tell each process, with gloo on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes), "ACCELERATE_USE_CPU": "true"}
    if sys.platform == "linux":
        common["GLOO_SOCKET_IFNAME"] = "lo"
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    return [{**os.environ, "OMP_NUM_THREADS": "1", **common, **rank} for rank in ranks]


@pytest.fixture(scope="module")
def out(
    tmp_path_factory: pytest.TempPathFactory, tiny_rows: Any, tiny_space: LabelSpace, write_rows: Callable[..., Path]
) -> Path:
    """What two processes left."""
    folder = tmp_path_factory.mktemp("two")
    rows, labels = write_rows(folder / "rows.jsonl", tiny_rows.train), folder / "labels.yaml"
    labels.write_text(tiny_space.to_yaml(), encoding="utf-8")
    command = [sys.executable, str(Path(__file__).with_name("two_processes.py")), str(folder), json.dumps(JOBS)]
    running = [
        subprocess.Popen([*command, str(rows), str(labels)], env=environment, stderr=subprocess.PIPE, text=True)
        for environment in launch_environments(2)
    ]
    errors = []
    for process in running:
        try:
            errors.append(process.communicate(timeout=300)[1])
        finally:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(errors)[-4000:]
    return folder


@pytest.mark.parametrize("number", range(len(JOBS)))
def test_the_loop_gives_the_weights_of_one_process(
    number: int, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {name: value for name, value in JOBS[number].items() if name not in ("sgd", "clocks_differ")}
    monkeypatch.setattr(loop, "make_optimizer", plain_sgd if JOBS[number].get("sgd") else make_optimizer)
    alone = train(tmp_path, **job)
    for rank in range(2):
        processes, steps, lines = json.loads((out / f"{number}.{rank}.json").read_text())
        assert processes == [2, 2]  # and the group stood to the end
        assert steps == alone.at.total
        assert_close(load_file(out / f"{number}.{rank}"), alone.student, rtol=1e-4, atol=2e-6)
        for found, wanted in zip(lines, alone.lines, strict=True):
            assert found == pytest.approx(wanted, rel=1e-3)


def test_a_recipe_writes_one_bundle_that_one_process_would_write(out: Path, tmp_path: Path) -> None:
    assert not list(out.glob("*.run"))
    teacher, student = read_bundle(out / "teacher"), read_bundle(out / "student")
    assert teacher.metrics["dev"]["rows"] > 0
    splits = load_splits(out / "rows.jsonl", None, out / "labels.yaml")
    recipe.distil(
        out / "teacher", parse_config(dict(student.config)), splits.train, splits.dev, tmp_path / "alone", transfer=splits.dev
    )
    alone = read_bundle(tmp_path / "alone")
    assert alone.run == student.run
    for name, array in alone.weights.items():
        np.testing.assert_allclose(student.weights[name], array, rtol=1e-3, atol=1e-5)
