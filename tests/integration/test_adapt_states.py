"""Adapting by the encoder's own states: what it said of the whole text is guessed from masked text, no head is needed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from commands import done
from plain_runs import same_weights
from safetensors.torch import load_file

from duobiao.config import parse_config
from duobiao.data.encode import Ids
from duobiao.models.mlm import load_with_head
from duobiao.models.pretrained import load_pretrained
from duobiao.train import adapt as module
from duobiao.train import loop
from duobiao.train.adapt import adapt
from duobiao.train.mini import PlainText

PARTS = ["你们快递坏了", "今天还行，喜欢", "麻烦请问一下开票", "上次买的那个东西", "打给我，我生气", "打错了，是我"]
TEXT = {"epochs": 4, "batch_size": 8, "max_length": 24, "lr": 1e-3, "held_out": 16}
CONFIG: dict[str, Any] = {
    "kind": "adapt",
    "text": TEXT,
    "train": {"checkpoint_seconds": 0},
    "mlm_weight": 0,
    "hidden_weight": 1,
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chance = random.Random(1)
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_text("\n".join("，".join(chance.sample(PARTS, 2)) for _ in range(160)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def headless(tmp_path_factory: pytest.TempPathFactory, bert_folder: Path) -> Path:
    """An encoder that comes without a head and without dropout."""
    folder = tmp_path_factory.mktemp("encoders") / "headless"
    found = load_pretrained(str(bert_folder))
    found.model.config.hidden_dropout_prob = found.model.config.attention_probs_dropout_prob = 0.0
    found.model.save_pretrained(folder)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        if (bert_folder / name).is_file():
            (folder / name).write_bytes((bert_folder / name).read_bytes())
    assert not load_with_head(str(folder)).trained
    return folder


def test_it_begins_as_it_is(headless: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without masks, the loss of the first step is that of an encoder that says what it said: 0."""
    losses: list[float] = []
    real = loop._Run.step

    def step(self: Any, *arguments: Any) -> float:
        losses.append(real(self, *arguments))
        return losses[-1]

    monkeypatch.setattr(loop._Run, "step", step)
    monkeypatch.setattr(module, "PlainText", WithoutMasks)
    config = parse_config({**CONFIG, "text": {**TEXT, "epochs": None, "steps": 1}})
    adapt(str(headless), config, [text], tmp_path / "out")
    assert losses[0] == pytest.approx(0, abs=1e-5)


class WithoutMasks(PlainText):
    """Text as it is."""

    def batch(self, rows: Ids, places: Ids) -> dict[str, Any]:
        found = super().batch(rows, places)
        return {**found, "input_ids": self.packed.batch(rows, self.pads[0])["input_ids"]}


def test_states_are_guessed_better_and_no_head_is_written(headless: Path, text: Path, tmp_path: Path) -> None:
    found = adapt(str(headless), parse_config(CONFIG), [text], tmp_path / "out")
    before, after = (found.notes["held_out"][when]["hidden"] for when in ("before", "after"))
    assert 0 < after < before
    assert found.notes["head"] == "none"
    assert not any(name.startswith("cls.") for name in load_file(tmp_path / "out" / "model.safetensors"))
    assert not load_with_head(str(tmp_path / "out")).trained
    assert load_pretrained(str(tmp_path / "out")).tokenizer.encode("快递").ids == (
        load_pretrained(str(headless)).tokenizer.encode("快递").ids
    )


def test_both_losses_go_together_with_the_encoders_head(bert_folder: Path, text: Path, tmp_path: Path) -> None:
    found = adapt(str(bert_folder), parse_config({**CONFIG, "mlm_weight": 1}), [text], tmp_path / "out")
    line = json.loads((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"mlm", "hidden", "held_out_loss", "held_out_accuracy"} <= line.keys()
    assert found.notes["head"] in {"trained", "new"}


def test_a_head_that_no_longer_learns_is_not_kept(bert_folder: Path, text: Path, tmp_path: Path) -> None:
    assert adapt(str(bert_folder), parse_config(CONFIG), [text], tmp_path / "out").notes["head"] == "none"
    assert not load_with_head(str(tmp_path / "out")).trained


def test_slices_end_at_the_same_weights(headless: Path, text: Path, tmp_path: Path) -> None:
    config = parse_config(CONFIG)
    whole = adapt(str(headless), config, [text], tmp_path / "whole")
    for _ in range(whole.total):
        if adapt(str(headless), config, [text], tmp_path / "sliced", slice_steps=3).finished:
            break
    assert same_weights(tmp_path / "whole", tmp_path / "sliced")


def test_the_command_says_what_it_measured(headless: Path, text: Path, tmp_path: Path) -> None:
    changes = ("mlm_weight=0", "hidden_weight=1", "text.max_length=24", "text.batch_size=8", "text.epochs=1")
    options = [part for change in changes for part in ("--set", change)]
    result = done("adapt", "--encoder", headless, "--text", text, "--out", tmp_path / "out", *options)
    assert "own states of the whole text" in result.stdout
    assert "masked-LM head is a new one" not in result.stdout


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(Exception, match="nothing would be learned"):
        parse_config({**CONFIG, "hidden_weight": 0})
