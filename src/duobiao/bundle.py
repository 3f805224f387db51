"""The model folder: the only reader and writer of artefacts, and the only hand-over between stages."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from duobiao.card import CARD, render_card
from duobiao.data.write import write_text
from duobiao.errors import BundleError, ConfigError, DataError
from duobiao.labels import LabelSpace
from duobiao.outputs import FORMAT, is_bundle
from duobiao.outputs import MANIFEST as MANIFEST
from duobiao.postprocess.group_worth import GROUP_COSTS, GROUP_WEIGHTS
from duobiao.postprocess.points import stored_points

SCHEMA_VERSION = 5
"""What an older version would leave out without a word, or cannot run, raises it, so that it refuses: 2, features; 3,
calibration, operating points, rules beyond numbers of labels, and graphs; 4, groups that answer by costs; 5, by weights.
Bundles without these are still written as 1."""
GRAPH_SUFFIX = ".onnx"
WEIGHTS, HISTORY, FEATURES = "model.safetensors", "metrics.jsonl", "features.json"


@dataclass(frozen=True)
class Bundle:
    """One usable model.

    Attributes:
        kind: What it is: ``linear``, ``encoder``, ``bigru``.
        name: Its name in tables.
        space: The label space.
        input: Cleaning, context and length settings.
        model: What the model's module needs besides weights.
        thresholds: Thresholds and rules.
        metrics: Dev metrics, and how it was trained.
        config: The resolved configuration.
        files: Text files by name (tokenizer and the like).
        weights: Arrays by name.
        graphs: ONNX graphs by file name, for the engine that needs no torch; their weights are ``weights``.
        run: Digest of configuration, rows and teacher: the same run gives the same digest.
        digest: Digest of all files; set by reading and writing.
    """

    kind: str
    name: str
    space: LabelSpace
    input: Mapping[str, Any]
    model: Mapping[str, Any]
    thresholds: Mapping[str, Any]
    metrics: Mapping[str, Any]
    config: Mapping[str, Any]
    files: Mapping[str, str]
    weights: Mapping[str, npt.NDArray[Any]]
    graphs: Mapping[str, bytes] = field(default_factory=dict)
    run: str = ""
    digest: str = field(default="", compare=False)

    @property
    def is_exported(self) -> bool:
        """Whether the engine answers for it, which needs no torch."""
        return "engine" in self.model


def write_bundle(path: str | Path, bundle: Bundle) -> str:
    """Writes a bundle beside its place and renames it; a bundle that was there is replaced whole.

    Its card is written with it. It is no part of the digests: it says nothing that the manifest does not, and is not read.

    Returns:
        The digest.

    Raises:
        BundleError: If the place is taken by something that is no bundle, or cannot be written.
    """
    path = Path(path)
    check_place(path)
    with in_place_of(path) as beside:
        save_file({name: np.asarray(array, order="C") for name, array in bundle.weights.items()}, beside / WEIGHTS)
        for name, text in bundle.files.items():
            (beside / name).write_text(text, encoding="utf-8")
        for name, graph in bundle.graphs.items():
            (beside / name).write_bytes(graph)
        digests = {name: _sha256(beside / name) for name in sorted([WEIGHTS, *bundle.files, *bundle.graphs])}
        manifest = {"format": FORMAT, "schema_version": _version(bundle), **_described(bundle), "files": digests}
        manifest["digest"] = _digest(manifest)
        text = json.dumps(manifest, ensure_ascii=False, indent=1)
        (beside / MANIFEST).write_text(text + "\n", encoding="utf-8")
        (beside / CARD).write_text(render_card(manifest, _sizes(beside, manifest)), encoding="utf-8")
    return str(manifest["digest"])


def write_metrics(path: str | Path, changes: Mapping[str, Any]) -> None:
    """Puts blocks of metrics into a bundle and writes its card anew; the digest stays, since metrics decide no answer.

    Args:
        path: The bundle.
        changes: Blocks by name; one that is None is taken away.

    Raises:
        BundleError: If it is no bundle, or cannot be written.
    """
    path = Path(path)
    manifest = read_manifest(path)
    metrics = {**manifest["metrics"], **changes}
    manifest["metrics"] = {name: block for name, block in metrics.items() if block is not None}
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    try:
        write_text(path / MANIFEST, text + "\n")
        write_text(path / CARD, render_card(manifest, _sizes(path, manifest)))
    except DataError as error:
        raise BundleError(f"{path}: {error.message}", hint="make the folder writable, or copy the bundle") from error


def read_bundle(path: str | Path) -> Bundle:
    """Reads a bundle and checks every file against its digest.

    Raises:
        BundleError: If it is missing, foreign, newer than this version, or damaged.
    """
    path = Path(path)
    manifest = read_manifest(path)
    broken = [name for name, digest in manifest["files"].items() if _sha256(path / name) != digest]
    if manifest["digest"] != _digest(manifest):
        broken.append(MANIFEST)
    if broken:
        raise BundleError(
            f"{path}: damaged bundle",
            hint="copy it again from where it was made, or train it anew",
            problems=[f"{name}: missing or changed since it was written" for name in broken],
        )
    try:
        weights = load_file(path / WEIGHTS)
        graphs = {name: (path / name).read_bytes() for name in manifest["files"] if name.endswith(GRAPH_SUFFIX)}
        others = manifest["files"].keys() - {WEIGHTS, *graphs}
        texts = {name: (path / name).read_text(encoding="utf-8") for name in sorted(others)}
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: unreadable: {error}", hint="copy the bundle again") from error
    described = {name: manifest[name] for name in ("kind", "name", "input", "model", "thresholds", "metrics", "config", "run")}
    return Bundle(
        **described,
        space=LabelSpace.from_dict(manifest["label_space"], str(path)),
        files=texts,
        weights=weights,
        graphs=graphs,
        digest=manifest["digest"],
    )


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest alone, without checking the other files.

    Raises:
        BundleError: If the folder is missing, foreign, or newer than this version.
    """
    path = Path(path)
    hint = "give the folder that duobiao train or distil wrote"
    if not path.is_dir():
        raise BundleError(f"{path}: there is no such folder", hint=hint)
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        held = ", ".join(sorted(child.name for child in path.iterdir())[:8]) or "nothing"
        raise BundleError(f"{path}: no bundle: there is no {MANIFEST} (the folder holds {held})", hint=hint) from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: {MANIFEST} is unreadable: {error}", hint="copy the bundle again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path}: {MANIFEST} is not duobiao's", hint=hint)
    version = manifest.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise BundleError(
            f"{path}: written by a newer duobiao (schema {version}, this one reads up to {SCHEMA_VERSION})",
            hint="pip install --upgrade duobiao",
        )
    wanted = {*_KEYS, "files", "digest"}
    if wanted - manifest.keys() or not isinstance(manifest["files"], dict):
        missing = ", ".join(sorted(wanted - manifest.keys())) or "a list of files"
        raise BundleError(f"{path}: {MANIFEST} lacks {missing}", hint="copy the bundle again")
    return manifest


def check_place(path: Path) -> None:
    """Refuses to write over something that is no bundle.

    Raises:
        BundleError: If a file, or a folder that is neither empty nor a bundle, stands there.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not is_bundle(path)):
        raise BundleError(f"{path}: stands there already and is no bundle", hint="choose another --out, or move it away")


def check_free(path: Path) -> None:
    """Refuses to replace a bundle that nobody asked to be replaced.

    Raises:
        ConfigError: If one is there.
    """
    if is_bundle(path):
        raise ConfigError(f"{path}: a bundle is there already", hint="give another --out, or --force to replace it")


def _version(bundle: Bundle) -> int:
    """The oldest schema that holds all of the bundle."""
    rules = {"shrink", "min_k", "max_k", "fallback"}
    settings = bundle.thresholds.get("settings", {})
    points = stored_points(bundle.thresholds).values()
    if any(GROUP_WEIGHTS in entry for entry in points):
        return 5
    if any(GROUP_COSTS in entry for entry in points):
        return 4
    if bundle.is_exported or {"points", "calibration"} & bundle.thresholds.keys() or settings.keys() - rules:
        return 3
    return 2 if FEATURES in bundle.files else 1


_KEYS = ("kind", "name", "label_space", "input", "model", "thresholds", "metrics", "config", "run")


def _described(bundle: Bundle) -> dict[str, Any]:
    values = {name: getattr(bundle, name) for name in _KEYS if name != "label_space"}
    return {**values, "label_space": bundle.space.to_dict()}


def _digest(manifest: Mapping[str, Any]) -> str:
    """What decides the answers: everything but the name, the metrics and the training history."""
    deciding = {name: manifest[name] for name in ("kind", "label_space", "input", "model", "thresholds")}
    deciding["files"] = {name: digest for name, digest in manifest["files"].items() if name != HISTORY}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _sizes(path: Path, manifest: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of each file of a bundle that is there."""
    return {name: (path / name).stat().st_size for name in manifest["files"] if (path / name).is_file()}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


@contextmanager
def in_place_of(path: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``path`` once the block has filled it; if it fails, all is as it was before.

    Raises:
        BundleError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise BundleError(f"{path}: cannot be written: {error}", hint="choose another place") from error
    try:
        yield beside
        beside.chmod(0o755)
        for file in beside.iterdir():  # safetensors keeps its files to their owner
            file.chmod(0o644)
        _exchange(beside, path)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{path}: cannot be written: {error}", hint="make room, or choose another place") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _exchange(beside: Path, path: Path) -> None:
    """Puts a finished folder in the place of another, which comes back if that fails."""
    if not path.exists():
        beside.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent)) / path.name
    path.rename(old)
    try:
        beside.rename(path)
    except BaseException:
        old.rename(path)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)
