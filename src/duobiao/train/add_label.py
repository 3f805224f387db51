"""A further label for a finished model: from few rows, without training anew, and without an old label falling unnoticed.

The story of ``duobiao add-label``: read the rows for the grown label space, give the output layer further rows, fit them (or
train the whole model on), tune the new labels' thresholds, and let the release gate compare the result with the old bundle.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import logsumexp

from duobiao import __version__, progress
from duobiao.bundle import MANIFEST, Bundle, check_place, read_manifest, write_bundle
from duobiao.classifier import Classifier, make_backend
from duobiao.config import apply_override, parse_config
from duobiao.data.rows import Row, check_texts, model_inputs, targets
from duobiao.errors import ConfigError, DataError
from duobiao.evaluate.diff import Diff, Limits, diff
from duobiao.evaluate.metrics import score
from duobiao.labels import LabelSpace
from duobiao.train.add_label_rows import Known, NewLabels, check_known, held_out, names_any
from duobiao.train.column import fit_column
from duobiao.train.grow import LINEAR, check_grows, grown, output_of, read_inputs
from duobiao.train.grown_points import Grown

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
class Added:
    """What became of it.

    Attributes:
        place: The bundle that was written: ``out``, or ``out.rejected``.
        accepted: Whether the gate let it pass, or drops were accepted.
        labels: A line a new label: ``label, positives, f1, low, high, threshold``, F1 held out on dev rows.
        gate: The comparison with the old bundle.
        seconds: All of it.
    """

    place: Path
    accepted: bool
    labels: list[dict[str, Any]]
    gate: Diff
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For a report."""
        told = {"bundle": str(self.place), "accepted": self.accepted, "seconds": self.seconds, "labels": self.labels}
        return {**told, "gate": self.gate.found}


def add_label(
    path: str | Path,
    asked: NewLabels,
    train: Sequence[Row],
    dev: Sequence[Row],
    out: str | Path,
    *,
    replay: Sequence[Row] = (),
    settings: Settings | None = None,
    limits: Limits | None = None,
    force: bool = False,
) -> Added:
    """Adds labels to a bundle; see ``Known`` for what rows are taken to say.

    Args:
        path: The old bundle.
        asked: The new labels.
        train: Rows of the new labels: some with, some without.
        dev: Labelled rows for the new thresholds and for the gate. If none carries a new label, a fifth of ``train`` is held
            back for its threshold.
        out: Where the new bundle goes; what the gate refuses goes to ``out.rejected``.
        replay: Rows that the old bundle was trained on.
        settings: How.
        limits: What may be lost; see ``diff``.
        force: Begin anew where an interrupted run was left, and replace a bundle at ``out``.

    Raises:
        ConfigError: If the new labels do not fit the label space, or the settings the bundle.
        BundleError: If the bundle cannot be given a label, or ``out`` is taken.
        DataError: If rows do not fit, or do not say enough of a new label.
    """
    began, settings, out = time.monotonic(), settings or Settings(), Path(out)
    work = _Work.begin(path, asked, train, dev, replay, settings, out, force)
    bundle = work.fit()
    labels, made = work.decided(bundle, time.monotonic() - began)
    allowed = replace(limits or Limits(), removed=(limits or Limits()).removed or asked.remove)
    gate = diff(work.old, Classifier(made, make_backend(made)), work.dev, allowed)
    accepted = gate.passed or settings.accept_drops
    place = out if accepted else out.with_name(f"{out.name}.rejected")
    write_bundle(
        place, replace(made, metrics={**made.metrics, "add_label": {**made.metrics["add_label"], "passed": gate.passed}})
    )
    work.clear()
    return Added(place, accepted, labels, gate, time.monotonic() - began)


@dataclass(frozen=True)
class _Work:
    """Checked rows and models of one run."""

    old: Classifier
    asked: NewLabels
    space: LabelSpace
    train: list[Row]
    dev: list[Row]
    settings: Settings
    out: Path
    force: bool

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
    ) -> _Work:
        """Everything that can be refused is refused here, before any work."""
        check_place(out)
        check_place(out.with_name(f"{out.name}.rejected"))
        old = Classifier.load(path)
        check_grows(old)
        space = asked.space(old.space)
        known = Known(asked, old.space, space)
        check_texts(train, "the new labels")
        check_texts(dev, "dev")
        _check_settings(old, settings, replay)
        if (out / MANIFEST).is_file() and not force:
            raise ConfigError(f"{out}: a bundle is there already", hint="give another --out, or --force to replace it")
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
        return cls(old, asked, space, rows, choosing, settings, out, force)

    @property
    def candidate(self) -> Path:
        """Where a trained bundle waits for the gate."""
        return self.out.with_name(f"{self.out.name}.candidate")

    def fit(self) -> Bundle:
        """The bundle with its new output rows, or trained on from there."""
        inputs = read_inputs(self.old, self.train, f"read with {self.old.name}")
        weights, biases = zip(*(self._column(name, inputs) for name in self.asked.names), strict=True)
        order = [name for name in self.space.names if name not in self.old.space.index]
        places = [self.asked.names.index(name) for name in order]
        start = grown(self.old.bundle, self.space, np.stack(weights)[places], np.array(biases, dtype=np.float32)[places])
        if self.settings.learn == "output":
            return start
        from duobiao.train.keep_old import Further

        config = _config(self.old.bundle, self.settings.overrides)
        told = json.dumps([self.space.to_dict(), self.settings.seed])
        further = Further(self.old, start, config, self.train, self.dev, self.settings.keep_weight, told)
        trained = further.fit(self.candidate, self.force)
        return replace(start, weights=trained.weights, files=trained.files, config=trained.config, run=trained.run)

    def _column(self, name: str, inputs: Any) -> tuple[Any, float]:
        """The output row of one new label, started from the label that it is a part of, or from the mean of all."""
        cells = targets(self.train, self.space)[:, self.space.index[name]]
        rows = np.flatnonzero(cells >= 0)
        old, _ = output_of(self.old.bundle)
        split = self.asked.split
        start = old.mean(axis=0) if split is None else old[self.old.space.index[split]]
        found = fit_column(inputs[rows], cells[rows] == 1, self._offsets(inputs[rows]), start, self.settings.seed)
        return found.weights, found.bias

    def _offsets(self, inputs: Any) -> Any:
        """What the logit of a new label competes with: the old members of its group."""
        home = self.asked.home(self.old.space)
        if home is None:
            return np.zeros(inputs.shape[0])
        group = next(one for one in self.space.groups if one.name == home)
        weights, biases = output_of(self.old.bundle)
        places = [self.old.space.index[name] for name in group.labels if name in self.old.space.index]
        logits = np.asarray(inputs @ weights[places].T) + biases[places]
        none = np.zeros((len(logits), int(group.at_most_one)))
        return logsumexp(np.hstack([logits, none]), axis=1)

    def decided(self, bundle: Bundle, seconds: float) -> tuple[list[dict[str, Any]], Bundle]:
        """New labels' held-out F1, and the bundle with its thresholds and its story."""
        bundle = replace(bundle, name=self.old.bundle.name)
        stored = self.old.bundle.thresholds
        backend = make_backend(bundle)
        bare = Classifier(replace(bundle, thresholds=_open_thresholds(self.space)), backend)
        logits = bare.logits(**model_inputs(self.dev, bare.columns), label="dev rows")
        asked = bare.asked([row.context or None for row in self.dev])
        cells = targets(self.dev, self.space)
        parents = {} if self.asked.remove or self.asked.split is None else dict.fromkeys(self.asked.names, self.asked.split)
        dev = Grown(self.space, self.asked.names, logits, cells, asked, self.dev, parents)
        made = replace(bundle, thresholds=dev.points(stored))
        labels = dev.held_out(stored)
        for line in labels:
            line["threshold"] = made.thresholds["values"].get(line["label"])
        scores = score(cells, Classifier(made, backend).decide(**model_inputs(self.dev, bare.columns))[1], self.space)
        story = {
            "labels": labels,
            "from": self.old.bundle.digest,
            "learn": self.settings.learn,
            "rows": len(self.train),
            "dev_rows": len(self.dev),
        }
        metrics = {**bundle.metrics, "dev": {key: own for key, own in scores.items() if key != "per_label"}, "add_label": story}
        metrics |= {"seconds": round(seconds, 2), "made_by": __version__}
        digest = hashlib.sha256(json.dumps([bundle.run, self.space.to_dict(), len(self.train)]).encode()).hexdigest()
        return labels, replace(made, metrics=metrics, run=digest)

    def clear(self) -> None:
        """Takes the trained bundle away that waited for the gate."""
        if self.settings.learn == "all" and read_manifest(self.candidate):
            shutil.rmtree(self.candidate)


def _open_thresholds(space: LabelSpace) -> dict[str, Any]:
    return {"values": dict.fromkeys(space.independent, 0.5), "settings": {}}


def _check_settings(old: Classifier, settings: Settings, replay: Sequence[Row]) -> None:
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
    """The bundle's own configuration, with half the passes unless told otherwise."""
    data = json.loads(json.dumps(dict(bundle.config)))
    data["train"]["epochs"] = max(1, (data["train"]["epochs"] + 1) // 2)
    for override in overrides:
        apply_override(data, override)
    return parse_config(data, bundle.name)
