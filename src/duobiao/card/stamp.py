"""Which thresholds scores belong to, so that a card never shows those of others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def stamp(thresholds: Mapping[str, Any]) -> str:
    """A name for stored thresholds with their operating points and calibration, as ``Bundle.thresholds`` holds them."""
    return hashlib.sha256(json.dumps(thresholds, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]
