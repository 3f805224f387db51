"""What adding a label works on: checked rows, the models before and after, and their thresholds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from duobiao import __version__, progress
from duobiao.bundle import Bundle, check_free, check_place
from duobiao.classifier import Classifier, make_backend
from duobiao.config import parse_config, with_overrides
from duobiao.data.rows import Row, check_texts, model_inputs, rows_digest, targets
from duobiao.errors import ConfigError, DataError
from duobiao.evaluate.evidence import DEV, evidence, own_rows
from duobiao.labels import LabelSpace
from duobiao.postprocess.probabilities import Floats
from duobiao.train.add_label_rows import Known, NewLabels, check_known, check_lacked, held_out, names_any
from duobiao.train.grow import LINEAR, check_grows, output_of, shifted
from duobiao.train.grown_points import Grown, check_costs, kept_calibration
from duobiao.train.output_rows import OutputRows
from duobiao.train.shared_threshold import steps_to_threshold

Learn = Literal["output", "all"]


@dataclass(frozen=True)
class Settings:
    """How a label is added.

    Attributes:
        learn: ``output``: only the new output rows, all other weights stay bit for bit; ``all``: the whole model goes on
            learning, the old bundle teaching it the old labels.
        keep_weight: ``all``: weight of the old bundle's word.
        replay_rows: Old rows that are taken at most; None: all.
        replay_complete: Old rows that do not name a new label lack it.
        train_complete: New rows that do not name an old label lack it.
        accept_drops: Write the bundle even if the gate fails.
        overrides: ``all``: settings of the bundle's configuration, ``train.epochs=3``.
        seed: Of samples and folds.
    """

    learn: Learn = "output"
    keep_weight: float = 1.0
    replay_rows: int | None = None
    replay_complete: bool = False
    train_complete: bool = False
    accept_drops: bool = False
    overrides: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Work:
    """Checked rows and models of one run; ``seen`` names the rows that came in, by their digests."""

    old: Classifier
    asked: NewLabels
    space: LabelSpace
    train: list[Row]
    dev: list[Row]
    informed: bool
    settings: Settings
    out: Path
    force: bool
    seen: dict[str, str]

    @classmethod
    def begin(
        cls,
        path: str | Path,
        asked: NewLabels,
        train: Sequence[Row],
        dev: Sequence[Row],
        replay: Sequence[Row],
        settings: Settings,
        out: Path,
        force: bool,
    ) -> Work:
        """Everything that can be refused is refused here, before any work."""
        check_place(out)
        check_place(rejected(out))
        if settings.learn == "all":
            check_place(_candidate(out))
        old = Classifier.load(path)
        check_grows(old)
        space = asked.space(old.space)
        check_costs(old.bundle.thresholds, old.space, space, asked.names)
        known = Known(asked, old.space, space)
        check_texts(train, "the new labels")
        check_texts(dev, "dev")
        _check_settings(old, settings, replay)
        if not force:
            check_free(out)
        fresh, back = list(train), list[Row]()
        chosen = names_any(dev, asked.names)
        if not chosen:
            fresh, back = held_out(fresh, settings.seed)
            progress.say(f"no dev row has a new label: {len(back)} of {len(train)} new rows choose its threshold")
        kept = _sample(replay, settings)
        rows = [*known.fresh(fresh, settings.train_complete), *known.replayed(kept, settings.replay_complete)]
        choosing = [*known.replayed(dev, chosen), *known.fresh(back, settings.train_complete)]
        targets(choosing, space)
        check_known(rows, space, asked.names)
        if chosen:
            check_lacked(choosing, space, asked.names)
        seen = {rows_digest(given): name for name, given in (("train", train), ("dev", dev), ("replay", replay)) if given}
        return cls(old, asked, space, rows, choosing, chosen, settings, out, force, seen)

    @property
    def candidate(self) -> Path:
        """Where a trained bundle waits for the gate."""
        return _candidate(self.out)

    def fit(self) -> tuple[Bundle, Floats]:
        """The bundle with its new output rows, or trained on from there, and its logits of the dev rows."""
        rows = OutputRows.of(self.old, self.asked, self.space, self.train)
        if self.settings.learn == "output":
            columns = rows.fitted(self.settings.seed)
            return self._placed(rows.grown(columns), rows.unseen(columns))
        from duobiao.train.keep_old import Further

        start = rows.grown(rows.starting())
        config = _config(self.old.bundle, self.settings.overrides)
        told = json.dumps([self.space.to_dict(), self.settings.seed])
        further = Further(self.old, start, config, self.train, self.dev, self.settings.keep_weight, told)
        trained = further.fit(self.candidate, self.force)
        made = replace(start, weights=trained.weights, files=trained.files, config=trained.config, run=trained.run)
        return self._placed(made, None)

    def _placed(self, bundle: Bundle, true: Mapping[str, Any] | None) -> tuple[Bundle, Floats]:
        """The bundle with its new biases moved, and its logits of the dev rows.

        ``true`` are logits of new rows with each label, the model's own if None.
        """
        system = self._bare(bundle)
        logits = self._logits(system, self.dev)
        if not self.informed or self.asked.home(self.old.space) is not None:
            return bundle, logits
        if true is None:
            cells = targets(self.train, self.space)
            own = {
                name: [row for row, one in zip(self.train, cells[:, self.space.index[name]], strict=True) if one == 1]
                for name in self.asked.names
            }
            true = {name: self._logits(system, rows)[:, self.space.index[name]] for name, rows in own.items()}
        calibration = kept_calibration(self.old.bundle.thresholds, self.space)
        calibrated = calibration.apply(logits, self.space)
        moved = shifted(bundle, steps_to_threshold(true, calibrated, targets(self.dev, self.space), self.space))
        return moved, logits + (output_of(moved)[1] - output_of(bundle)[1])

    def _bare(self, bundle: Bundle) -> Classifier:
        """The bundle as a classifier, thresholds aside."""
        return Classifier(replace(bundle, thresholds=_open_thresholds(self.space)), make_backend(bundle))

    @staticmethod
    def _logits(system: Classifier, rows: Sequence[Row]) -> Floats:
        return system.logits(**model_inputs(rows, system.columns))

    def decided(self, bundle: Bundle, logits: Floats, seconds: float) -> tuple[list[dict[str, Any]], Classifier]:
        """New labels' held-out F1, and the model with its thresholds and its story; ``logits`` are its own of the dev rows."""
        bundle = replace(bundle, name=self.old.bundle.name)
        stored = self.old.bundle.thresholds
        bare = self._bare(bundle)
        contexts = [row.context or None for row in self.dev]
        cells = targets(self.dev, self.space)
        parents = {} if self.asked.remove or self.asked.split is None else dict.fromkeys(self.asked.names, self.asked.split)
        dev = Grown(self.space, self.asked.names, logits, cells, bare.asked(contexts), self.dev, parents)
        made = replace(bundle, thresholds=dev.points(stored))
        labels = dev.held_out(stored)
        for line in labels:
            line["threshold"] = made.thresholds["values"].get(line["label"])
        decided = Classifier(made, bare.backend).decided(logits, contexts)[1]
        told = evidence(cells, decided, self.dev, self.space, made.thresholds, "dev")
        story = {
            "labels": labels,
            "from": self.old.bundle.digest,
            "learn": self.settings.learn,
            "rows": len(self.train),
            "dev_rows": len(self.dev),
        }
        metrics = {**bundle.metrics, "dev": {name: told[name] for name in DEV}, "evidence": told, "add_label": story}
        metrics |= {"data": self._rows_told(), "parameters": bare.backend.parameters}
        metrics |= {"seconds": round(seconds, 2), "made_by": __version__}
        digest = hashlib.sha256(json.dumps([bundle.run, self.space.to_dict(), len(self.train)]).encode()).hexdigest()
        return labels, Classifier(replace(made, metrics=metrics, run=digest), bare.backend)

    def _rows_told(self) -> dict[str, Any]:
        """The rows for the card: those of the old bundle, and those of the new labels; ``seen``: all that had a part in it."""
        old = self.old.bundle.metrics.get("data", {})
        seen = {**own_rows(self.old.bundle.metrics), **self.seen}
        positives = (targets(self.train, self.space) == 1).sum(axis=0).tolist()
        new = {name: positives[self.space.index[name]] for name in self.asked.names}
        dev = {"rows": len(self.dev), "digest": rows_digest(self.dev)}
        added = {"rows": len(self.train), "digest": rows_digest(self.train)}
        return {**old, "dev": dev, "added": added, "seen": seen, "positives": {**old.get("positives", {}), **new}}

    def clear(self) -> None:
        """Takes the trained bundle away that waited for the gate."""
        if self.settings.learn == "all":
            shutil.rmtree(self.candidate, ignore_errors=True)


def rejected(out: Path) -> Path:
    """Where a bundle goes that the gate refuses."""
    return out.with_name(f"{out.name}.rejected")


def _candidate(out: Path) -> Path:
    return out.with_name(f"{out.name}.candidate")


def _open_thresholds(space: LabelSpace) -> dict[str, Any]:
    return {"values": dict.fromkeys(space.independent, 0.5), "settings": {}}


def _check_settings(old: Classifier, settings: Settings, replay: Sequence[Row]) -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("a label is added by one process", hint="start duobiao itself, not accelerate launch")
    if settings.learn == "all" and old.bundle.kind in LINEAR:
        raise ConfigError(
            f"{old.bundle.name}: a {old.bundle.kind} model has nothing but its output to learn",
            hint="leave --learn all out: each label of a linear model stands alone, so the old ones stay as they are",
        )
    if settings.learn == "all" and not replay and not settings.keep_weight:
        raise DataError(
            "with neither old rows nor the old bundle's word the model would forget its labels",
            hint="give old rows with --replay, or a --keep-weight above 0, or leave --learn all out",
        )
    if settings.learn == "output" and settings.overrides:
        raise ConfigError("--set is for --learn all", hint="leave it out: fitting the output rows has no settings")
    if settings.replay_rows is not None and settings.replay_rows < 1:
        raise ConfigError(f"--replay-rows {settings.replay_rows}: not a number of rows", hint="give 1 or more")
    if not settings.keep_weight >= 0:
        raise ConfigError(f"--keep-weight {settings.keep_weight:g}: no weight", hint="give 0 or more")


def _sample(rows: Sequence[Row], settings: Settings) -> list[Row]:
    if settings.replay_rows is None or settings.replay_rows >= len(rows):
        return list(rows)
    chosen = np.random.default_rng(settings.seed).permutation(len(rows))[: settings.replay_rows]
    return [rows[place] for place in sorted(chosen.tolist())]


def _config(bundle: Bundle, overrides: Sequence[str]) -> Any:
    """The bundle's own configuration."""
    return parse_config(with_overrides(bundle.config, overrides), bundle.name)
