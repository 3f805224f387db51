"""The quality gate of int8: recipes are tried on dev rows, the one that loses least is kept, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import onnx

from duobiao import progress
from duobiao.bundle import Bundle
from duobiao.classifier import Classifier, make_backend
from duobiao.data.encode import Encoded
from duobiao.data.rows import Row, check_texts, model_inputs, targets
from duobiao.errors import ConfigError
from duobiao.evaluate.evidence import evidence
from duobiao.evaluate.latency import measure
from duobiao.evaluate.metrics import score
from duobiao.export.agree import compared
from duobiao.export.convert import assemble
from duobiao.export.observe import observe
from duobiao.export.recipes import RECIPES, Recipe, is_product, quantized
from duobiao.labels import Mask, Targets
from duobiao.models.probe import probe_of, processor
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.probabilities import Floats
from duobiao.postprocess.targets import refitted

Metric = Literal["macro_f1", "micro_f1"]
NEAR = 0.8
"""Recipes this close to the fastest one within the budget are as fast as it, and the one that loses least is chosen."""
TIMED_ROWS, ROUNDS = 64, 3


@dataclass(frozen=True)
class Gate:
    """What int8 may lose.

    Attributes:
        points: Points of F1 on dev rows, thresholds refitted on both sides.
        metric: Which F1.
        recipes: What is tried.
    """

    points: float = 0.5
    metric: Metric = "macro_f1"
    recipes: Sequence[Recipe] = RECIPES

    def __post_init__(self) -> None:
        if self.metric not in get_args(Metric):
            raise ConfigError(f"there is no metric {self.metric!r}", hint=f"choose one of {', '.join(get_args(Metric))}")
        if not self.points >= 0:
            raise ConfigError(f"{self.points:g} points cannot be lost", hint="give 0 or more")


@dataclass(frozen=True)
class Tried:
    """A recipe on the dev rows.

    Attributes:
        recipe: The recipe.
        lost: Points of each F1, against float32.
        flips: Decisions against the torch bundle's, by label, thresholds refitted.
        flipped: Their share.
        mb: Megabytes of weights.
        speedup: Rows a second against float32's, in turn on the same rows, from text to decisions.
        problem: Why it cannot be used at all; empty else.
    """

    recipe: Recipe
    lost: dict[str, float]
    flips: dict[str, int]
    flipped: float
    mb: float
    speedup: float
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A line of the table."""
        own = {name: value for name, value in self.__dict__.items() if name != "recipe"}
        return {"recipe": self.recipe.name, **own}


@dataclass(frozen=True)
class Report:
    """All recipes and the chosen one."""

    tried: tuple[Tried, ...]
    chosen: Tried
    gate: Gate

    def to_dict(self) -> dict[str, Any]:
        """The form stored in a bundle."""
        told = {"points": self.gate.points, "metric": self.gate.metric, "chosen": self.chosen.recipe.name}
        return {**told, "tried": [one.to_dict() for one in self.tried]}


@dataclass(frozen=True)
class _Dev:
    """Dev rows, what the torch bundle and float32 say of them, and those that are timed."""

    rows: Sequence[Row]
    inputs: dict[str, Any]
    cells: Targets
    torch: tuple[Floats, Mask]
    base: dict[str, float]
    timed: Sequence[int]


def pass_gate(
    exported: Classifier, rows: Sequence[Row], gate: Gate, torch: tuple[Floats, Mask], own: tuple[Floats, Mask]
) -> tuple[Bundle, Report]:
    """Quantizes an exported bundle.

    Args:
        exported: The bundle in float32.
        rows: Labelled dev rows.
        gate: What may be lost.
        torch: Probabilities and decisions of the torch bundle on these rows, each ``(rows, labels)``.
        own: Those of float32.

    Returns:
        The bundle with the chosen recipe, its thresholds refitted, and all that was tried.

    Raises:
        ConfigError: If no recipe stays within the budget, with what each loses.
        DataError: If the rows are not labelled.
    """
    check_texts(rows, "the quality gate of int8")
    cells = targets(rows, exported.space)
    timed = np.random.default_rng(0).permutation(len(rows))[:TIMED_ROWS].tolist()
    dev = _Dev(rows, model_inputs(rows, exported.columns), cells, torch, _scores(exported, own[0], cells)[0], timed)
    bundle, backend = exported.bundle, exported.backend
    encoded = _encoded(exported, rows)
    models = {file: onnx.load_model_from_string(graph) for file, graph in sorted(bundle.graphs.items())}
    seen = observe(models, dict(bundle.weights), backend.encoder, encoded, is_product)  # type: ignore[attr-defined]
    tried: list[Tried] = []
    within: list[tuple[Tried, Bundle, Mask]] = []
    with progress.task(f"{bundle.name}: int8", len(gate.recipes)) as task:
        for recipe in gate.recipes:
            parts = quantized(recipe, models, dict(bundle.weights), seen)
            made = assemble(bundle, *parts, _engine(bundle, recipe), placed=False)
            found, made, decided = _try(recipe, made, exported, dev)
            tried.append(found)
            if decided is not None and found.lost[gate.metric] <= gate.points:
                within.append((found, made, decided))
            task.advance(note=f"{recipe.name}: {found.lost.get(gate.metric, np.nan):.2f} points lost")
    if not within:
        raise ConfigError(
            f"{bundle.name}: no recipe of int8 stays within {gate.points:g} points of {gate.metric}; nothing is written",
            hint="allow for more with --lose-at-most, or export without --int8",
            problems=[_told(one, gate.metric) for one in tried],
        )
    chosen, made, decided = _best(within, gate.metric)
    told = evidence(cells, decided, rows, exported.space, made.thresholds, "dev")
    report = Report(tuple(tried), chosen, gate)
    return _with_probe(replace(made, metrics={**made.metrics, "evidence": told}), exported, report), report


def _scores(system: Classifier, proba: Floats, cells: Targets) -> tuple[dict[str, float], Mask, dict[str, Any]]:
    """F1 in points and decisions at the default operating point, and all points, refitted on the rows."""
    plain, asked = np.nan_to_num(proba), ~np.isnan(proba)
    thresholds = refitted(system.bundle.thresholds, plain, cells, asked, system.space)
    decided = Decoder.from_dict(thresholds, system.space).decide(plain, asked)
    found = score(cells, decided, system.space)
    return {name: 100 * float(found[name] or 0) for name in get_args(Metric)}, decided, thresholds


def _try(recipe: Recipe, made: Bundle, exported: Classifier, dev: _Dev) -> tuple[Tried, Bundle, Mask | None]:
    """What became of a recipe, the bundle with thresholds refitted, and its decisions; None where it cannot be used."""
    size = sum(array.nbytes for array in made.weights.values()) / 1e6
    try:
        system = Classifier(made, _unchecked(made))
        proba = system.predict_proba(**dev.inputs)
    except Exception as error:  # this processor, or this version, has no such product; onnxruntime's errors are of many kinds
        return Tried(recipe, {}, {}, 1.0, size, 0.0, str(error).splitlines()[0]), made, None
    points, decided, thresholds = _scores(system, proba, dev.cells)
    found = compared(system.space, dev.torch, (proba, decided))
    lost = {name: dev.base[name] - points[name] for name in points}
    with progress.use(progress.SILENT):
        speed = measure([exported, system], dev.rows, rounds={len(dev.timed): ROUNDS}, order=dev.timed)[1]["speedup"]
    share = found.flipped / max(found.cells, 1)
    return Tried(recipe, lost, found.flips, share, size, speed), replace(made, thresholds=thresholds), decided


def _unchecked(bundle: Bundle) -> Any:
    """The backend, before there is a probe."""
    engine = {**bundle.model["engine"], "precision": "untested"}
    return make_backend(replace(bundle, model={**bundle.model, "engine": engine}))


def _engine(bundle: Bundle, recipe: Recipe) -> dict[str, Any]:
    return {**bundle.model["engine"], "precision": "int8", "recipe": recipe.to_dict(), "processor": processor()}


def _best(within: Sequence[tuple[Tried, Bundle, Mask]], metric: Metric) -> tuple[Tried, Bundle, Mask]:
    """Of those within the budget that are nearly as fast as the fastest, the one that loses least."""
    fastest = max(found.speedup for found, _, _ in within)
    near = [one for one in within if one[0].speedup >= NEAR * fastest]
    return min(near, key=lambda one: (one[0].lost[metric], one[0].flipped))


def _encoded(system: Classifier, rows: Sequence[Row]) -> Encoded:
    pairs = [(row.text, row.context or None) for row in rows]
    vectors = system.features.vectors(pairs, model_inputs(rows, system.columns).get("numeric"))
    found: Encoded = system.backend.encoder.encode(pairs)  # type: ignore[attr-defined]
    return replace(found, features=vectors)


def _with_probe(made: Bundle, exported: Classifier, report: Report) -> Bundle:
    """The bundle with what float32 says of the probe, and how far int8 is from it here."""
    backend: Any = exported.backend
    wanted = backend.answer(probe_of(made, backend))
    distance = float(np.abs(_unchecked(made).answer(probe_of(made, backend)) - wanted).mean())
    weights = {**made.weights, "probe": wanted}
    models = {file: onnx.load_model_from_string(graph) for file, graph in made.graphs.items()}
    engine = {**made.model["engine"], "probe_distance": distance}
    return replace(assemble(made, models, weights, engine), metrics={**made.metrics, "int8": report.to_dict()})


def _told(one: Tried, metric: Metric) -> str:
    if one.problem:
        return f"{one.recipe.name}: {one.problem}"
    return f"{one.recipe.name}: loses {one.lost[metric]:.2f}, {one.flipped:.2%} of decisions flip, {one.speedup:.2f}x"
