"""What a card says, gathered from a bundle's manifest; the templates only put it into sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from duobiao.card.limits import limits
from duobiao.card.stamp import stamp
from duobiao.card.words import CONTROLS, KINDS, NO_TEACHER, SCORED, SHOWN, Words, without_paths
from duobiao.config.points import PointSettings
from duobiao.postprocess.points import stored_points

HISTORY = "metrics.jsonl"
_TUNED = ("tune", "int8")
"""Blocks of metrics after which the dev scores of older versions are those of other thresholds."""


def facts(manifest: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Everything that the templates show.

    Args:
        manifest: The bundle's.
        sizes: Bytes of its files by name, as far as they are there.
    """
    metrics, space = manifest["metrics"], manifest["label_space"]
    scores, test = scores_on_dev(manifest), scores_on_test(manifest)
    table = label_table(manifest, scores)
    asked = [context for group in space.get("groups", {}).values() for context in group.get("contexts", ())]
    made_without = metrics.get("teacher") == NO_TEACHER and manifest["kind"] in CONTROLS
    kind = (
        CONTROLS[manifest["kind"]] if made_without else KINDS.get(manifest["kind"], Words(manifest["kind"], manifest["kind"]))
    )
    return {
        "manifest": manifest,
        "name": manifest["name"],
        "kind": kind,
        "metrics": metrics,
        "input": manifest["input"],
        "own": metrics.get("card", {}),
        "independent": space.get("labels", []),
        "groups": space.get("groups", {}),
        "labels": len(table),
        "context": asked[0] if asked and manifest["input"].get("context") == "pair" else None,
        "numeric": manifest["config"].get("features", {}).get("numeric", []),
        "points": points(manifest),
        "rules": rules(manifest),
        "calibration": calibration(manifest),
        "scores": scores,
        "test": test,
        "scored": SCORED,
        "shown": SHOWN,
        "table": table,
        "data": metrics.get("data", {}),
        "encoder": encoder(manifest),
        "teacher": None if made_without else metrics.get("teacher"),
        "control": made_without,
        "megabytes": sum(size for name, size in sizes.items() if name != HISTORY) / 1e6,
        "limits": limits(manifest, table, (scores, test)),
        "settings": settings(manifest),
    }


def scores_on_dev(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Dev scores of the thresholds as they are; those of other thresholds count for nothing.

    Bundles of versions that kept no evidence have the scores of training, which hold as long as nothing was tuned after it.
    """
    metrics = manifest["metrics"]
    evidence: Mapping[str, Any] | None = metrics.get("evidence")
    if evidence is not None:
        return evidence if evidence.get("of") == stamp(manifest["thresholds"]) else None
    if "rows" not in metrics.get("dev", {}) or any(name in metrics for name in _TUNED):
        return None
    return {"how": "dev", **metrics["dev"]}


def scores_on_test(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Scores on test rows, if they are those of this very bundle."""
    found: Mapping[str, Any] | None = manifest["metrics"].get("test")
    return found if found is not None and found.get("of") == manifest["digest"] else None


def label_table(manifest: Mapping[str, Any], scores: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A line a label: its group, threshold, training rows, and precision, recall, F1 and rows of the best evidence there is.

    None where a figure is not known.
    """
    space = manifest["label_space"]
    thresholds = manifest["thresholds"].get("values", {})
    trained = manifest["metrics"].get("data", {}).get("positives")
    best = scores_on_test(manifest) or scores or {}
    per_label = best.get("per_label", {})
    groups = [(label, "") for label in space.get("labels", [])]
    groups += [(label, name) for name, group in space.get("groups", {}).items() for label in group["labels"]]
    lines = []
    for label, group in groups:
        own = per_label.get(label, {})
        line = {"label": label, "group": group, "threshold": thresholds.get(label)}
        line["train"] = (trained or {}).get(label)
        lines.append({**line, **{key: own.get(key) for key in ("precision", "recall", "f1", "support", "interval")}})
    return lines


def points(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Operating points, the default one first, with their held-out scores where they were tuned."""
    tuned = tuning(manifest).get("points", {})
    found = []
    for name, entry in stored_points(manifest["thresholds"]).items():
        target = str(PointSettings(**entry["target"])) if entry.get("target") else "macro-f1"
        found.append({"name": name, "target": target, "scores": tuned.get(name, {})})
    return found


def tuning(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """What tuning found, if the thresholds are still those that it left; empty else.

    Bundles of versions that kept no name for the thresholds have it as long as nothing that changes them came after.
    """
    tune: Mapping[str, Any] = manifest["metrics"].get("tune", {})
    if "of" in tune:
        return tune if tune["of"] == stamp(manifest["thresholds"]) else {}
    return {} if {"int8", "dial", "add_label"} & manifest["metrics"].keys() else tune


def rules(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of the default operating point that change anything."""
    own = manifest["thresholds"].get("settings", {})
    return {name: value for name, value in own.items() if value and name != "shrink"}


def calibration(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """How many decisions are calibrated in which way, and what it gave; None without calibration."""
    stored = manifest["thresholds"].get("calibration")
    if not stored:
        return None
    gave = tuning(manifest).get("calibration") or {}
    kinds = {name: len(stored.get(name, {})) for name in ("temperature", "isotonic")}
    return {**kinds, "before": gave.get("before"), "after": gave.get("after")}


def encoder(manifest: Mapping[str, Any]) -> str | None:
    """The encoder that a teacher began with: its name on the hub, or the last part of a path."""
    named = manifest["config"].get("encoder")
    return without_paths(named) if isinstance(named, str) else None


def settings(manifest: Mapping[str, Any]) -> str:
    """The resolved configuration as YAML, without local paths."""
    config = without_paths(manifest["config"])
    return yaml.safe_dump(config, allow_unicode=True, sort_keys=False, width=120).strip() if config else ""
