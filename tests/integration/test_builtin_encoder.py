"""The encoder that comes with the package: whole, small, found by its name, read as transformers reads it."""

import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import done
from transformers import AutoModel, AutoTokenizer

from duobiao import builtin
from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.models.mlm import load_with_head
from duobiao.models.pretrained import folder_digest, load_pretrained

MOST_BYTES = 20_000_000
ALIKE = (
    ("快递三天没到，我要投诉", "包裹一直没收到，太慢了", "周末一起去看电影吧"),
    ("怎么开发票", "请问电子发票在哪里下载", "这件衣服质量很差"),
    ("我要退款", "钱什么时候退给我", "外面下大雨了"),
    ("孩子发烧三十九度", "宝宝咳嗽流鼻涕怎么办", "手机屏幕碎了"),
)
"""A text, one that means nearly the same with other words, and one about something else."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def states(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=torch.tensor([ids])).last_hidden_state[0]
    return found


def test_it_is_small_and_comes_with_its_card():
    folder = builtin.encoder_folder()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert all(word in card for word in ("duobiao-mini", "MIT", "CC0", "general-distil"))


def test_plain_transformers_reads_it_as_we_do():
    folder, ours = builtin.encoder_folder(), load_pretrained(builtin.ENCODER)
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.float32
    assert 3 <= model.config.num_hidden_layers <= 6
    assert tokenizer.is_fast
    for text in ("我要投诉快递", "ＡＢＣ 2024年5月3日 é！", "龘"):
        ids = ours.tokenizer.encode(text).ids
        assert tokenizer(text)["input_ids"] == ids
        assert torch.equal(states(model, ids), states(ours.model, ids))
    assert tokenizer.pad_token_id == ours.pad_id


def test_it_knows_chinese():
    found = load_pretrained(builtin.ENCODER)

    def vector(text: str) -> np.ndarray:
        mean = states(found.model, found.tokenizer.encode(text).ids).mean(0).numpy()
        return mean / np.linalg.norm(mean)

    for text, same, other in ALIKE:
        assert vector(text) @ vector(same) > vector(text) @ vector(other) + 0.1


def test_no_head_that_learned_nothing_comes_with_it():
    assert not load_with_head(builtin.ENCODER).trained


def test_a_teacher_is_trained_from_it_by_name(chain: Any, tmp_path: Path):
    data = ("--train", chain.train, "--dev", chain.dev, "--labels", chain.labels)
    done("train", "--config", "teacher-mini", *data, "--out", tmp_path / "t", "--set", "train.epochs=1", "--set", "min_steps=0")
    bundle = read_bundle(tmp_path / "t")
    assert bundle.metrics["start"] == "pre-trained"
    assert Classifier.load(tmp_path / "t").predict(["快递没到"])


def test_another_encoder_in_its_place_makes_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = folder_digest(builtin.ENCODER)
    folder = tmp_path / "encoder"
    shutil.copytree(builtin.encoder_folder(), folder)
    monkeypatch.setattr(builtin, "encoder_folder", lambda: folder)
    assert folder_digest(builtin.ENCODER) == before
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert folder_digest(builtin.ENCODER) != before


def test_a_folder_of_its_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bert_folder: Path):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bert_folder, tmp_path / builtin.ENCODER)
    assert load_pretrained(builtin.ENCODER).model.config.hidden_size == 32
