"""``duobiao serve``: loads, listens, answers, drains."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from duobiao import progress
from duobiao.serve.app import make_app
from duobiao.serve.metrics import Metrics
from duobiao.serve.registry import Registry
from duobiao.serve.settings import ServeSettings

log = logging.getLogger("duobiao.serve")


def serve(bundles: Sequence[str | Path], settings: ServeSettings) -> None:
    """Serves bundles until SIGTERM or SIGINT, then answers what is under way.

    Args:
        bundles: Folders of bundles, or of versions of one, or ``name=folder``.
        settings: Address, batching, limits, keys.

    Raises:
        ConfigError: If names or keys cannot be used.
        BundleError: If a bundle cannot be served.
    """
    stop = _Stop(settings.drain_seconds)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.heard)
    asyncio.run(_serve(bundles, settings, stop))


async def _serve(bundles: Sequence[str | Path], settings: ServeSettings, stop: _Stop) -> None:
    metrics = Metrics()
    registry = Registry(settings, metrics)
    app = make_app(registry, metrics, settings)
    try:
        if not await stop.unless_asked(registry.start(bundles)):
            progress.say("stopped while models were being loaded")
            return
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, registry.reload_soon)
        server = _Server(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=settings.drain_seconds,  # type: ignore[arg-type]  # seconds, whole or not
                timeout_keep_alive=20,
                backlog=2048,
                lifespan="off",
            ),
            registry,
            stop,
        )
        await server.serve()
    finally:
        await registry.close(stop.seconds_left())


class _Stop:
    """What SIGINT and SIGTERM ask for: loading ends at once; requests that are under way may go on for a while.

    uvicorn handles the signals while it serves, and raises them again when it is done.

    Args:
        patience: Seconds from the first signal to the end.
    """

    def __init__(self, patience: float) -> None:
        self.patience, self.asked, self.until = patience, False, 0.0
        self._loading: asyncio.Future[None] | None = None

    def heard(self, number: int, frame: FrameType | None) -> None:
        """A signal."""
        if not self.asked:
            self.asked, self.until = True, time.monotonic() + self.patience
        if self._loading is not None:
            self._loading.get_loop().call_soon_threadsafe(self._loading.cancel)

    def seconds_left(self) -> float:
        """How long what is under way may still go on."""
        return max(0.0, self.until - time.monotonic()) if self.asked else self.patience

    async def unless_asked(self, work: Coroutine[Any, Any, None]) -> bool:
        """Does work to its end, or until a signal comes; whether it came to its end."""
        self._loading = asyncio.ensure_future(work)
        try:
            if self.asked:
                self._loading.cancel()
            await self._loading
        except asyncio.CancelledError:
            if not self.asked:
                raise
        finally:
            self._loading = None
        return not self.asked


class _Server(uvicorn.Server):
    """uvicorn's server that says where it listens and, from the signal on, that it is not ready."""

    def __init__(self, config: uvicorn.Config, registry: Registry, stop: _Stop) -> None:
        super().__init__(config)
        self.registry, self.stop = registry, stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.registry.draining = True
        self.stop.heard(sig, frame)
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        self.should_exit = self.should_exit or self.stop.asked
        for server in self.servers:
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                progress.say(f"serving {', '.join(self.registry.entries)} at http://{host}:{port}")
