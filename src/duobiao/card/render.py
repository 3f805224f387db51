"""A card as text: a head that the Hub reads, then Chinese, then English, then one table of labels for both."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
import yaml

from duobiao.card.facts import facts, scores_on_dev, scores_on_test
from duobiao.card.words import escaped

CARD = "README.md"
"""The card's file name, which the Hub shows as the front page."""
_HEAD_METRICS = ("micro_f1", "macro_f1", "samples_f1", "subset_accuracy")


def render_card(manifest: Mapping[str, Any], sizes: Mapping[str, int]) -> str:
    """The model card of a bundle.

    The same manifest gives the same card, so it can be written anew at any time.

    Args:
        manifest: The bundle's, with its digest.
        sizes: Bytes of its files by name.
    """
    template = resources.files("duobiao.card") / "templates" / "card.md"
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(md=escaped, ratio=_ratio, short=_short)
    head = yaml.safe_dump(front_matter(manifest), allow_unicode=True, sort_keys=False, width=120)
    text = environment.from_string(template.read_text(encoding="utf-8")).render(facts(manifest, sizes))
    return f"---\n{head}---\n{text}"


def front_matter(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the Hub reads: language, licence, task, tags, and scores in the form of its model index."""
    own = manifest["metrics"].get("card", {})
    head: dict[str, Any] = {
        "language": ["zh"],
        "license": own.get("license", "other"),
        "library_name": "duobiao",
        "pipeline_tag": "text-classification",
        "tags": ["duobiao", "multi-label-classification", manifest["kind"]],
        "metrics": ["f1"],
    }
    results = []
    for name, scores in (("test", scores_on_test(manifest)), ("dev", scores_on_dev(manifest))):
        if scores is not None:
            results.append(_result(name, scores))
    if results:
        head["model-index"] = [{"name": manifest["name"], "results": results}]
    return head


def _result(name: str, scores: Mapping[str, Any]) -> dict[str, Any]:
    values = [
        {"type": "f1" if metric.endswith("f1") else "accuracy", "name": metric, "value": round(float(scores[metric]), 4)}
        for metric in _HEAD_METRICS
        if scores.get(metric) is not None
    ]
    rows = f"{name} rows"
    if scores.get("digest"):
        rows += f", sha256 {scores['digest'][:12]}"
    return {
        "task": {"type": "text-classification", "name": "Multi-label text classification"},
        "dataset": {"type": "private", "name": rows, "split": "test" if name == "test" else "validation"},
        "metrics": values,
    }


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _short(number: float) -> str:
    return f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number / 1e3:.0f}k" if number >= 1e4 else f"{number:.0f}"
