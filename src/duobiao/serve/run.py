"""``duobiao serve``: loads, listens, answers, drains."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

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
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises the signal again when it is done
        signal.signal(number, _nothing)
    asyncio.run(_serve(bundles, settings))


async def _serve(bundles: Sequence[str | Path], settings: ServeSettings) -> None:
    metrics = Metrics()
    registry = Registry(settings, metrics)
    app = make_app(registry, metrics, settings)
    try:
        await registry.start(bundles)
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
                timeout_graceful_shutdown=max(1, int(settings.drain_seconds)),
                timeout_keep_alive=20,
                backlog=2048,
                lifespan="off",
            ),
            registry,
        )
        await server.serve()
    finally:
        await registry.close(settings.drain_seconds)


class _Server(uvicorn.Server):
    """uvicorn's server that says where it listens and, from the signal on, that it is not ready."""

    def __init__(self, config: uvicorn.Config, registry: Registry) -> None:
        super().__init__(config)
        self.registry = registry

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.registry.draining = True
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        for server in self.servers:
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                progress.say(f"serving {', '.join(self.registry.entries)} at http://{host}:{port}")


def _nothing(number: int, frame: FrameType | None) -> None:
    pass
