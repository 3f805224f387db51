"""What stands before the application: safe headers on every answer, counting, and no insides in what goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from duobiao.serve.metrics import Metrics
from duobiao.serve.security import SAFE_HEADERS

log = logging.getLogger("duobiao.serve")
_PATHS = {"/v1/classify", "/v1/models", "/health", "/ready", "/metrics", "/openapi.json", "/"}


class Front:
    """ASGI middleware.

    Args:
        app: What stands behind it.
        metrics: Where requests are counted.
        policies: Content security policies of single paths.
        policy: That of all others.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, policies: Mapping[str, bytes], policy: bytes) -> None:
        self.app, self.metrics, self.policies, self.policy = app, metrics, policies, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        extra = [*SAFE_HEADERS, (b"content-security-policy", self.policies.get(path, self.policy))]
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception:
            log.exception("%s %s", scope["method"], path)
            if not status:
                await _internal(sending)
        finally:
            self.metrics.requests.labels(_named(path), str(status)).inc()


def _named(path: str) -> str:
    """A path as a value of a Prometheus label; callers' own paths are one."""
    if path in _PATHS:
        return path
    return "/v1/models/{name}/reload" if path.startswith("/v1/models/") else "other"


async def _internal(send: Any) -> None:
    body = b'{"error": {"code": "internal", "message": "the server failed on this request"}}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
