"""The web application: routes, keys, limits, and one form for everything that goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from duobiao import __version__
from duobiao.errors import DuobiaoError
from duobiao.serve import schemas
from duobiao.serve.errors import Refusal
from duobiao.serve.front import Front
from duobiao.serve.metrics import Metrics
from duobiao.serve.model import STOPPED
from duobiao.serve.openapi import ANSWERS, refusals, request_body, with_request
from duobiao.serve.page import try_page
from duobiao.serve.queue import Call, Waiting, estimated_tokens
from duobiao.serve.registry import Entry, Registry
from duobiao.serve.security import ADMIN_KEYS, API_KEYS, API_POLICY, Keys, Receive, given_key, load_keys, read_body
from duobiao.serve.settings import ServeSettings

log = logging.getLogger("duobiao.serve")
_GONE = 499
"""Status in the metrics of a request whose client went away."""


def make_app(registry: Registry, metrics: Metrics, settings: ServeSettings) -> FastAPI:
    """The application over loaded models.

    Raises:
        ConfigError: If keys cannot be used.
    """
    app = FastAPI(
        title="duobiao",
        summary="Chinese multi-label text classification",
        version=__version__,
        docs_url=None,  # the pages that come with FastAPI fetch scripts from elsewhere
        redoc_url=None,
    )
    service = Service(registry, metrics, settings)
    service.add_routes(app)
    policies = {}
    if settings.page:
        page, policy = try_page()
        app.add_api_route("/", _page(page), methods=["GET"], include_in_schema=False)
        policies["/"] = policy
    app.add_exception_handler(Refusal, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]
    if settings.cors:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(settings.cors), allow_methods=["GET", "POST"], allow_headers=["*"]
        )
    app.add_middleware(Front, metrics=metrics, policies=policies, policy=API_POLICY)
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = with_request(generated(), settings, bool(service.keys))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


class Service:
    """What the routes do.

    Args:
        registry: The models.
        metrics: Where it counts.
        settings: Limits and keys.
    """

    def __init__(self, registry: Registry, metrics: Metrics, settings: ServeSettings) -> None:
        self.registry, self.metrics, self.settings = registry, metrics, settings
        self.admins = load_keys(settings.admin_keys, ADMIN_KEYS)
        self.keys = load_keys(settings.keys, API_KEYS)

    def add_routes(self, app: FastAPI) -> None:
        classified: dict[int | str, dict[str, Any]] = {
            200: {"model": schemas.ClassifyAnswer, "content": {"application/json": {"examples": ANSWERS}}},
            **refusals(400, 401, 404, 408, 413, 422, 429, 503, 504),
        }
        app.post("/v1/classify", responses=classified, openapi_extra=request_body(), response_class=Response)(self.classify)
        app.get("/v1/models", response_model=schemas.Models, responses=refusals(401))(self.models)
        app.post(
            "/v1/models/{name}/reload", response_model=schemas.Reloaded, responses=refusals(401, 403, 404, 409), name="reload"
        )(self.reload)
        app.get("/health", response_model=schemas.State)(self.health)
        unready: dict[int | str, dict[str, Any]] = {503: {"model": schemas.State, "description": "Not ready"}}
        app.get("/ready", response_model=schemas.State, responses=unready)(self.ready)
        text: dict[int | str, dict[str, Any]] = {
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **refusals(401),
        }
        app.get("/metrics", responses=text, response_class=Response)(self.prometheus)

    # ---- routes -------------------------------------------------------------------------------

    async def classify(self, request: Request) -> Response:
        """Labels the rows of a request."""
        self._check_key(request)
        began = time.monotonic()
        length = request.headers.get("content-length")
        own = self.settings
        body = await read_body(request.receive, length, own.max_body_bytes, own.body_seconds)
        asked = schemas.parse_request(body, own)
        entry = self.registry.find(asked.model)
        model = entry.model
        call = self._enqueue(asked, entry)
        try:
            lines = await _answered(call, request.receive, own.request_seconds)
        finally:
            self.metrics.stages.labels(entry.name, "request").observe(time.monotonic() - began)
            if call.done.cancelled():
                self.metrics.rows.labels(entry.name, "dropped").inc(len(asked.rows))
        parts = []
        for number, (row, line) in enumerate(zip(asked.rows, lines, strict=True), start=1):
            name = json.dumps(row.id if row.id is not None else number, ensure_ascii=False).encode()
            parts.append(b'{"id":' + name + b"," + line[1:])
        tail = json.dumps({"model": entry.name, "version": call.version or model.version}, ensure_ascii=False).encode()
        return Response(b'{"results":[' + b",".join(parts) + b"]," + tail[1:], media_type="application/json")

    async def models(self, request: Request) -> schemas.Models:
        """What is served, in which version and state, with thresholds."""
        self._check_key(request)
        own = self.settings
        limits = {"rows": own.max_rows, "characters": own.max_characters, "explained": own.max_explained}
        return schemas.Models(models=[_state(entry) for entry in self.registry.entries.values()], limits=limits)

    async def reload(self, name: str, request: Request) -> schemas.Reloaded:
        """Loads the newest version of a model beside the old one and swaps them; needs an administrator's key."""
        if not self.admins:
            raise Refusal(403, "forbidden", "this server has no administrator's key, so nothing can be reloaded over HTTP")
        self._check_key(request, self.admins)
        try:
            changed = await self.registry.reload(name)
        except DuobiaoError:
            message = "the new version cannot be served, so the old one stays; the server's log and /v1/models say why"
            raise Refusal(409, "not_loaded", message) from None
        return schemas.Reloaded(model=name, version=self.registry.find(name).model.version, changed=changed)

    async def health(self) -> schemas.State:
        """Whether the server itself is alive."""
        return schemas.State(status="alive")

    async def ready(self, response: Response) -> schemas.State:
        """Whether every model answers at this moment."""
        ready = self.registry.ready
        response.status_code = 200 if ready else 503
        return schemas.State(status="ready" if ready else "not ready")

    async def prometheus(self, request: Request) -> Response:
        """Counters for Prometheus."""
        self._check_key(request)
        for entry in self.registry.entries.values():
            self.metrics.queue.labels(entry.name).set(len(entry.model.queue))
            self.metrics.ready.labels(entry.name).set(entry.model.ready)
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    # ---- what they share ----------------------------------------------------------------------

    def _check_key(self, request: Request, keys: Keys | None = None) -> None:
        wanted = keys or self.keys
        given = given_key(request.headers)
        if not wanted or wanted.allow(given) or (keys is None and self.admins.allow(given)):
            return
        if keys is not None and self.keys.allow(given):
            raise Refusal(403, "forbidden", "this takes an administrator's key")
        raise Refusal(401, "unauthorized", "give a key: Authorization: Bearer KEY")

    def _enqueue(self, asked: schemas.ClassifyRequest, entry: Entry) -> Call:
        """Puts the rows of a request into the queue, all or none; nothing is awaited between the look and the put."""
        model = entry.model
        if asked.operating_point is not None and asked.operating_point not in model.described["operating_points"]:
            names = ", ".join(model.described["operating_points"])
            raise Refusal(404, "unknown_operating_point", f"the model has the operating points {names}")
        if self.registry.stopping:
            raise Refusal(503, "stopping", "the server is being stopped", retry_after=1)
        if model.broken:
            raise Refusal(503, "not_ready", "the model does not answer at present", retry_after=5)
        schemas.check_numeric(asked, model.described["columns"])
        full = len(model.queue) + len(asked.rows) > self.settings.queue_rows
        if full and (waiting := model.queue.wanted()) and waiting + len(asked.rows) > self.settings.queue_rows:
            wait = max(1, math.ceil(model.seconds_to_empty()))
            raise Refusal(429, "overloaded", f"{waiting} rows are waiting; try again in {wait} s", retry_after=wait)
        call = Call(len(asked.rows))
        options = asked.model_dump(include={"operating_point", "top_k", "explain", "depth"}, exclude_defaults=True)
        longest, now = int(model.described["max_length"]), time.monotonic()
        model.queue.put(
            [
                Waiting(
                    call,
                    place,
                    row.text,
                    row.context,
                    row.numeric,
                    options,
                    estimated_tokens(row.text, row.context, longest, asked.explain),
                    now,
                )
                for place, row in enumerate(asked.rows)
            ]
        )
        return call


async def _answered(call: Call, receive: Receive, seconds: float) -> list[bytes]:
    """The lines of a request's rows; the rows are dropped when the client goes away or time is up.

    Raises:
        Refusal: If there is no answer.
    """
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        waiting: list[asyncio.Future[Any]] = [call.done, gone]
        try:
            done, _ = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the server ends
            raise STOPPED from None
        if call.done in done:
            return call.done.result()
        if gone in done:
            raise Refusal(_GONE, "gone", "the client went away")
        raise Refusal(504, "timeout", f"the request was not answered within {seconds:g} s")
    finally:
        call.drop()
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _state(entry: Entry) -> schemas.ModelState:
    model, told = entry.model, entry.model.described
    return schemas.ModelState(
        name=entry.name,
        bundle=told["name"],
        kind=told["kind"],
        version=model.version,
        loaded=entry.loaded,
        ready=model.ready,
        trouble=model.trouble or entry.failed,
        labels=told["labels"],
        groups=told["label_space"].get("groups", {}),
        operating_points=told["operating_points"],
        numeric=told["columns"],
        reads_context=told["reads_context"],
        depths=told["depths"],
        queue=len(model.queue),
    )


def refusal_response(refusal: Refusal) -> Response:
    """A refusal over HTTP."""
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.problems:
        error["problems"] = list(refusal.problems)
    headers = {"retry-after": str(refusal.retry_after)} if refusal.retry_after is not None else {}
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"
    if refusal.status in (408, 413):
        headers["connection"] = "close"  # the rest of the body is not read
    content = json.dumps({"error": error}, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(content, refusal.status, headers, media_type="application/json")


async def _refused(request: Request, refusal: Refusal) -> Response:
    return refusal_response(refusal)


async def _http_error(request: Request, error: HTTPException) -> Response:
    codes = {404: ("not_found", "there is nothing at this address"), 405: ("wrong_method", "this address takes another method")}
    code, message = codes.get(error.status_code, ("refused", "the request is refused"))
    response = refusal_response(Refusal(error.status_code, code, message))
    response.headers.update(error.headers or {})
    return response


def _page(content: bytes) -> Callable[[], Any]:
    async def page() -> Response:
        return Response(content, media_type="text/html; charset=utf-8")

    return page
