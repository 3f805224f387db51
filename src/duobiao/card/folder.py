"""The card of a transformers folder: how to load it, and what of the bundle it does not carry."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
import yaml

from duobiao.card.words import escaped

if TYPE_CHECKING:
    from duobiao.bundle import Bundle


def render_folder_card(bundle: Bundle, agreement: Mapping[str, Any]) -> str:
    """The card.

    Args:
        bundle: The bundle that the folder came from.
        agreement: How far both agree, as ``Agreement.to_dict`` gives it.
    """
    own = bundle.metrics.get("card", {})
    head = {
        "language": ["zh"],
        "license": own.get("license", "other"),
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["duobiao", "multi-label-classification"],
    }
    values = {
        "bundle": bundle,
        "agreement": agreement,
        "notes": own.get("notes", ""),
        "groups": list(zip(bundle.space.groups, bundle.space.slices, strict=True)),
        "single": not bundle.space.independent and len(bundle.space.groups) == 1 and not bundle.space.groups[0].at_most_one,
        "thresholds": bundle.thresholds.get("values", {}),
        "rules": {name: value for name, value in bundle.thresholds.get("settings", {}).items() if value and name != "shrink"},
        "calibration": bundle.thresholds.get("calibration", {}),
        "points": list(bundle.thresholds.get("points", {})),
        "group_costs": bundle.thresholds.get("group_costs", {}),
        "group_weights": {label: f"{weight:.4g}" for label, weight in bundle.thresholds.get("group_weights", {}).items()},
    }
    template = resources.files("duobiao.card") / "templates" / "folder.md"
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters["md"] = escaped
    text = environment.from_string(template.read_text(encoding="utf-8")).render(values)
    return f"---\n{yaml.safe_dump(head, allow_unicode=True, sort_keys=False)}---\n{text}"
