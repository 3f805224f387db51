"""Bundles and runs in processes of their own: without a network, without the training stack, and killed half-way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.config import load_config, parse_config
from duobiao.data.load import load_splits
from duobiao.labels import LabelSpace
from duobiao.train import recipe

TEACHER = {
    "kind": "encoder",
    "input": {"max_length": 48},
    "shape": {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 16, "vocab_size": 200},
    "train": {"epochs": 1, "batch_size": 16, "lr": 3e-3},
}
STUDENT = {"kind": "bigru", "hidden": 8, "fc": 8, "train": {"epochs": 1, "batch_size": 16, "lr": 1e-2}}

ASK = """
import json, sys
folders, texts, contexts = json.loads(sys.stdin.read())
import duobiao
answers = [duobiao.load(folder).predict(texts, context=contexts) for folder in folders]
print(json.dumps([[[one.labels, one.scores] for one in answer] for answer in answers]))
"""
NO_NETWORK = """
import socket
def refuse(*_, **__):
    raise SystemExit("the network was asked")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""
NO_TRAINING_STACK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("transformers", "accelerate", "tensorboard", "pyarrow", "openpyxl"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
"""
NO_TRAINING_STACK_REFUSED = (
    NO_TRAINING_STACK
    + """
from duobiao.errors import MissingExtraError
try:
    duobiao.load(FOLDER)
except MissingExtraError as error:
    assert 'pip install "duobiao[torch]"' in str(error), error
else:
    raise SystemExit("no error")
"""
)


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    return {**kept, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def bundles(
    tmp_path_factory: pytest.TempPathFactory, tiny_rows: Any, tiny_space: LabelSpace, albert_folder: Path
) -> list[Path]:
    """A teacher and its student."""
    place = tmp_path_factory.mktemp("alone")
    teacher = parse_config({**TEACHER, "encoder": str(albert_folder)})
    recipe.train(teacher, tiny_rows.train, tiny_rows.dev, tiny_space, place / "teacher")
    recipe.distil(place / "teacher", parse_config(STUDENT), tiny_rows.train, tiny_rows.dev, place / "student")
    return [place / "student", place / "teacher"]


def ask_alone(prelude: str, folders: list[Path], rows: list[Any]) -> None:
    """Asks bundles in a process of its own, and compares with the answers given here."""
    texts, contexts = [row.text for row in rows], [row.context for row in rows]
    question = json.dumps([[str(folder) for folder in folders], texts, contexts])
    command = [sys.executable, "-c", prelude + ASK]
    done = subprocess.run(command, input=question, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for folder, answers in zip(folders, json.loads(done.stdout), strict=True):
        for (labels, scores), wanted in zip(answers, Classifier.load(folder).predict(texts, context=contexts), strict=True):
            assert labels == wanted.labels
            assert scores.keys() == wanted.scores.keys()
            np.testing.assert_allclose(list(scores.values()), list(wanted.scores.values()), atol=2e-6)


def test_bundles_answer_without_a_network(bundles: list[Path], tiny_rows: Any) -> None:
    ask_alone(NO_NETWORK, bundles, tiny_rows.dev)


def test_a_student_answers_without_the_training_stack_and_a_teacher_says_what_it_lacks(
    bundles: list[Path], tiny_rows: Any
) -> None:
    refused = "import duobiao\n" + NO_TRAINING_STACK_REFUSED.replace("FOLDER", repr(str(bundles[1])))
    ask_alone(refused, bundles[:1], tiny_rows.dev)


def test_a_killed_run_goes_on_to_the_same_bundle(
    tmp_path: Path, tiny_rows: Any, tiny_space: LabelSpace, write_rows: Callable[..., Path]
) -> None:
    config = {**TEACHER, "train": {**TEACHER["train"], "epochs": 60, "checkpoint_seconds": 0}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (tmp_path / "labels.yaml").write_text(tiny_space.to_yaml(), encoding="utf-8")
    train, dev = write_rows(tmp_path / "train.jsonl", tiny_rows.train), write_rows(tmp_path / "dev.jsonl", tiny_rows.dev)
    out = tmp_path / "out"
    files = ["--config", tmp_path / "tiny.yaml", "--train", train, "--dev", dev, "--labels", tmp_path / "labels.yaml"]
    command = [sys.executable, "-m", "duobiao", "train", *map(str, files), "--out", str(out)]
    running = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "out.run" / "last.pt"
    deadline = time.monotonic() + 600
    while not checkpoint.is_file() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert checkpoint.is_file()
    assert not out.exists()
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resumed at step" in done.stderr
    assert not checkpoint.parent.exists()
    splits = load_splits(train, dev, tmp_path / "labels.yaml")
    whole = recipe.train(load_config(tmp_path / "tiny.yaml"), splits.train, splits.dev, splits.space, tmp_path / "whole")
    assert read_bundle(out).digest == read_bundle(whole).digest
