"""benchmarks/peers: what a peer answers, over the pipe."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
ADAPTER = f"""
import sys
sys.path.insert(0, {str(PEERS)!r})
from pipe import main

class Loaded:
    labels = ["b", "c", "a"]

    def __init__(self, out):
        pass

    def answer(self, texts):
        print("noise that a library prints")
        return [[2.0, 3.0, 1.0] for _ in texts], [["c"] for _ in texts]

main(lambda *args: None, Loaded)
"""


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PEERS))
    return importlib.import_module("process")


def test_scores_come_in_the_order_that_is_asked_for(
    process: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "adapter.py").write_text(ADAPTER, encoding="utf-8")
    monkeypatch.setattr(process, "command", lambda peer, python: [python, str(tmp_path / "adapter.py")])
    rows = [{"text": "一", "context": None}, {"text": "二", "context": "问"}]
    with process.Process("peer", sys.executable, tmp_path) as peer:
        scores, said = peer.answers(rows, ["a", "b", "c"])
        assert peer.seconds(rows[:1]) >= 0
    np.testing.assert_array_equal(scores, [[1, 2, 3]] * 2)
    assert said == [["c"], ["c"]]
