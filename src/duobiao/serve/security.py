"""Who may call, how much they may send, and what every answer carries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

from duobiao.errors import ConfigError
from duobiao.serve.errors import Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
API_KEYS, ADMIN_KEYS = KEY_VARIABLES = ("DUOBIAO_API_KEYS", "DUOBIAO_ADMIN_KEYS")
"""Environment variables that hold keys; the processes that compute do not get them."""
SHORTEST = 16
"""Characters of a key at least."""
SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
API_POLICY = b"default-src 'none'; frame-ancestors 'none'"


class Keys:
    """API keys, kept as digests.

    Args:
        keys: The keys; none means that everybody may call.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [_digest(key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def allow(self, given: str | None) -> bool:
        """Whether a key is one of them, in a time that does not depend on which, or on how much of it is right."""
        digest = _digest(given or "")
        matches = [hmac.compare_digest(digest, own) for own in self._digests]  # all, not only up to the first
        return given is not None and any(matches)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def load_keys(file: Path | None, variable: str) -> Keys:
    """Keys of a file (one a line; ``#`` begins a comment) and of an environment variable (separated by commas).

    Raises:
        ConfigError: If the file cannot be read or holds no key, or naming keys, by their place, that are too short.
    """
    found = [(f"{variable}, key {number}", key.strip()) for number, key in enumerate(_listed(variable), start=1)]
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read: {error}", hint="give a text file with one key a line") from error
        own = [(f"{file}:{number}", line.strip()) for number, line in enumerate(lines, start=1)]
        own = [(where, key) for where, key in own if key and not key.startswith("#")]
        if not own:  # an empty file must not open the server to everybody
            raise ConfigError(f"{file}: holds no key", hint="write one key a line")
        found += own
    short = [f"{where}: has {len(key)} characters" for where, key in found if len(key) < SHORTEST]
    if short:
        hint = f"take {SHORTEST} characters or more: openssl rand -hex 24"
        raise ConfigError("keys that are too short", hint=hint, problems=short)
    return Keys(key for _, key in found)


def _listed(variable: str) -> list[str]:
    value = os.environ.get(variable)
    found = [key for key in (value or "").split(",") if key.strip()]
    if value is not None and not found:  # a secret that is missing must not open the server to everybody
        raise ConfigError(f"{variable}: is set, but holds no key", hint="put a key into it, or unset it")
    return found


def given_key(headers: Any) -> str | None:
    """The key of a request: ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return _as_sent(value.strip())
    own = headers.get("x-api-key")
    return None if own is None else _as_sent(own)


def _as_sent(value: str) -> str:
    """The text of a header, which arrives decoded as latin-1."""
    return value.encode("latin-1", "surrogateescape").decode("utf-8", "surrogateescape")


async def read_body(receive: Receive, length: str | None, most: int, seconds: float) -> bytes:
    """A request's body.

    Args:
        receive: ASGI's.
        length: The header ``Content-Length``.
        most: Bytes at most.
        seconds: How long it may take.

    Raises:
        Refusal: If it is too large, or comes too slowly, or its sender goes away.
    """
    too_large = Refusal(413, "too_large", f"the body has more than {most:,} bytes")
    if length is not None and length.isdigit() and int(length) > most:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(400, "gone", "the client went away before its body was there")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most:
                    raise too_large
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError as error:
        raise Refusal(408, "too_slow", f"the body did not arrive within {seconds:g} s") from error
