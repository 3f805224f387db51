"""Encoders by hub name: what was fetched before is found without a network, and no more is fetched than is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from encoder_forms import BY_NAME, FORMS, make_form, reference
from huggingface_hub.errors import RepositoryNotFoundError

from duobiao.errors import ConfigError
from duobiao.models import encoder_files
from duobiao.models.pretrained import load_pretrained

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAMES = [form.name for form in FORMS]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a form into the hub's cache, as if it had been fetched before."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def fill(name: str) -> Path:
        place = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        (place / "refs").mkdir(parents=True)
        (place / "refs" / "main").write_text(COMMIT, encoding="utf-8")
        return make_form(BY_NAME[name], place / "snapshots" / COMMIT, "快递坏了")

    return fill


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_was_fetched_before_is_found_without_a_network(
    name: str, cache: Callable[[str], Path], network_attempts: list[str]
) -> None:
    folder = cache(name)
    found = load_pretrained(name)
    whole = reference(folder, BY_NAME[name])
    wanted = getattr(whole, whole.base_model_prefix, whole).get_input_embeddings().weight
    assert torch.equal(found.model.get_input_embeddings().weight, wanted)
    assert found.tokenizer.encode("快递").ids == load_pretrained(str(folder)).tokenizer.encode("快递").ids
    assert load_pretrained(name, COMMIT).pad_id == found.pad_id
    assert network_attempts == []


def test_a_name_with_damaged_files_is_refused_under_its_name(cache: Callable[[str], Path]) -> None:
    folder = cache("hfl/rbt3")
    (folder / "vocab.txt").unlink()
    with pytest.raises(ConfigError, match=r"encoder 'hfl/rbt3': no tokenizer\.json, vocab\.txt") as caught:
        load_pretrained("hfl/rbt3")
    assert caught.value.hint


class _Hub:
    """A hub that holds one repository, and notes what is asked of it."""

    def __init__(self, repository: Path, place: Path, also: list[str]) -> None:
        self.repository, self.place, self.also = repository, place, also
        self.fetched: list[str] = []

    def model_info(self, name: str, *, revision: str | None, timeout: float) -> Any:
        files = [str(path.relative_to(self.repository)) for path in self.repository.rglob("*") if path.is_file()]
        return SimpleNamespace(sha=COMMIT, siblings=[SimpleNamespace(rfilename=file) for file in files + self.also])

    def download(self, name: str, *, revision: str, allow_patterns: list[str]) -> str:
        assert revision == COMMIT
        self.fetched = sorted(allow_patterns)
        self.place.mkdir()
        for file in allow_patterns:
            shutil.copy(self.repository / file, self.place / file)
        return str(self.place)


@pytest.mark.parametrize(
    ("name", "also", "wanted"),
    [
        (
            "hfl/chinese-roberta-wwm-ext",
            ["flax_model.msgpack", "README.md"],
            ["pytorch_model.bin", "tokenizer.json", "vocab.txt"],
        ),
        ("BAAI/bge-small-zh-v1.5", ["pytorch_model.bin"], ["model.safetensors", "tokenizer.json", "vocab.txt"]),
        (
            "intfloat/multilingual-e5-base",
            ["onnx/model.onnx", "pytorch_model.bin"],
            ["model.safetensors", "sentencepiece.bpe.model", "tokenizer.json"],
        ),
    ],
)
def test_only_what_is_read_is_fetched_and_the_weights_once(
    name: str, also: list[str], wanted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = _Hub(make_form(BY_NAME[name], tmp_path / "repository", "快递"), tmp_path / "fetched", also)
    monkeypatch.setattr(encoder_files, "HfApi", lambda: hub)
    monkeypatch.setattr(encoder_files, "snapshot_download", hub.download)
    load_pretrained(name)
    assert hub.fetched == sorted(["config.json", "tokenizer_config.json", *wanted])


def test_shards_are_fetched_with_their_index() -> None:
    files = ["pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "x.bin"]
    assert sorted(encoder_files._wanted(files)) == sorted(files[:3])
    safe = ["model.safetensors.index.json", "model-00001-of-00001.safetensors"]
    assert sorted(encoder_files._wanted([*files, *safe])) == sorted(safe)
    assert encoder_files._wanted([*files, *safe, "model.safetensors"]) == ["model.safetensors"]


def test_a_hub_that_refuses_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    answer: Any = SimpleNamespace(headers={}, request=None)  # what of an answer the error looks at

    def refuse(name: str, **options: Any) -> Any:
        raise RepositoryNotFoundError("404 Client Error: Repository Not Found", response=answer)

    monkeypatch.setattr(encoder_files, "HfApi", lambda: SimpleNamespace(model_info=refuse))
    with pytest.raises(ConfigError, match="it answered: 404 Client Error: Repository Not Found") as caught:
        load_pretrained("hfl/no-such")
    assert "--set encoder=FOLDER" in caught.value.hint
