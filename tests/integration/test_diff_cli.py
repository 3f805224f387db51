"""``diff`` from the command line, on the tiny chain."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from commands import done, duobiao, refused

from duobiao.classifier import Classifier
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.evaluate.diff import diff


def test_diff_passes_fails_and_refuses_by_its_exit_status(
    chain: Any, tiny_rows: Any, tmp_path: Path, write_rows: Callable[[Path, Sequence[Row]], Path]
) -> None:
    everything = write_rows(tmp_path / "all.jsonl", [*tiny_rows.train, *tiny_rows.dev])
    outputs = ("--flips", tmp_path / "flips.jsonl", "--md", tmp_path / "gate.md", "--json", tmp_path / "gate.json")
    same = done("diff", chain.linear, chain.linear, "--data", chain.test, *outputs)
    assert "闸门通过" in same.stdout
    assert (tmp_path / "flips.jsonl").read_text(encoding="utf-8") == ""
    worse = duobiao("diff", chain.linear, chain.student, "--data", everything, *outputs, "--lang", "en")
    assert worse.exit_code == 1, worse.output
    assert "Gate failed" in worse.stdout
    flips = [json.loads(line) for line in (tmp_path / "flips.jsonl").read_text(encoding="utf-8").splitlines()]
    found = json.loads((tmp_path / "gate.json").read_text(encoding="utf-8"))
    assert len(flips) == found["flips"]["rows"] > 0
    assert len(flips[0]["broken"]) - len(flips[0]["fixed"]) >= len(flips[-1]["broken"]) - len(flips[-1]["fixed"])
    rows = read_rows(everything)
    again = diff(Classifier.load(chain.linear), Classifier.load(chain.student), rows).found
    assert again == {**found, "limits": again["limits"]}
    allowed = ("--allow-drop", "100", "--allow-label-drop", "100")
    assert "Gate passed" in done("diff", chain.linear, chain.student, "--data", everything, *allowed, "--lang", "en").stdout
    refused("diff", chain.linear, chain.student, "--data", everything, "--max-flips", "3", names=("no share of rows",))
    refused("diff", chain.linear, chain.student, "--data", everything, "--flips", tmp_path / "x.csv", names=("JSONL",))
    refused("diff", chain.linear, tmp_path, "--data", everything, names=("no bundle",))
