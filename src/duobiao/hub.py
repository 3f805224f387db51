"""Bundles on the Hugging Face Hub: fetched whole and checked, pushed without anything that is not of the bundle."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duobiao.bundle import MANIFEST, check_place, in_place_of, read_bundle, read_manifest
from duobiao.card import CARD, render_card
from duobiao.card.words import without_paths
from duobiao.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE = re.compile(r"[\w.-]+\.(safetensors|json|jsonl|onnx|txt)")
_THEIRS = {".gitattributes", CARD}
"""Files that any repository has."""
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


def find_bundle(
    name: str | Path, *, revision: str | None = None, token: str | None = None, cache_dir: str | Path | None = None
) -> Path:
    """The folder of a bundle: a local one, for which the network is never asked, or a snapshot of a repository on the Hub.

    Args:
        name: A folder, or ``org/name``.
        revision: Branch, tag or commit; the main branch if left out.
        token: Access token; by default the one that the user logged in with.
        cache_dir: Where snapshots are kept; by default the Hub's own cache.

    Raises:
        BundleError: If there is neither, or it cannot be reached, or is no bundle.
        ConfigError: If the package for the Hub is missing.
    """
    if Path(name).is_dir() or not _NAME.fullmatch(str(name)):
        read_manifest(name)
        return Path(name)
    return _snapshot(str(name), revision=revision, token=token, cache_dir=cache_dir)


def _snapshot(name: str, **where: Any) -> Path:
    """The folder of a snapshot of a repository on the Hub."""
    with _told(name):
        from huggingface_hub import hf_hub_download, snapshot_download

        manifest = Path(hf_hub_download(name, MANIFEST, **where))
        files = _files(name, read_manifest(manifest.parent))
        # the manifest may stem from the cache, so the snapshot is that of its commit
        where["revision"] = manifest.parent.name
        return Path(snapshot_download(name, allow_patterns=[MANIFEST, CARD, *files], **where))


def pull(name: str, out: str | Path, *, revision: str | None = None, token: str | None = None) -> Path:
    """Fetches a bundle from the Hub into a folder of one's own.

    Args:
        name: ``org/name``; a folder of that name is not looked at.
        out: The folder; a bundle that is there is replaced.
        revision: Branch, tag or commit.
        token: Access token; by default the one that the user logged in with.

    Raises:
        BundleError: If it cannot be had, is damaged, or ``out`` is taken by something else.
        ConfigError: If ``name`` is no name, or the package for the Hub is missing.
    """
    out = Path(out)
    check_repo(name)
    check_place(out)
    found = _snapshot(name, revision=revision, token=token)
    read_bundle(found)
    with in_place_of(out) as beside:
        for file in (MANIFEST, CARD, *read_manifest(found)["files"]):
            if (found / file).is_file():
                shutil.copyfile(found / file, beside / file)
    return out


def push(
    path: str | Path,
    name: str,
    *,
    private: bool = True,
    token: str | None = None,
    revision: str | None = None,
    message: str | None = None,
) -> str:
    """Puts a bundle on the Hub: its files and its card, in one commit, without local paths in its settings.

    Files of a bundle that was there before and is replaced are deleted in the same commit.

    Args:
        path: The bundle.
        name: ``org/name``; the repository is made if it is not there.
        private: Whether a repository that is made is for its owners alone; one that is there stays as it is.
        token: Access token; by default the one that the user logged in with.
        revision: Branch; it is made if it is not there.
        message: Of the commit.

    Returns:
        The address of the commit.

    Raises:
        BundleError: If the bundle is damaged, or its folder holds anything else, or the repository does, or cannot be reached.
        ConfigError: If ``name`` is no name, or the package for the Hub is missing.
    """
    path = Path(path)
    check_repo(name)
    read_bundle(path)
    manifest = read_manifest(path)
    _check_alone(path, manifest)
    with _told(name):
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        api = HfApi(token=token)
        api.create_repo(name, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        stale = _stale(api, name, revision, {MANIFEST, CARD, *manifest["files"]})
        texts = _shared(manifest, path)
        adds = [CommitOperationAdd(file, path / file) for file in manifest["files"]]
        adds += [CommitOperationAdd(file, text.encode("utf-8")) for file, text in texts.items()]
        said = message or f"{manifest['name']} ({manifest['kind']}), bundle {manifest['digest'][:12]}"
        done = api.create_commit(name, [*adds, *map(CommitOperationDelete, stale)], commit_message=said, revision=revision)
        return str(done.commit_url)


def check_repo(name: str) -> None:
    """Refuses what is no name on the Hub.

    Raises:
        ConfigError: If it is none.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of a repository on the Hub", hint="write org/name, such as my-team/hotline-bigru"
        )


def _shared(manifest: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Manifest and card as they are pushed; the digest is the same, for settings and metrics have no part in it.

    What somebody wrote for the card is no path, whatever it begins with.
    """
    metrics = {name: block if name == "card" else without_paths(block) for name, block in manifest["metrics"].items()}
    clean = {**manifest, "config": without_paths(manifest["config"]), "metrics": metrics}
    sizes = {file: (path / file).stat().st_size for file in manifest["files"]}
    return {MANIFEST: json.dumps(clean, ensure_ascii=False, indent=1) + "\n", CARD: render_card(clean, sizes)}


def _check_alone(path: Path, manifest: Mapping[str, Any]) -> None:
    own = {MANIFEST, CARD, *manifest["files"]}
    foreign = sorted(child.name for child in path.iterdir() if child.name not in own)
    if foreign:
        raise BundleError(
            f"{path}: the folder holds {len(foreign)} files that are not of the bundle, and nothing is pushed",
            hint="move them elsewhere; a bundle's folder holds what duobiao wrote and nothing else",
            problems=foreign,
        )


def _files(name: str, manifest: Mapping[str, Any]) -> list[str]:
    """The files that a manifest names, all of them beside it.

    Raises:
        BundleError: If a name is a path, or of a kind that no bundle has.
    """
    strange = [file for file in manifest["files"] if not _FILE.fullmatch(file)]
    if strange:
        raise BundleError(f"{name}: names files that no bundle has", hint="do not use this repository", problems=strange)
    return list(manifest["files"])


def _stale(api: HfApi, name: str, revision: str | None, own: set[str]) -> list[str]:
    """Files of the bundle that is there, and not of the new one.

    Raises:
        BundleError: If the repository holds something else.
    """
    there = set(api.list_repo_files(name, revision=revision))
    if MANIFEST not in there:
        if there - _THEIRS:
            raise BundleError(
                f"{name}: this repository holds something else",
                hint="push to a repository of its own",
                problems=sorted(there - _THEIRS)[:20],
            )
        return []
    before = read_manifest(Path(api.hf_hub_download(name, MANIFEST, revision=revision)).parent)
    return sorted((set(before["files"]) & there) - own)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """The Hub's errors as ours, each with what to do."""
    try:
        from huggingface_hub import errors
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the Hub needs the package {error.name!r}, which is not installed", hint="pip install huggingface-hub"
        ) from error
    try:
        with _without_retries():
            yield
    except (errors.GatedRepoError, errors.RepositoryNotFoundError, errors.LocalTokenNotFoundError) as error:
        hint = f"check the name, or the path of the folder; where it is private, {LOG_IN}"
        said = "the Hub has no such repository, or none that you may read"
        raise BundleError(f"{name}: {said}", hint=hint) from error
    except errors.RevisionNotFoundError as error:
        raise BundleError(
            f"{name}: there is no such revision", hint="give a branch, a tag or a commit that is there"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        hint = "go online, or fetch it where there is a network (duobiao pull) and copy the folder here"
        raise BundleError(f"{name}: was not fetched before, and the Hub cannot be reached", hint=hint) from error
    except errors.EntryNotFoundError as error:
        raise BundleError(f"{name}: this repository holds no bundle: there is no {MANIFEST}", hint="check the name") from error
    except errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = f"{LOG_IN} with a token that may write there" if status in (401, 403) else "try again later"
        raise BundleError(f"{name}: the Hub answers: {' '.join(str(error).split())[:300]}", hint=hint) from error
    except _network_errors() as error:
        said = " ".join(str(error).split()) or type(error).__name__
        hint = "check the network and HF_ENDPOINT, or unset HF_HUB_OFFLINE; without a network copy the bundle's folder instead"
        raise BundleError(f"{name}: the Hub cannot be reached: {said}", hint=hint) from error


def _network_errors() -> tuple[type[Exception], ...]:
    """What a request ends with where nobody answers, of whichever HTTP package the Hub's client is built on.

    What is not loaded cannot have raised anything.
    """
    found: list[type[Exception]] = [ConnectionError, TimeoutError]  # offline mode is a ConnectionError
    for package in ("httpx", "httpx2", "requests"):
        module = sys.modules.get(package)
        found += [getattr(module, name) for name in ("HTTPError", "InvalidURL", "RequestException") if hasattr(module, name)]
    return tuple(found)


@contextmanager
def _without_retries() -> Iterator[None]:
    """Keeps the client from telling of every attempt: what comes of them is told once."""
    logger = logging.getLogger("huggingface_hub.utils._http")

    def wanted(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return not text.startswith("Retrying in ") and " thrown while requesting " not in text

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
