"""Messages between the server and the processes that compute: a length of 4 bytes, then that many bytes of JSON.

The answer of a batch is its head, one line of JSON, followed by one line of JSON a row. The server never parses these lines: it
puts the row's id before them and sends them on, so an answer is written as JSON once.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

LENGTH = 4


def packed(payload: bytes) -> bytes:
    """A frame."""
    return len(payload).to_bytes(LENGTH, "big") + payload


def to_json(value: Any) -> bytes:
    """Compact JSON in UTF-8, on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "backslashreplace")


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame of a blocking stream; None at its end."""
    head = stream.read(LENGTH)
    if len(head) < LENGTH:
        return None
    size = int.from_bytes(head, "big")
    payload = stream.read(size)
    return payload if len(payload) == size else None


def answer_payload(head: dict[str, Any], rows: list[bytes]) -> bytes:
    """A head and the lines of its rows."""
    return b"\n".join([to_json(head), *rows])


def split_answer(payload: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The head, and the rows' lines as they are."""
    first, *rows = payload.split(b"\n")
    return json.loads(first), rows
