"""The server against its own description: schemathesis makes requests that fit it and requests that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from serving import make_bundle, serving

schemathesis = pytest.importorskip("schemathesis")


def test_every_answer_is_one_that_the_description_knows(tmp_path: Path):
    bundle = make_bundle(tmp_path / "tiny")
    limits = ("--set", "max_body_bytes=65536", "--set", "max_rows=20", "--set", "max_characters=200")
    with serving(tmp_path, bundle, *limits) as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        assert {operation.ok().path for operation in schema.get_all_operations()} >= {"/v1/classify", "/v1/models", "/ready"}

        @schema.parametrize()
        @settings(
            max_examples=30,
            deadline=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case):
            case.call_and_validate()

        for operation in schema.get_all_operations():
            _checked(operation.ok())
        assert server.ready()


def _checked(operation) -> None:
    from schemathesis import GenerationMode

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        if mode == GenerationMode.NEGATIVE and operation.path != "/v1/classify":
            continue

        @settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
        @_given(operation.as_strategy(generation_mode=mode))
        def one(case):
            case.call_and_validate()

        one()


def _given(strategy):
    from hypothesis import given

    return given(case=strategy)
