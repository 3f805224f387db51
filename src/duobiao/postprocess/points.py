"""Operating points: named thresholds and rules of one bundle, of which each prediction uses one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duobiao.errors import ConfigError

DEFAULT = "default"
"""The name of the operating point that training made."""


def stored_points(thresholds: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The operating points of a bundle by name, the default one first.

    The default one lies where bundles without further points have their thresholds.

    Args:
        thresholds: As the bundle stores it: ``values`` and ``settings`` of the default point, its ``name`` if that is not
            ``default``, and ``points``, the others by name.
    """
    first = {key: value for key, value in thresholds.items() if key not in ("name", "points", "calibration")}
    return {thresholds.get("name", DEFAULT): first, **thresholds.get("points", {})}


def default_point(thresholds: Mapping[str, Any]) -> str:
    """The name of a bundle's default operating point."""
    return next(iter(stored_points(thresholds)))


def with_points(points: Mapping[str, Mapping[str, Any]], calibration: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The stored form of operating points, the first one the default: what ``stored_points`` reads."""
    (name, first), *others = points.items()
    found: dict[str, Any] = dict(first)
    if name != DEFAULT:
        found["name"] = name
    if others:
        found["points"] = {other: dict(entry) for other, entry in others}
    return {**found, "calibration": dict(calibration)} if calibration else found


def stored_point(thresholds: Mapping[str, Any], name: str, owner: str | Path) -> dict[str, Any]:
    """One operating point of a bundle.

    Args:
        thresholds: As the bundle stores it.
        name: The point's.
        owner: The bundle, for messages: its folder, or its name.

    Raises:
        ConfigError: Naming those that there are.
    """
    points = stored_points(thresholds)
    if name not in points:
        raise ConfigError(
            f"{owner}: has no operating point {name!r}",
            hint=f"choose one of {', '.join(points)}; duobiao tune makes more",
        )
    return points[name]
