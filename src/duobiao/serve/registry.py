"""The models of a server: loading, swapping without a lost request, and never a broken one for a good one."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from duobiao.bundle import MANIFEST, read_manifest
from duobiao.errors import BundleError, ConfigError, DuobiaoError
from duobiao.routing import load_routes
from duobiao.serve.errors import Refusal
from duobiao.serve.metrics import Metrics
from duobiao.serve.model import ServedModel
from duobiao.serve.settings import ServeSettings

log = logging.getLogger("duobiao.serve")
_NAME = re.compile(r"[\w.-]{1,100}")


@dataclass
class Entry:
    """A name, where its versions come from, and the version that answers.

    Attributes:
        source: A bundle's folder, or a folder of such, of which the last by name is taken.
        model: What answers.
        loaded: When it began to.
        failed: Why the last attempt to load another version came to nothing; empty if it did not.
        tried: Digest of the manifest that was loaded, or tried, last.
    """

    name: str
    source: Path
    model: ServedModel
    loaded: str
    failed: str = ""
    tried: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Registry:
    """All models of a server.

    Args:
        settings: Batching, times and processes.
        metrics: Where they count.
    """

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.entries: dict[str, Entry] = {}
        self.draining = self.stopping = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, bundles: Sequence[str | Path]) -> None:
        """Loads all bundles.

        Args:
            bundles: Folders, or ``name=folder``.

        Raises:
            ConfigError: If two have the same name, or a name is none.
            BundleError: If one cannot be served; nothing is left running.
        """
        sources = named_sources(bundles)
        foreign = sorted(self.settings.routes.keys() - sources.keys())
        if foreign:
            raise ConfigError(f"routes for {', '.join(foreign)}: no such model", hint=f"there are {', '.join(sources)}")
        models = {name: self._model(name, current(source)) for name, source in sources.items()}
        try:
            done = await asyncio.gather(*(model.start() for model in models.values()), return_exceptions=True)
        except asyncio.CancelledError:
            await asyncio.gather(*(model.stop() for model in models.values()))
            raise
        failed = [error for error in done if isinstance(error, BaseException)]
        if failed:
            await asyncio.gather(*(model.stop() for model, error in zip(models.values(), done, strict=True) if error is None))
            raise failed[0]
        for name, model in models.items():
            digest = str(model.described["digest"])
            self.entries[name] = Entry(name, sources[name], model, _now(), tried=digest)
        if self.settings.watch_seconds:
            self._spawn(self._watch())

    def find(self, name: str | None) -> Entry:
        """The entry of a name; the first one without a name.

        Raises:
            Refusal: If there is no such model.
        """
        if name is None:
            return next(iter(self.entries.values()))
        if name not in self.entries:
            raise Refusal(404, "unknown_model", "there is no model of this name; GET /v1/models lists them")
        return self.entries[name]

    @property
    def ready(self) -> bool:
        """Whether every model answers, and the server is not being stopped."""
        return not self.draining and bool(self.entries) and all(entry.model.ready for entry in self.entries.values())

    async def reload(self, name: str) -> bool:
        """Loads the current version of a model beside the old one, tries it, and lets it answer from then on.

        Requests that the old version has accepted are answered by it. If the new one cannot be loaded, or fails on the texts
        that it is tried with, the old one stays.

        Returns:
            Whether another version, or another routes file, answers now; False if both are the same.

        Raises:
            DuobiaoError: Why the new one cannot be served.
            Refusal: If there is no such model.
        """
        entry = self.find(name)
        async with entry.lock:
            try:
                changed = await self._swap(entry)
            except DuobiaoError as error:
                entry.failed = error.message
                self.metrics.reloads.labels(name, "failed").inc()
                log.error("model %s: the version that answers stays: %s", name, error)
                raise
            entry.failed = ""
            self.metrics.reloads.labels(name, "swapped" if changed else "same").inc()
            return changed

    async def _swap(self, entry: Entry) -> bool:
        path = current(entry.source)
        entry.tried = str(read_manifest(path)["digest"])
        file = self.settings.routes.get(entry.name)
        routes = "" if file is None else load_routes(file, path).digest
        old = entry.model
        if (entry.tried, routes, path) == (old.described["digest"], old.described["routes"], old.path):
            return False
        new = self._model(entry.name, path)
        await new.start()
        entry.model, entry.loaded = new, _now()
        log.info("model %s: version %s answers, %s is being emptied", entry.name, new.version, old.version)
        self._spawn(self._retire(old))
        return True

    async def _retire(self, old: ServedModel) -> None:
        try:
            async with asyncio.timeout(self.settings.request_seconds):
                await old.drain()
        except TimeoutError:
            log.warning("model %s: version %s had not answered all in time", old.name, old.version)
        finally:
            await old.stop()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.settings.watch_seconds)
            for entry in list(self.entries.values()):
                try:
                    seen = str(read_manifest(current(entry.source))["digest"])
                    if seen not in (entry.tried, entry.model.described["digest"]):
                        await self.reload(entry.name)
                except DuobiaoError as error:  # it may be half copied: the next look tells more
                    log.warning("model %s: %s", entry.name, error.message)

    async def reload_all(self) -> None:
        """Reloads every model; what fails is in the log and in ``/v1/models``."""
        for name in list(self.entries):
            try:
                await self.reload(name)
            except DuobiaoError:
                continue

    def reload_soon(self) -> None:
        """Reloads every model in the background; what SIGHUP does."""
        self._spawn(self.reload_all())

    async def close(self, seconds: float) -> None:
        """Answers what waits, for so many seconds at most, then ends all processes."""
        self.draining = self.stopping = True
        models = [entry.model for entry in self.entries.values()]
        for task in self._tasks:
            task.cancel()
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(model.drain() for model in models))
        except TimeoutError:
            if any(model.queue.wanted() for model in models):
                log.warning("not all requests were answered in time")
        await asyncio.gather(*(model.stop() for model in models), *self._tasks, return_exceptions=True)

    def _model(self, name: str, path: Path) -> ServedModel:
        return ServedModel(name, path, self.settings, self.metrics)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def named_sources(bundles: Sequence[str | Path]) -> dict[str, Path]:
    """Names and folders of what is to be served; every folder must hold a bundle that this version can read.

    Raises:
        ConfigError: With everything that is wrong.
    """
    problems: list[str] = []
    found: dict[str, Path] = {}
    for bundle in map(str, bundles):
        name, _, folder = (
            bundle.rpartition("=") if _NAME.fullmatch(bundle.partition("=")[0]) and "=" in bundle else ("", "", bundle)
        )
        path = Path(folder)
        name = name or path.resolve().name
        if not _NAME.fullmatch(name):
            problems.append(f"{bundle}: {name!r} can be no name in an address; letters, digits, . _ and - can")
        elif name in found:
            problems.append(f"{bundle}: the name {name!r} is taken by {found[name]}")
        try:
            read_manifest(current(path))
        except BundleError as error:
            problems.append(error.message)
        found.setdefault(name, path)
    if not found or problems:
        raise ConfigError(
            f"{len(problems)} problems with what is to be served",
            hint="give folders of bundles, or name=folder",
            problems=problems,
        )
    return found


def current(source: Path) -> Path:
    """The bundle at a place: the folder itself or, if it holds bundles, the last of them by name (``v9`` before ``v10``).

    Raises:
        BundleError: If there is none.
    """
    if (source / MANIFEST).is_file() or not source.is_dir():
        return source
    try:
        versions = [path for path in source.iterdir() if not path.name.startswith(".") and (path / MANIFEST).is_file()]
    except OSError as error:
        raise BundleError(f"{source}: cannot be looked into: {error}", hint="check the folder's rights") from error
    if not versions:
        raise BundleError(f"{source}: holds no bundle", hint="give the folder that duobiao train or distil wrote")
    return max(
        versions, key=lambda path: [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", path.name)]
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
