"""The description of the interface, with examples and with the limits of this server."""

from __future__ import annotations

from typing import Any

from duobiao.serve.schemas import ClassifyRequest, ErrorAnswer
from duobiao.serve.settings import ServeSettings

_REFERENCE = "#/components/schemas/{model}"
REQUESTS = {
    "one": {"summary": "One text", "value": {"rows": [{"text": "快递三天没到，打电话也没人接。"}]}},
    "context": {
        "summary": "An answer and the dialogue node that it answers to; the words that speak for its labels",
        "value": {"rows": [{"text": "不是，您打错了。", "context": "身份确认", "id": "call-7"}], "explain": True},
    },
    "several": {
        "summary": "Several texts, the three likeliest labels of each",
        "value": {"rows": [{"text": "东西坏了，我要退货。"}, {"text": "发票什么时候开？"}], "top_k": 3},
    },
}
ANSWERS = {
    "answered": {
        "summary": "One row answered, one failed alone",
        "value": {
            "results": [
                {"id": 1, "labels": ["物流"], "scores": {"物流": 0.974, "质量": 0.021}},
                {"id": 2, "error": {"code": "row_failed", "message": "the model failed on this row"}},
            ],
            "model": "student",
            "version": "3f0c2a9b71de",
        },
    }
}
_MEANINGS = {
    400: "The body is no JSON",
    401: "No key, or a wrong one",
    403: "The key may not do this",
    404: "There is no such model, or operating point",
    408: "The body came too slowly",
    409: "The new version cannot be served; the old one stays",
    413: "The body is too large",
    422: "The request does not fit; all problems are named",
    429: "Too much is waiting; Retry-After says when to try again",
    503: "The model does not answer at present",
    504: "The request took too long",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that are none."""
    found: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in statuses
    }
    if 429 in found:
        found[429]["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return found


def request_body() -> dict[str, Any]:
    """The body of ``/v1/classify``."""
    content = {"schema": {"$ref": _REFERENCE.format(model="ClassifyRequest")}, "examples": REQUESTS}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def with_request(document: dict[str, Any], settings: ServeSettings, has_keys: bool) -> dict[str, Any]:
    """The document with the request's form, its limits, and how keys are given."""
    schema = ClassifyRequest.model_json_schema(ref_template=_REFERENCE)
    own = schema.pop("$defs")
    schema["properties"]["rows"]["maxItems"] = settings.max_rows
    own["RequestRow"]["properties"]["text"]["maxLength"] = settings.max_characters
    own["RequestRow"]["properties"]["context"]["anyOf"][0]["maxLength"] = settings.max_characters
    parts = document.setdefault("components", {})
    parts.setdefault("schemas", {}).update({**own, "ClassifyRequest": schema})
    if has_keys:
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, methods in document["paths"].items():
            for operation in methods.values():
                if path.startswith("/v1") or path == "/metrics":
                    operation["security"] = [{"key": []}]
    return document
