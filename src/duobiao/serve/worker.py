"""The process that computes: ``python -m duobiao.serve.worker BUNDLE [ROUTES]``. One bundle, batches in, answers out.

A process of its own, and not a thread of the server: a native crash, a kill for want of memory or an endless loop in a model's
library ends this process alone, the server answers its callers, starts another and goes on; and the model's work does not hold
the lock of the server's interpreter. It costs a copy of plain JSON over a pipe each way (see ``frames``); nothing is unpickled.

It ends when its input ends, which is also what happens when the server dies. SIGINT, SIGTERM and SIGHUP, which a terminal or a
service manager sends to all processes at once, are left to the server, which lets this process finish its work.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from duobiao.classifier import Classifier
from duobiao.errors import DuobiaoError
from duobiao.halving import check_sound
from duobiao.routing import load_routes
from duobiao.serve.answering import Answering
from duobiao.serve.frames import answer_payload, packed, read_frame, to_json

log = logging.getLogger("duobiao.serve.worker")


def main() -> None:
    """Loads, says so, then answers until the input ends."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s worker %(process)d: %(message)s")
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not stand between the frames
    try:
        answering, described = load(*map(Path, sys.argv[1:3]))
    except Exception as error:
        log.exception("%s cannot be served", sys.argv[1])
        _send(
            output, to_json({"failed": str(error) if isinstance(error, DuobiaoError) else f"{type(error).__name__}: {error}"})
        )
        return
    _send(output, to_json({"ready": described}))
    serve(answering, sys.stdin.buffer, output)


def load(path: Path, routes: Path | None = None) -> tuple[Answering, dict[str, Any]]:
    """Loads a bundle with its routes, tries it, and describes it.

    Raises:
        DuobiaoError: If the bundle cannot be loaded, or the routes do not fit it.
        Exception: Whatever the model raises when it is tried.
    """
    classifier = Classifier.load(path)
    answering = Answering(classifier, None if routes is None else load_routes(routes, path))
    check_sound(classifier)
    space = classifier.space
    return answering, {
        "name": classifier.bundle.name,
        "kind": classifier.bundle.kind,
        "digest": classifier.bundle.digest,
        "routes": "" if answering.routes is None else answering.routes.digest,
        "labels": list(classifier.labels),
        "label_space": space.to_dict(),
        "operating_points": {name: thresholds(classifier.at(name)) for name in classifier.operating_points},
        "columns": list(classifier.columns),
        "max_length": classifier.input.max_length,
        "reads_context": classifier.features.reads_contexts,
        "depths": classifier.leaves_early,
    }


def thresholds(classifier: Classifier) -> dict[str, float]:
    """The threshold of each independent label."""
    values = classifier.decoder.thresholds.astype(float).round(6).tolist()
    return dict(zip(classifier.space.independent, values, strict=True))


def serve(answering: Answering, source: BinaryIO, output: BinaryIO) -> None:
    """Answers batch after batch, until the input ends."""
    while (payload := read_frame(source)) is not None:
        asked = json.loads(payload)
        done = answering.answer(asked["rows"], asked["options"])
        tokens, unknown = answering.tokens.take() if answering.tokens else (0, 0)
        head = {
            "seconds": round(done.seconds, 6),
            "failed": done.failed,
            "labels": done.labels,
            "tokens": tokens,
            "unknown": unknown,
            "sick": done.failed == len(done.rows) and not _is_sound(answering),
        }
        _send(output, answer_payload(head, done.rows))


def _is_sound(answering: Answering) -> bool:
    try:
        check_sound(answering.classifier)
    except Exception:
        log.exception("the model fails on everything")
        return False
    return True


def _send(output: BinaryIO, payload: bytes) -> None:
    output.write(packed(payload))
    output.flush()


if __name__ == "__main__":
    main()
