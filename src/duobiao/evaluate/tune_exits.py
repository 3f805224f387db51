"""When rows leave a tuned FastBERT bundle: its dial stays where it stood, calibrated for the new thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from duobiao.bundle import Bundle
from duobiao.classifier import Classifier
from duobiao.data.rows import Row
from duobiao.evaluate.dial import answers, with_errors
from duobiao.evaluate.exits import Exits
from duobiao.models.exits import ExitBackend
from duobiao.postprocess.calibration import Calibration
from duobiao.postprocess.decode import Decoder


def exits_of(system: Classifier, rows: Sequence[Row]) -> Exits:
    """What every exit says of dev rows."""
    assert isinstance(system.backend, ExitBackend)
    return answers(system, system.backend, rows)


def refitted(
    bundle: Bundle, found: Exits, points: dict[str, dict[str, Any]], calibration: Calibration
) -> tuple[Bundle, dict[str, dict[str, Any]]]:
    """The bundle, and its operating points, with errors that fit the new thresholds and the new calibration."""
    dial = bundle.model["dial"]
    first = Decoder.from_dict(next(iter(points.values())), bundle.space)
    under = replace(found, decoder=first, calibration=calibration)
    errors = under.rule(dial["criterion"], float(dial["speed"]), dial["exits"]).errors
    return replace(bundle, weights={**bundle.weights, "errors": errors}), with_errors(under, dial, points)
