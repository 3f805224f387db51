"""The server against its own description: schemathesis makes requests that fit it and requests that do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from serving import Server, make_bundle, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("schema")
    limits = ("--set", "max_rows=20", "--set", "max_characters=200")
    with serving(folder, make_bundle(folder / "tiny"), *limits) as running:
        yield running


def validate(server: Server, path: str, mode: GenerationMode, count: int) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operation = next(one.ok() for one in schema.get_all_operations() if one.ok().path == path)

    @settings(max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate()

    check()
    assert server.ready()


@pytest.mark.parametrize("path", ["/v1/classify", "/v1/models", "/v1/models/{name}/reload", "/health", "/ready", "/metrics"])
def test_requests_that_fit_are_answered_as_described(server: Server, path: str):
    validate(server, path, GenerationMode.POSITIVE, 60 if path == "/v1/classify" else 3)


def test_requests_that_do_not_fit_are_refused_as_described(server: Server):
    validate(server, "/v1/classify", GenerationMode.NEGATIVE, 100)


def test_the_examples_of_the_description_are_answered(server: Server):
    described = server.client.get("/openapi.json").json()["paths"]["/v1/classify"]["post"]
    examples = described["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples) >= 3
    for example in examples.values():
        assert server.client.post("/v1/classify", json=example["value"]).status_code == 200
