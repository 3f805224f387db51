"""A hub on this machine: as much of the Hub's HTTP interface as its client needs to fetch and to push models."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pytest
from huggingface_hub import constants

TOKEN = "hf_of_the_owner"


@dataclass
class Repository:
    """Commits by their name, and the branches."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, bytes], message: str = "") -> str:
        name = hashlib.sha1(repr((sorted(files.items()), len(self.commits))).encode()).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        self.messages.append(message)
        return name

    def find(self, revision: str) -> str | None:
        return self.branches.get(revision) or (revision if revision in self.commits else None)


@dataclass
class Hub:
    """The state of the hub, and what it was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: bool = False
    address: str = ""

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        found = self.repositories[name]
        return found.commits[found.branches[branch]]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._resolve(body=False)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if not path.startswith("/api/"):
            return self._resolve(body=True)
        self.hub.asked.append(f"GET {path}")
        name, rest = self._named(path)
        repository = self._readable(name)
        if repository is None:
            return None
        commit = repository.find(rest[1] if len(rest) > 1 else "main")
        if commit is None:
            return self._answer(404, {"error": "no such revision"}, code="RevisionNotFound")
        files = repository.commits[commit]
        if rest and rest[0] == "tree":
            entries = [{"type": "file", "path": p, "size": len(b), "oid": _oid(b)} for p, b in sorted(files.items())]
            return self._answer(200, entries)
        siblings = [{"rfilename": path} for path in sorted(files)]
        return self._answer(
            200, {"id": name, "modelId": name, "sha": commit, "private": repository.private, "siblings": siblings}
        )

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"POST {path}")
        body = (
            self.rfile.read(int(self.headers.get("Content-Length", 0))) if "Content-Length" in self.headers else self._chunks()
        )
        if self.hub.broken:
            return self._answer(418, {"error": "out of order"})
        if path == "/api/validate-yaml":
            return self._answer(200, {"warnings": [], "errors": []})
        if not self._is_owner():
            return self._answer(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        name, rest = self._named(path)
        repository = self.hub.repositories[name]
        if rest[0] == "branch":
            repository.branches.setdefault(rest[1], repository.branches["main"])
            return self._answer(200, {})
        if rest[0] == "preupload":
            files = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in json.loads(body)["files"]]
            return self._answer(200, {"files": files})
        files, message = dict(self.hub.files(name, rest[1])), ""
        for line in body.splitlines():
            item = json.loads(line)
            if item["key"] == "header":
                message = item["value"]["summary"]
            elif item["key"] == "file":
                files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            elif item["key"] == "deletedFile":
                del files[item["value"]["path"]]
        commit = repository.commit(rest[1], files, message)
        url = f"{self.hub.address}/{name}/commit/{commit}"
        return self._answer(200, {"success": True, "commitUrl": url, "commitOid": commit, "hookOutput": ""})

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.hub.repositories:
            return self._answer(409, {"error": "You already created this model repo", "url": f"{self.hub.address}/{name}"})
        self.hub.repositories[name] = Repository(wanted.get("visibility") == "private")
        self.hub.repositories[name].commit("main", {".gitattributes": b""})
        return self._answer(200, {"url": f"{self.hub.address}/{name}", "name": name})

    def _resolve(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        owner, model, _, revision, file = path.strip("/").split("/", 4)
        repository = self._readable(f"{owner}/{model}")
        if repository is None:
            return None
        commit = repository.find(revision)
        if commit is None:
            return self._answer(404, {}, code="RevisionNotFound")
        content = repository.commits[commit].get(file)
        if content is None:
            return self._answer(404, {}, code="EntryNotFound", commit=commit)
        headers = {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": commit, "Content-Length": str(len(content))}
        self._send(200, content if body else b"", headers)
        return None

    def _readable(self, name: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        if self.hub.broken:
            self._answer(418, {"error": "out of order"})
        elif repository is None or (repository.private and not self._is_owner()):
            self._answer(404 if self._is_owner() else 401, {"error": "Repository not found"}, code="RepoNotFound")
        else:
            return repository
        return None

    def _is_owner(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _named(self, path: str) -> tuple[str, list[str]]:
        """``/api/models/org/name/what/revision`` as the name and the rest."""
        parts = path.removeprefix("/api/models/").split("/")
        return "/".join(parts[:2]), parts[2:]

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        return found

    def _answer(self, status: int, content: Any, code: str = "", commit: str = "") -> None:
        headers = {"Content-Type": "application/json"}
        headers |= {"X-Error-Code": code} if code else {}
        headers |= {"X-Repo-Commit": commit} if commit else {}
        data = json.dumps(content).encode()
        self._send(status, data if self.command != "HEAD" else b"", {**headers, "Content-Length": str(len(data))})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running() -> Iterator[Hub]:
    """A hub that answers as long as the block lasts."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def logged_in(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """A hub that the client of this process talks to, with its owner logged in and an empty cache."""
    with running() as hub:
        ask_at(monkeypatch, hub.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            monkeypatch.setattr(constants, name, str(cache))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


def ask_at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """The client of this process takes the hub at an address for the Hub."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
