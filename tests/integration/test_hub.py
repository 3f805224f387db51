"""Pushing and fetching bundles with the Hub's own client, against a hub on this machine."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from commands import refused
from fake_hub import TOKEN, Hub, ask_at, logged_in
from huggingface_hub import ModelCard, constants

import duobiao
from duobiao.bundle import MANIFEST, read_bundle, write_bundle, write_metrics
from duobiao.classifier import Classifier
from duobiao.errors import BundleError, ConfigError
from duobiao.hub import find_bundle, pull, push

NAME = "team/hotline"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The hub that the client talks to, with its owner logged in and an empty cache."""
    with logged_in(monkeypatch, tmp_path / "cache") as found:
        yield found


@pytest.fixture
def bundle(chain: Any, tmp_path: Path) -> Path:
    place = tmp_path / "runs" / "linear"
    write_bundle(place, replace(read_bundle(chain.linear), config={"kind": "linear", "words": "/home/somebody/words.json"}))
    return place


def test_what_is_pushed_comes_back_the_same(hub: Hub, bundle: Path, tmp_path: Path):
    url = push(bundle, NAME)
    assert url.startswith(f"{hub.address}/{NAME}/commit/")
    assert hub.repositories[NAME].private
    assert hub.files(NAME).keys() == {".gitattributes", "README.md", MANIFEST, "model.safetensors", "vocabulary.json"}
    out = pull(NAME, tmp_path / "mine" / "linear")
    assert read_bundle(out).digest == read_bundle(bundle).digest
    assert {path.name for path in out.iterdir()} == {"README.md", MANIFEST, "model.safetensors", "vocabulary.json"}
    assert not any(path.is_symlink() for path in out.iterdir())
    system = Classifier.from_pretrained(NAME)
    assert system.predict(["快递坏了"]) == duobiao.load(bundle).predict(["快递坏了"])


def test_local_paths_are_not_pushed(hub: Hub, bundle: Path):
    push(bundle, NAME)
    assert all(b"somebody" not in content for content in hub.files(NAME).values())
    assert json.loads(hub.files(NAME)[MANIFEST])["config"]["words"] == "words.json"
    assert b"somebody" in (bundle / MANIFEST).read_bytes(), "the bundle itself stays as it is"
    assert ModelCard(hub.files(NAME)["README.md"].decode()).data.library_name == "duobiao"


def test_words_of_ones_own_are_pushed_as_they_are(hub: Hub, bundle: Path):
    words = "~2023/2024 年的热线，负责人：数据组/NLP"
    write_metrics(bundle, {"card": {"notes": words}, "teacher": "/home/somebody/runs/teacher"})
    push(bundle, NAME)
    pushed = json.loads(hub.files(NAME)[MANIFEST])
    assert (pushed["metrics"]["card"], pushed["metrics"]["teacher"]) == ({"notes": words}, "teacher")
    assert hub.files(NAME)["README.md"].decode().count(words) == 2


def test_a_folder_of_the_repositorys_name_is_not_pulled(
    hub: Hub, bundle: Path, chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    push(bundle, NAME)
    write_bundle(tmp_path / NAME, read_bundle(chain.student))
    monkeypatch.chdir(tmp_path)
    assert read_bundle(pull(NAME, tmp_path / "out")).kind == "linear"
    write_bundle(tmp_path / "team" / "other", read_bundle(chain.student))
    with pytest.raises(BundleError, match="no such repository"):
        pull("team/other", tmp_path / "none")


def test_anything_else_in_the_folder_is_refused(hub: Hub, bundle: Path):
    (bundle / "train.jsonl").write_text("secret", encoding="utf-8")
    (bundle / ".soft_labels").mkdir()
    with pytest.raises(BundleError, match="2 files that are not of the bundle, and nothing is pushed") as caught:
        push(bundle, NAME)
    assert caught.value.problems == (".soft_labels", "train.jsonl")
    assert hub.asked == []


def test_a_damaged_bundle_is_not_pushed(hub: Hub, bundle: Path):
    (bundle / "vocabulary.json").write_text("[]", encoding="utf-8")
    with pytest.raises(BundleError, match="damaged"):
        push(bundle, NAME)
    assert hub.asked == []


def test_a_new_bundle_takes_the_place_of_the_old_one(hub: Hub, bundle: Path, chain: Any):
    duobiao.load(bundle).push_to_hub(NAME, private=False)
    assert not hub.repositories[NAME].private
    hub.repositories[NAME].commit("main", {**hub.files(NAME), "notes.md": b"by hand"})
    push(chain.student, NAME, message="a student")
    assert "vocabulary.json" not in hub.files(NAME)
    assert hub.files(NAME)["notes.md"] == b"by hand"
    assert hub.repositories[NAME].messages[-1] == "a student"
    assert find_bundle(NAME).joinpath("tokenizer.json").is_file()
    assert not find_bundle(NAME).joinpath("notes.md").exists(), "what is no bundle's file is not fetched"


def test_a_repository_with_something_else_stays(hub: Hub, bundle: Path):
    push(bundle, NAME)
    hub.repositories[NAME].commit("main", {"config.json": b"{}", "README.md": b""})
    with pytest.raises(BundleError, match="holds something else") as caught:
        push(bundle, NAME)
    assert caught.value.problems == ("config.json",)
    with pytest.raises(BundleError, match="holds no bundle"):
        find_bundle(NAME)


def test_revisions(hub: Hub, bundle: Path, chain: Any):
    push(bundle, NAME)
    first = hub.repositories[NAME].branches["main"]
    push(chain.student, NAME, revision="next")
    assert read_bundle(find_bundle(NAME)).kind == "linear"
    assert read_bundle(find_bundle(NAME, revision="next")).kind == "bigru"
    assert find_bundle(NAME, revision=first).name == first
    with pytest.raises(BundleError, match="no such revision"):
        find_bundle(NAME, revision="none")


def test_a_folder_asks_nothing_of_the_network(hub: Hub, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert Classifier.from_pretrained(bundle).labels == duobiao.load(bundle).labels
    monkeypatch.chdir(bundle.parent.parent)
    assert find_bundle("runs/linear") == Path("runs/linear")
    for wrong in (tmp_path / "none", "./runs/none", "none"):
        with pytest.raises(BundleError, match="there is no such folder"):
            find_bundle(wrong)
    assert hub.asked == []


def test_offline_a_snapshot_from_before_will_do(hub: Hub, bundle: Path, monkeypatch: pytest.MonkeyPatch):
    push(bundle, NAME)
    found = find_bundle(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.asked.clear()
    assert find_bundle(NAME) == found
    assert Classifier.from_pretrained(NAME).name == "linear"
    with pytest.raises(BundleError, match="was not fetched before") as caught:
        find_bundle("team/other")
    assert "duobiao pull" in caught.value.hint
    with pytest.raises(BundleError, match="cannot be reached") as caught:
        push(bundle, NAME)
    assert "HF_HUB_OFFLINE" in caught.value.hint
    assert hub.asked == []


def test_private_repositories_want_a_token(hub: Hub, bundle: Path, monkeypatch: pytest.MonkeyPatch):
    push(bundle, NAME)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    with pytest.raises(BundleError, match="no such repository, or none that you may read") as caught:
        find_bundle(NAME)
    assert "hf auth login" in caught.value.hint
    assert find_bundle(NAME, token=TOKEN).is_dir()
    with pytest.raises(BundleError, match=r"Hub answers|no such repository") as caught:
        push(bundle, "team/new")
    assert "hf auth login" in caught.value.hint


def test_a_hub_out_of_order_is_told(hub: Hub, bundle: Path):
    hub.broken = True
    with pytest.raises(BundleError, match="the Hub answers"):
        push(bundle, NAME)


def nobody() -> str:
    """An address of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def move(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """The client asks at another address, and does not wait between its attempts."""
    ask_at(monkeypatch, address)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.mark.parametrize("address", [nobody(), "http://hub.invalid", "hub", "http://[::1"], ids=range(4))
def test_a_hub_that_is_not_there_is_one_error_with_a_cure(
    hub: Hub, bundle: Path, monkeypatch: pytest.MonkeyPatch, network_attempts: list[str], address: str
):
    move(monkeypatch, address)
    message = refused("push", bundle, NAME, names=(f"{NAME}: the Hub cannot be reached: ", "HF_ENDPOINT", "HF_HUB_OFFLINE"))
    assert len(message.splitlines()) == 2, message
    assert all("hub.invalid" in attempt for attempt in network_attempts)
    network_attempts.clear()


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
@pytest.mark.parametrize("error", ["ConnectError", "ConnectTimeout", "ReadTimeout", "RemoteProtocolError"])
def test_the_errors_of_either_http_package_are_told(
    hub: Hub, bundle: Path, monkeypatch: pytest.MonkeyPatch, package: str, error: str
):
    def fail(*args: Any, **options: Any) -> None:
        raise getattr(pytest.importorskip(package), error)("")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", fail)
    with pytest.raises(BundleError, match=f"cannot be reached: {error}"):
        push(bundle, NAME)


def test_attempts_to_fetch_are_not_told_one_by_one(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    move(monkeypatch, nobody())
    told: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = told.append  # type: ignore[method-assign]
    logger = logging.getLogger("huggingface_hub.utils._http")
    logger.addHandler(handler)
    try:
        refused("pull", NAME, "--out", tmp_path / "out", names=("was not fetched before, and the Hub cannot be reached",))
        assert told == []
        logger.warning("Rate limited. Waiting 9s before retry")
        assert len(told) == 1
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize("name", ["hotline", "a/b/c", "team/", "../x", "team/hot line"])
def test_what_is_no_name_is_refused(hub: Hub, bundle: Path, name: str, tmp_path: Path):
    with pytest.raises(ConfigError, match="no name of a repository"):
        push(bundle, name)
    with pytest.raises(ConfigError, match="no name of a repository"):
        pull(name, tmp_path / "out")
    assert hub.asked == []


def test_a_manifest_that_names_paths_is_refused(hub: Hub, bundle: Path):
    push(bundle, NAME)
    manifest = json.loads(hub.files(NAME)[MANIFEST])
    manifest["files"]["../../evil.json"] = "0" * 64
    hub.repositories[NAME].commit("main", {**hub.files(NAME), MANIFEST: json.dumps(manifest).encode()})
    with pytest.raises(BundleError, match="names files that no bundle has") as caught:
        find_bundle(NAME)
    assert caught.value.problems == ("../../evil.json",)


def test_a_damaged_download_replaces_nothing(hub: Hub, bundle: Path, chain: Any, tmp_path: Path):
    push(bundle, NAME)
    hub.repositories[NAME].commit("main", {**hub.files(NAME), "vocabulary.json": b"[]"})
    out = tmp_path / "out"
    write_bundle(out, read_bundle(chain.linear))
    with pytest.raises(BundleError, match="damaged"):
        pull(NAME, out)
    assert read_bundle(out).digest == read_bundle(chain.linear).digest
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("x", encoding="utf-8")
    with pytest.raises(BundleError, match="stands there already"):
        pull(NAME, tmp_path / "mine")


def test_without_the_hubs_package_the_error_is_a_pip_line(bundle: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert find_bundle(bundle) == bundle
    with pytest.raises(ConfigError, match="the Hub needs the package 'huggingface_hub'") as caught:
        push(bundle, NAME)
    assert caught.value.hint == "pip install huggingface-hub"


def test_the_commands_in_a_process_of_their_own(hub: Hub, bundle: Path, tmp_path: Path):
    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        names = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}
        command = [sys.executable, "-m", "duobiao", *map(str, arguments)]
        return subprocess.run(command, env={**os.environ, **names}, capture_output=True, text=True, timeout=120, check=False)

    pushed = run("push", bundle, NAME, "--public")
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.startswith(f"{hub.address}/{NAME}/commit/")
    assert not hub.repositories[NAME].private
    pulled = run("pull", NAME, "--out", tmp_path / "out")
    assert pulled.returncode == 0, pulled.stderr
    assert read_bundle(tmp_path / "out").digest == read_bundle(bundle).digest


def test_the_commands_say_what_to_do(bundle: Path, tmp_path: Path):
    assert "org/name" in refused("push", bundle, "hotline", names=("no name of a repository",))
    refused("pull", NAME, "--out", tmp_path / "out", names=(NAME,))
    assert not (tmp_path / "out").exists()
