"""What the server can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from duobiao.config.base import Settings, field_problems
from duobiao.config.load import apply_override
from duobiao.errors import ConfigError
from duobiao.machine import cores


class ServeSettings(Settings):
    """Address, batching, limits and keys; the options of ``duobiao serve``."""

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    workers: int = Field(1, ge=1, le=64, description="processes that compute, for each model")
    threads: int = Field(0, ge=0, le=256, description="threads of each of them; 0 shares the cores among the workers")
    token_budget: int = Field(4096, ge=1, description="padded tokens of a batch: longest row times rows")
    batch_rows: int = Field(256, ge=1, le=4096, description="rows of a batch at most")
    batch_wait_ms: float = Field(3, ge=0, le=1000, description="how long the first row of a batch waits for company, ms")
    queue_rows: int = Field(2048, ge=1, description="rows that wait for a model at most; above that the answer is 429")
    max_body_bytes: int = Field(4 << 20, ge=1024, description="largest request body, bytes")
    max_rows: int = Field(1024, ge=1, description="rows of a request at most")
    max_characters: int = Field(20_000, ge=1, description="characters of a text or a context at most")
    max_explained: int = Field(16, ge=0, description="rows of a request at most where words are explained; 0 turns it off")
    request_seconds: float = Field(60, gt=0, description="how long a request may take in all")
    body_seconds: float = Field(15, gt=0, description="how long a client may take to send a body")
    batch_seconds: float = Field(120, gt=0, description="how long a batch may take before its process counts as stuck")
    load_seconds: float = Field(300, gt=0, description="how long a bundle may take to be loaded and tried")
    drain_seconds: float = Field(30, ge=0, description="how long requests may go on after SIGTERM")
    watch_seconds: float = Field(0, ge=0, description="how often bundles are looked at for a new version; 0: never")
    routes: dict[str, Path] = Field(
        default_factory=dict, description="routes files by model (see duobiao routes): answers say the next node"
    )
    cors: tuple[str, ...] = Field((), description="origins whose pages may call the server; none by default")
    keys: Path | None = Field(None, description="file of API keys, one a line; DUOBIAO_API_KEYS adds to them")
    admin_keys: Path | None = Field(None, description="file of keys that may reload models; DUOBIAO_ADMIN_KEYS adds to them")
    page: bool = Field(True, description="whether / shows the page to try models")

    @property
    def threads_each(self) -> int:
        """Threads of a process that computes; 0 leaves it to the library, which takes all cores."""
        if self.threads or self.workers == 1:
            return self.threads
        return max(1, cores() // self.workers)


def make_settings(given: Mapping[str, Any], overrides: Sequence[str] = ()) -> ServeSettings:
    """Settings from options and from ``--set name=value``.

    Raises:
        ConfigError: Naming every setting that is wrong.
    """
    data = dict(given)
    for override in overrides:
        apply_override(data, override)
    try:
        return ServeSettings(**data)
    except ValidationError as error:
        problems = field_problems(error)
        known = ", ".join(ServeSettings.model_fields)
        raise ConfigError(f"{len(problems)} problems with settings", hint=f"there are {known}", problems=problems) from error
