"""Operating points and calibration of a bundle, fitted on dev rows and scored on rows that each fit did not see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duobiao import progress
from duobiao.bundle import check_free, check_place, read_bundle, write_bundle
from duobiao.card.stamp import stamp
from duobiao.classifier import Classifier
from duobiao.config import PointSettings, ThresholdSettings
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, check_texts, model_inputs, targets
from duobiao.data.stratify import stratified_folds
from duobiao.data.units import tied_units
from duobiao.data.write import write_text
from duobiao.errors import BundleError, ConfigError, DataError
from duobiao.evaluate.curve import check_picture
from duobiao.evaluate.evidence import sheet
from duobiao.evaluate.metrics import score
from duobiao.evaluate.point_options import check_points, parse_points, parse_rules, read_rules
from duobiao.evaluate.reliability_picture import render_reliability
from duobiao.evaluate.wording import Language
from duobiao.labels import UNASKED, LabelSpace, Mask, Targets
from duobiao.outputs import check_outputs, is_same
from duobiao.postprocess.bounded import wanted_labels
from duobiao.postprocess.calibration import Calibration
from duobiao.postprocess.check_calibration import Checked, fit_checked
from duobiao.postprocess.decode import Decoder, check_rules
from duobiao.postprocess.fit_calibration import Ids
from duobiao.postprocess.points import stored_points, with_points
from duobiao.postprocess.probabilities import Floats, probabilities
from duobiao.postprocess.targets import Tuned, expected_cost, group_answers, target_of, thresholds_for
from duobiao.postprocess.thresholds import thresholds_to_dict

if TYPE_CHECKING:
    from duobiao.evaluate.exits import Exits

FOLDS = 5
SHOWN = ("micro_f1", "macro_f1", "samples_f1", "subset_accuracy", "group_accuracy")


@dataclass(frozen=True)
class Dev:
    """What a model says of dev rows.

    Attributes:
        system: The model.
        logits: Not calibrated, at full depth, ``(rows, labels)``.
        cells: Truth, ``(rows, labels)``.
        folds: The fold of each row, ``(rows,)``.
        exits: What the exits say, of a model that rows leave early.
        rows: The rows themselves.
    """

    system: Classifier
    logits: Floats
    cells: Targets
    folds: Ids
    exits: Exits | None = None
    rows: Sequence[Row] = ()

    @property
    def asked(self) -> Mask:
        found: Mask = self.cells != UNASKED
        return found

    def proba(self, calibration: Calibration) -> Floats:
        """Calibrated probabilities, ``(rows, labels)``."""
        return probabilities(calibration.apply(self.logits, self.system.space), self.system.space)


def tune_bundle(
    path: str | Path,
    rows: Sequence[Row],
    points: Mapping[str, PointSettings] | None = None,
    *,
    out: str | Path | None = None,
    rules: Mapping[str, Any] | None = None,
    default: str | None = None,
    calibrate: bool = True,
    folds: int = FOLDS,
    seed: int = 0,
    force: bool = False,
) -> dict[str, Any]:
    """Calibrates a bundle, tunes its operating points, and stores both in it.

    Points that the bundle has already are tuned anew for their targets, since their thresholds must fit the calibration.

    Args:
        path: The bundle.
        rows: Labelled dev rows, never those that are scored in the end.
        points: Targets by name; a name that the bundle has already gets the new target.
        out: Where the tuned bundle goes; by default the bundle is rewritten. Either way whole or not at all.
        rules: Fields of ``ThresholdSettings`` that change at every point.
        default: The point that is used where none is named; that of the bundle if left out.
        calibrate: Whether to calibrate; if not, a calibration that the bundle has is taken away.
        folds: Parts of the rows; each is scored by what was fitted on the others.
        seed: Of the folds.
        force: Replace another bundle at ``out``.

    Returns:
        ``name``, ``rows``, ``folds``, ``calibration`` (None if it was not asked for; see ``Checked``), ``points``: for each
        ``name``, ``target``, ``held_out`` and ``all_rows`` (scores), ``reached``, ``expected_cost``.

    Raises:
        ConfigError: If targets or rules do not fit the label space, or another bundle is at ``out``.
        DataError: If rows are too few, unlabelled, or foreign to the label space.
        BundleError: If the bundle cannot be read, or ``out`` is taken.
    """
    if out is not None and not is_same(Path(out), Path(path)):
        check_place(Path(out))
        if not force:
            check_free(Path(out))
    system = Classifier.load(path)
    stored = stored_points(system.bundle.thresholds)
    wanted = _default_first(_wanted(stored, points or {}, rules or {}, system), default)
    dev = dev_of(system, rows, folds, seed)
    shrink = next(iter(wanted.values()))[1].shrink
    checked = fit_checked(dev.logits, dev.cells, system.space, dev.folds, shrink) if calibrate else None
    table, entries = [], {}
    with progress.task("operating points", len(wanted)) as task:
        for name, (target, settings) in wanted.items():
            tuned, line = tuned_point(dev, checked, target, settings)
            table.append({"name": name, "target": str(target), **line})
            stored_form = thresholds_to_dict(tuned.thresholds, settings, system.space, tuned.worth)
            entries[name] = {**stored_form, "target": target.stored()}
            task.advance()
    found = {"name": system.bundle.name, "rows": len(rows), "folds": folds}
    found |= {"calibration": checked.to_dict() if checked else None, "points": table}
    calibration = checked.calibration if checked else Calibration()
    store(Path(path if out is None else out), dev, entries, calibration, found)
    return found


def tune_file(
    path: Path,
    data: Path,
    *,
    points: Sequence[str] = (),
    points_file: Path | None = None,
    out: Path | None = None,
    rules_file: Path | None = None,
    overrides: Sequence[str] = (),
    default: str | None = None,
    calibrate: bool = True,
    folds: int = FOLDS,
    seed: int = 0,
    force: bool = False,
    picture: Path | None = None,
    json_out: Path | None = None,
    language: Language = "zh",
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> dict[str, Any]:
    """``tune_bundle`` from files and texts as the command takes them; what is wrong with them is told before any work.

    Raises:
        DuobiaoError: As ``tune_bundle``, ``parse_points`` and ``read_rules`` do.
    """
    if picture is not None:
        check_picture(picture)
    costs = [text.partition("=")[2].strip() for text in points]  # targets that are tables
    check_outputs(
        [("--picture", picture), ("--json", json_out)],
        [path, data, points_file, rules_file, *costs],
        [("--out", out)] if out is not None and not is_same(out, path) else (),
    )
    wanted, rules = parse_points(points, points_file), read_rules(rules_file, overrides)
    space = read_bundle(path).space
    rows = read_rows(data, space=space, columns=columns, separator=separator)
    how: dict[str, Any] = {"rules": rules, "default": default, "calibrate": calibrate, "folds": folds, "seed": seed}
    found = tune_bundle(path, rows, wanted, out=out, force=force, **how)
    if json_out is not None:
        write_text(json_out, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    if picture is not None:
        write_text(picture, render_reliability(found, language=language))
    return found


def dev_of(system: Classifier, rows: Sequence[Row], folds: int, seed: int) -> Dev:
    """What a model says of labelled rows, at full depth, with folds that keep dialogues and equal texts whole.

    Raises:
        DataError: If the rows do not fit the label space, or make too few folds.
    """
    check_texts(rows, "tuning")
    cells = targets(rows, system.space)
    units = tied_units(rows)
    if folds < 2 or int(units.max()) + 1 < folds:
        raise DataError(
            f"{len(rows)} rows with {int(units.max()) + 1} different texts or dialogues make no {folds} folds",
            hint="give more rows, or fewer --folds (2 at least)",
        )
    found = stratified_folds(rows, units, system.space, folds, seed)
    if system.leaves_early and system.bundle.is_exported:
        raise BundleError(
            f"{system.bundle.name}: an exported bundle with early exits cannot be tuned, for its exits follow the thresholds",
            hint="tune the bundle that it was exported from, then export that",
        )
    if hasattr(system.backend, "exiting"):  # its rows leave early by thresholds that are about to change
        from duobiao.evaluate.tune_exits import exits_of

        exits = exits_of(system, rows)
        return Dev(system, exits.last, cells, found, exits, rows)
    logits = system.logits(**model_inputs(rows, system.columns), label=f"score {system.bundle.name}")
    return Dev(system, logits, cells, found, None, rows)


def tuned_point(
    dev: Dev, checked: Checked | None, target: PointSettings, settings: ThresholdSettings
) -> tuple[Tuned, dict[str, Any]]:
    """Thresholds from all rows, and scores: on each fold those of thresholds and calibration from the other folds."""
    space, plain = dev.system.space, Calibration()
    held_out = np.zeros(dev.cells.shape, dtype=np.bool_)
    for fold in np.unique(dev.folds).tolist():
        inside, outside = dev.folds != fold, dev.folds == fold
        proba = dev.proba(checked.by_fold[fold] if checked else plain)
        tuned = _thresholds(target, proba[inside], dev.cells[inside], dev.asked[inside], dev, settings)
        held_out[outside] = Decoder(space, tuned.thresholds, settings, tuned.worth).decide(proba[outside], dev.asked[outside])
    proba = dev.proba(checked.calibration if checked else plain)
    tuned = _thresholds(target, proba, dev.cells, dev.asked, dev, settings)
    decided = Decoder(space, tuned.thresholds, settings, tuned.worth).decide(proba, dev.asked)
    line: dict[str, Any] = {
        "held_out": sheet(dev.cells, held_out, dev.rows, space),
        "all_rows": score(dev.cells, decided, space),
    }
    line["reached"] = [vars(one) for one in tuned.reached]
    line["notes"] = reached_notes(target, tuned, line["held_out"]["per_label"], space)
    bounded = target.at_least is not None
    names = wanted_labels(target, space) if bounded else space.names
    line["wanted_labels"] = pooled(dev.cells, held_out, [space.index[name] for name in names])
    line["expected_cost"] = expected_cost(target, dev.cells, held_out, space) if target.costs else None
    return tuned, line


def pooled(cells: Targets, decided: Mask, columns: Sequence[int]) -> dict[str, float]:
    """Precision and recall over all known cells of some columns."""
    known = cells[:, columns] >= 0
    truth, guess = (cells[:, columns] == 1) & known, decided[:, columns] & known
    hits = int((truth & guess).sum())
    return {"precision": hits / max(int(guess.sum()), 1), "recall": hits / max(int(truth.sum()), 1)}


def reached_notes(
    target: PointSettings, tuned: Tuned, per_label: Mapping[str, Mapping[str, float]], space: LabelSpace
) -> list[str]:
    """For each label that cannot reach what was wanted: what it can."""
    return [
        f"{one.label}: {target.target} of {target.at_least:g} is not to be had with confidence {target.confidence:g}; "
        f"{'the best bound' if one.label in space.independent else 'beside the rest of its group the bound'} is "
        f"{one.bound:.3f} ({one.observed:.3f} of {one.rows} rows), held out "
        f"{target.target} {per_label[one.label][target.target]:.3f}"
        for one in tuned.reached
        if not one.met
    ]


def _thresholds(
    target: PointSettings, proba: Floats, cells: Targets, asked: Mask, dev: Dev, settings: ThresholdSettings
) -> Tuned:
    space = dev.system.space
    return thresholds_for(target, proba, cells, space, settings, group_answers(proba, asked, space))


def _wanted(
    stored: Mapping[str, Mapping[str, Any]],
    points: Mapping[str, PointSettings],
    rules: Mapping[str, Any],
    system: Classifier,
) -> dict[str, tuple[PointSettings, ThresholdSettings]]:
    """Target and rules of every point, those of the bundle first."""
    first = next(iter(stored.values()))
    found = {}
    for name in [*stored, *(name for name in points if name not in stored)]:
        entry = stored.get(name, first)
        target = points.get(name) or target_of(entry)
        found[name] = target, parse_rules({**entry["settings"], **rules})
        check_rules(found[name][1], system.space)
    check_points({name: target for name, (target, _) in found.items()}, system.space)
    return found


def _default_first(
    wanted: dict[str, tuple[PointSettings, ThresholdSettings]], default: str | None
) -> dict[str, tuple[PointSettings, ThresholdSettings]]:
    if default is None:
        return wanted
    if default not in wanted:
        raise ConfigError(f"--default: there is no operating point {default!r}", hint=f"choose one of {', '.join(wanted)}")
    return {default: wanted[default], **wanted}


def store(path: Path, dev: Dev, entries: dict[str, dict[str, Any]], calibration: Calibration, found: Mapping[str, Any]) -> str:
    """Writes the bundle with its points; returns the digest, which is another one where answers may differ."""
    bundle = dev.system.bundle
    if dev.exits is not None:
        from duobiao.evaluate.tune_exits import refitted

        bundle, entries = refitted(bundle, dev.exits, entries, calibration)
    thresholds = with_points(entries, calibration.to_dict() if calibration else None)
    summary = {
        "of": stamp(thresholds),
        "rows": found["rows"],
        "folds": found["folds"],
        "calibration": None
        if found["calibration"] is None
        else {key: found["calibration"][key] for key in ("before", "after", "left_off")},
        "points": {line["name"]: {key: line["held_out"][key] for key in SHOWN} for line in found["points"]},
    }
    told = {**found["points"][0]["held_out"], "how": "held_out", "of": stamp(thresholds)}
    changed = replace(bundle, thresholds=thresholds, metrics={**bundle.metrics, "tune": summary, "evidence": told})
    return write_bundle(path, changed)
