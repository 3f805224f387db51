"""The dial of a model with exits: what each setting costs and saves, measured, and the one that the user asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from duobiao import progress
from duobiao.bundle import Bundle, write_bundle
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, check_texts, model_inputs, targets
from duobiao.data.write import write_text
from duobiao.errors import BundleError, ConfigError
from duobiao.evaluate.curve import Point, check_picture, render_curve
from duobiao.evaluate.evidence import DEV, evidence
from duobiao.evaluate.exits import Exits, Setting, lose_at_most, settings_of
from duobiao.evaluate.latency import measure
from duobiao.evaluate.wording import Language
from duobiao.models.exits import ExitBackend, every_logits
from duobiao.models.flops import Cost
from duobiao.outputs import check_outputs
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.leaving import CRITERIA, Criterion, errors_to_list
from duobiao.postprocess.points import stored_points, with_points

ROUNDS = {1: 100, 32: 20}
TIMED = 7
"""Settings that are timed at most, full depth among them, spread from the slowest to the fastest."""
TIMED_LOSS = 5.0
"""Settings that lose more macro-F1 points are neither timed nor offered, unless the aim allows for more."""


@dataclass(frozen=True)
class Aim:
    """What the user asks for; exactly one is given.

    Attributes:
        lose_at_most: Macro-F1 points on dev rows.
        p95_ms: Milliseconds that 95 of 100 single rows stay within, from text to decisions.
        speed: The dial itself.
    """

    lose_at_most: float | None = None
    p95_ms: float | None = None
    speed: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.lose_at_most, self.p95_ms, self.speed) if value is not None]
        if len(given) != 1:
            raise ConfigError(
                "one aim is needed", hint="give --lose-at-most POINTS, --p95-ms MILLISECONDS, or --speed X, one of them"
            )
        if given[0] < 0 or (self.speed or 0) > 1:
            raise ConfigError(
                f"{given[0]:g} is no possible aim", hint="points and milliseconds are 0 or more, a speed is from 0 to 1"
            )

    def __str__(self) -> str:
        if self.lose_at_most is not None:
            return f"lose at most {self.lose_at_most:g} macro-F1 points"
        return f"p95 within {self.p95_ms:g} ms" if self.p95_ms is not None else f"speed {self.speed:g}"


@dataclass(frozen=True)
class Timed:
    """A setting with its measured speed.

    Attributes:
        setting: What it is.
        times: As ``latency.measure`` gives it; speed-ups are against the plain teacher.
    """

    setting: Setting
    times: dict[str, Any]

    @property
    def is_offered(self) -> bool:
        """Whether it is nowhere slower than the plain teacher, which full depth is."""
        return self.setting.speed <= 0 or min(self.times["speedups"].values()) >= 1.0

    def to_dict(self) -> dict[str, Any]:
        """One line of the table."""
        return {**self.setting.to_dict(), **self.times, "offered": self.is_offered}


def dial(
    path: str | Path,
    rows: Sequence[Row],
    aim: Aim,
    *,
    criterion: Criterion | None = None,
    rounds: dict[int, int] | None = None,
    picture: Path | None = None,
    json_out: Path | None = None,
    language: Language = "zh",
) -> dict[str, Any]:
    """Measures the settings of a bundle's dial on dev rows, chooses one, and stores it with the table in the bundle.

    Args:
        path: Folder of a FastBERT bundle; rewritten whole.
        rows: Labelled dev rows, never the rows that are scored in the end.
        aim: What is asked for.
        criterion: ``margin`` or ``entropy``; by default that of the bundle.
        rounds: Rounds of timing for each batch size.
        picture: Where a curve of quality against milliseconds goes, ``.svg``.
        json_out: Where the table goes.
        language: Of the picture.

    Returns:
        ``aim``, ``chosen`` (a line of the table) and ``table``.

    Raises:
        ConfigError: If no setting meets the aim (with the best that can be had), or the aim is none.
        BundleError: If the bundle has no exits.
        DataError: If the rows do not fit the label space.
    """
    if picture is not None:
        check_picture(picture)
    check_outputs([("--picture", picture), ("--json", json_out)], [path])
    system, backend = load_exits(path)
    rule = criterion or backend.rule.criterion
    if rule not in CRITERIA:
        raise ConfigError(f"there is no criterion {rule!r}", hint=f"choose one of {', '.join(CRITERIA)}")
    found = answers(system, backend, rows)
    tried = settings_of(found, rule, None if aim.speed is None else (aim.speed,))
    table = timed(
        system, backend, found, tried if aim.speed is not None else _worth_timing(tried, aim.lose_at_most or 0.0), rows, rounds
    )
    chosen = choose(table, aim)
    result = {"aim": str(aim), "chosen": chosen.to_dict(), "table": [one.to_dict() for one in table]}
    store(path, system.bundle, found, chosen.setting, result, rows)
    if json_out is not None:
        write_text(json_out, json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    if picture is not None:
        write_text(picture, render_curve([_point(one, one is chosen) for one in table], language=language))
    return result


def load_exits(path: str | Path) -> tuple[Classifier, ExitBackend]:
    """A bundle with exits.

    Raises:
        BundleError: If it has none.
    """
    system = Classifier.load(path)
    if not isinstance(system.backend, ExitBackend):
        raise BundleError(
            f"{path}: a {system.bundle.kind} bundle has no exits, so it has no dial",
            hint="give a bundle that duobiao distil --config fastbert wrote",
        )
    return system, system.backend


def answers(system: Classifier, backend: ExitBackend, rows: Sequence[Row]) -> Exits:
    """What every exit says of labelled rows.

    Raises:
        DataError: If they do not fit the label space.
    """
    check_texts(rows, "the dial")
    cells = targets(rows, system.space)
    inputs = model_inputs(rows, system.columns)
    pairs = [(row.text, row.context or None) for row in rows]
    vectors = system.features.vectors(pairs, inputs.get("numeric"))
    encoded = replace(backend.encoder.encode(pairs), features=vectors)
    every = every_logits(backend.exiting, backend.encoder, encoded)
    cost = Cost.of(backend.exiting)
    return Exits(every[:-1], every[-1], cells, encoded.lengths, system.decoder, cost, system.calibration)


def timed(
    system: Classifier,
    backend: ExitBackend,
    found: Exits,
    settings: Sequence[Setting],
    rows: Sequence[Row],
    rounds: dict[int, int] | None = None,
) -> list[Timed]:
    """Times the plain teacher and the settings in turn, on the same rows."""

    def under(setting: Setting) -> Classifier:
        rule = found.rule(setting.criterion, setting.speed, setting.exits)
        return Classifier(system.bundle, backend.with_rule(rule))

    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    early = [setting for setting in settings if setting.speed > 0]
    systems = [under(settings[0]), *(under(setting) for setting in early)]
    times = measure(systems, rows, 0, rounds or ROUNDS, order=order)
    return [Timed(setting, own) for setting, own in zip([settings[0], *early], times, strict=True)]


def choose(table: Sequence[Timed], aim: Aim) -> Timed:
    """The setting that meets the aim.

    Raises:
        ConfigError: If none does, naming the best that can be had.
    """
    offered = [one for one in table if one.is_offered]
    if aim.speed is not None:
        wanted = [one for one in table if one.setting.speed == aim.speed]
        if not wanted[0].is_offered:
            slow = min(wanted[0].times["speedups"].values())
            raise ConfigError(
                f"speed {aim.speed:g} is slower than the plain teacher here ({slow:.2f}x), so it is not offered",
                hint="give a higher --speed, or --lose-at-most",
            )
        return wanted[0]
    if aim.p95_ms is not None:
        within = [one for one in offered if one.times["p95_ms"]["1"] <= aim.p95_ms]
        if not within:
            best = min(offered, key=lambda one: one.times["p95_ms"]["1"])
            raise ConfigError(
                f"no setting answers 95 of 100 rows within {aim.p95_ms:g} ms; the best that can be had here is "
                f"{best.times['p95_ms']['1']:.1f} ms, at speed {best.setting.speed:g}, which loses {best.setting.lost:.2f} "
                "macro-F1 points",
                hint=f"--p95-ms {best.times['p95_ms']['1'] * 1.1:.1f}, a smaller student, or a shorter input.max_length",
            )
        return max(within, key=lambda one: (one.setting.macro_f1, -one.times["p95_ms"]["1"]))
    chosen = lose_at_most([one.setting for one in offered], aim.lose_at_most or 0.0)
    return next(one for one in offered if one.setting is chosen)


def store(path: str | Path, bundle: Bundle, found: Exits, setting: Setting, result: dict[str, Any], rows: Sequence[Row]) -> str:
    """Writes the bundle anew with another dial; returns its digest, which is another one where the answers may differ."""
    errors = found.rule(setting.criterion, setting.speed, setting.exits).errors
    stored = stored_points(bundle.thresholds)
    points = with_errors(found, setting.dial, stored) if len(stored) > 1 else stored
    thresholds = with_points(points, bundle.thresholds.get("calibration"))
    told = evidence(found.cells, found.under(setting), rows, bundle.space, thresholds, "dev")
    dev = {name: told[name] for name in DEV}
    changed = replace(
        bundle,
        thresholds=thresholds,
        model={**bundle.model, "dial": setting.dial},
        weights={**bundle.weights, "errors": errors},
        metrics={**bundle.metrics, "dev": dev, "evidence": told, "dial": result},
    )
    digest = write_bundle(path, changed)
    progress.say(f"{path}: the dial now stands at {setting.criterion} {setting.speed:g} ({result['aim']})")
    return digest


def with_errors(found: Exits, dial: Mapping[str, Any], points: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Stored operating points, all but the first with the errors of their own thresholds under a dial."""
    first = next(iter(points))
    result: dict[str, dict[str, Any]] = {}
    for name, entry in points.items():
        result[name] = {key: value for key, value in entry.items() if key != "errors"}
        if name != first:
            own = replace(found, decoder=Decoder.from_dict(entry, found.decoder.space))
            errors = own.rule(dial["criterion"], float(dial["speed"]), dial["exits"]).errors
            result[name]["errors"] = errors_to_list(errors)
    return result


def _worth_timing(settings: Sequence[Setting], points: float) -> list[Setting]:
    """Full depth and a handful of settings, spread over what they save."""
    early = [one for one in settings[1:] if one.lost <= max(TIMED_LOSS, points) and one.flops_gain > 1.0]
    places = sorted({round(place) for place in np.linspace(0, len(early) - 1, TIMED - 1).tolist()}) if early else []
    return [settings[0], *(early[place] for place in places)]


def _point(one: Timed, chosen: bool) -> Point:
    setting = one.setting
    name = "speed 0" if setting.speed <= 0 else f"{setting.speed:g}"
    return Point(one.times["p50_ms"]["1"], setting.macro_f1, name, setting.criterion, chosen, setting.speed <= 0)
