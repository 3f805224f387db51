"""A bundle that answers: one class over every kind of model."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from duobiao.bundle import Bundle, read_bundle, write_bundle
from duobiao.config import InputSettings
from duobiao.data.rows import Contexts, Numeric, text_pairs
from duobiao.errors import BundleError
from duobiao.features.apply import Features
from duobiao.labels import LabelSpace, Mask
from duobiao.models.kinds import BACKENDS, ENGINE, load_class
from duobiao.postprocess.band import check_band, unsure_names
from duobiao.postprocess.calibration import Calibration
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.points import stored_point, stored_points
from duobiao.postprocess.probabilities import Floats, probabilities


class Backend(Protocol):
    """What computes: rows in, logits out."""

    parameters: int

    def logits(
        self,
        pairs: Sequence[tuple[str, str | None]],
        label: str = "",
        features: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Logits ``(rows, labels)`` of (text, context) pairs.

        ``label`` names a progress bar; ``features`` are the numbers beside the text, ``(rows, width)``.
        """
        ...


@dataclass(frozen=True)
class Prediction:
    """The decision for one row.

    Attributes:
        labels: Labels that hold, in the order of the label space.
        scores: Probability of every label that was asked.
        unsure: Decisions (labels, or groups by name) that lie in the abstain band of the operating point.
        sent: Whether another model answered because the first was unsure; see ``duobiao.cascade``.
        depth: After how many layers the row was answered; None for models that rows do not leave early.
    """

    labels: list[str]
    scores: dict[str, float]
    unsure: tuple[str, ...] = ()
    sent: bool = False
    depth: int | None = None

    @property
    def review(self) -> bool:
        """Whether a person, or a better model, should look at the row."""
        return bool(self.unsure)


class Classifier:
    """A loaded bundle.

    Args:
        bundle: What was read.
        backend: What computes its logits.
        point: The operating point; the bundle's default one if left out.

    Attributes:
        operating_points: The names of the bundle's operating points, the default one first.
        point: The one in use.

    Raises:
        ConfigError: If the bundle has no such point.
    """

    def __init__(self, bundle: Bundle, backend: Backend, point: str | None = None) -> None:
        self.bundle = bundle
        self.backend = backend
        self.operating_points = tuple(stored_points(bundle.thresholds))
        self.point = self.operating_points[0] if point is None else point
        self.decoder = Decoder.from_dict(stored_point(bundle.thresholds, self.point, bundle.name), bundle.space)
        self.calibration = Calibration.from_dict(bundle.thresholds.get("calibration", {}), bundle.space)
        self._origin = self
        self.input = InputSettings(**bundle.input)
        self.features = Features.from_bundle(bundle)

    @classmethod
    def load(cls, path: str | Path, point: str | None = None) -> Classifier:
        """Loads a bundle; asks nothing of the network.

        Args:
            path: The folder.
            point: The operating point; the bundle's default one if left out.

        Raises:
            BundleError: If the folder is missing, foreign, too new or damaged.
            ConfigError: If the bundle has no such point.
            MissingExtraError: If the bundle's kind needs packages that are not installed.
        """
        bundle = read_bundle(path)
        if point is not None:
            stored_point(bundle.thresholds, point, path)  # what is not there is told before the model is filled
        loaded = cls(bundle, make_backend(bundle))
        return loaded if point is None else loaded.at(point)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        point: str | None = None,
    ) -> Classifier:
        """Loads a bundle from a folder, as ``load`` does, or from the Hugging Face Hub.

        Args:
            name: A folder, for which nothing is asked of the network, or ``org/name``.
            revision: Branch, tag or commit on the Hub.
            token: Access token; by default the one that the user logged in with.
            cache_dir: Where what was fetched is kept; by default the Hub's own cache.
            point: The operating point; the bundle's default one if left out.

        Raises:
            BundleError: If it cannot be had, or as for ``load``.
            ConfigError: If the bundle has no such point, or the package for the Hub is missing.
            MissingExtraError: If the bundle's kind needs packages that are not installed.
        """
        from duobiao.hub import find_bundle

        return cls.load(find_bundle(name, revision=revision, token=token, cache_dir=cache_dir), point)

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool = True,
        token: str | None = None,
        revision: str | None = None,
        message: str | None = None,
    ) -> str:
        """Puts the bundle on the Hugging Face Hub; arguments and errors as in ``duobiao.hub.push``.

        Returns:
            The address of the commit.
        """
        from duobiao.hub import push

        with tempfile.TemporaryDirectory() as folder:
            write_bundle(Path(folder) / "bundle", self.bundle)
            return push(Path(folder) / "bundle", name, private=private, token=token, revision=revision, message=message)

    def at(self, point: str) -> Classifier:
        """The same model at another operating point of its bundle; nothing is loaded anew.

        Raises:
            ConfigError: Naming the points that there are.
        """
        entry, origin = stored_point(self.bundle.thresholds, point, self.bundle.name), self._origin
        if point == origin.point:
            return origin
        follow = getattr(origin.backend, "at", None)  # a model that rows leave early looks at the thresholds itself
        found = Classifier(self.bundle, origin.backend if follow is None else follow(entry), point)
        found._origin = origin
        return found

    def with_band(self, band: float) -> Classifier:
        """The same model at the same operating point with another abstain band; see ``duobiao.postprocess.band``.

        Raises:
            ConfigError: If it is not from 0 to under 0.5.
        """
        check_band(band)
        found = copy.copy(self)
        found.decoder = replace(self.decoder, settings=self.decoder.settings.model_copy(update={"band": band}))
        return found

    @property
    def name(self) -> str:
        """In tables and progress."""
        return self.bundle.name

    @property
    def space(self) -> LabelSpace:
        return self.bundle.space

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of ``predict_proba``."""
        return self.bundle.space.names

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of numbers that rows must bring along as ``numeric``; mostly none."""
        return self.features.columns

    def logits(
        self, texts: Sequence[str], context: Contexts = None, label: str = "", numeric: Numeric | None = None
    ) -> npt.NDArray[np.float32]:
        """Raw logits, shape ``(rows, labels)``. Arguments as in ``predict_proba``."""
        return self._computed(texts, context, label, numeric)[0]

    def depths(
        self, texts: Sequence[str], context: Contexts = None, numeric: Numeric | None = None
    ) -> npt.NDArray[np.int64] | None:
        """After how many layers each row is answered, ``(rows,)``; None for models that rows do not leave early."""
        return self._computed(texts, context, "", numeric)[1] if self.leaves_early else None

    @property
    def leaves_early(self) -> bool:
        """Whether rows may leave the model before its last layer, so that predictions tell a depth."""
        return hasattr(self.backend, "logits_and_depths")

    def _computed(
        self, texts: Sequence[str], context: Contexts, label: str, numeric: Numeric | None
    ) -> tuple[Floats, npt.NDArray[np.int64] | None]:
        """Logits and depths from one pass; equal inputs are computed once where contexts are not read."""
        pairs = text_pairs(texts, context)
        vectors = self.features.vectors(pairs, numeric)
        if self.features.reads_contexts or not pairs:
            return self._run(pairs, label, vectors)
        pairs = [(text, None) for text, _ in pairs]  # one encoding serves every node
        keys = [(text, vectors[row].tobytes() if vectors is not None else b"") for row, (text, _) in enumerate(pairs)]
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        rows = sorted(first.values())
        logits, depths = self._run([pairs[row] for row in rows], label, None if vectors is None else vectors[rows])
        places = {keys[row]: place for place, row in enumerate(rows)}
        back = [places[key] for key in keys]
        return logits[back], None if depths is None else depths[back]

    def _run(
        self, pairs: list[tuple[str, str | None]], label: str, vectors: Floats | None
    ) -> tuple[Floats, npt.NDArray[np.int64] | None]:
        both = getattr(self.backend, "logits_and_depths", None)
        if both is not None:
            found: tuple[Floats, npt.NDArray[np.int64]] = both(pairs, vectors, label)
            return found
        return (self.backend.logits(pairs, label) if vectors is None else self.backend.logits(pairs, label, vectors)), None

    def asked(self, context: Sequence[str | None]) -> Mask:
        """Which cells rows with these contexts are asked, shape ``(rows, labels)``."""
        return self.space.asked(context, missing="all" if self.input.context == "none" else "skip")

    def predict_proba(
        self, texts: Sequence[str], context: Contexts = None, label: str = "", numeric: Numeric | None = None
    ) -> Floats:
        """Probabilities.

        Args:
            texts: What was said or written.
            context: What each answers to: the dialogue node; None where there is none.
            label: Name of a progress bar; none by default.
            numeric: For models with columns of numbers beside the text (``columns``): ``{"column": [number or None, ...]}``.

        Returns:
            Shape ``(rows, labels)``; NaN in cells that are not asked of a row.

        Raises:
            DataError: If ``texts`` is a single string, ``context`` has another length, or a column of numbers is absent.
            FloatingPointError: If the model answers a cell that is asked with no number.
        """
        return self._answers(context, self.logits(texts, context, label, numeric))[1]

    def _answers(self, context: Contexts, raw: Floats) -> tuple[Floats, Floats, Mask]:
        """Calibrated logits, probabilities, NaN where a cell is not asked, and what is asked; each ``(rows, labels)``."""
        logits = self.calibration.apply(raw, self.space)
        contexts = [None] * len(raw) if context is None else [where or None for where in context]
        proba, asked = probabilities(logits, self.space), self.asked(contexts)
        if (np.isnan(proba) & asked).any():  # it would pass for a cell that is not asked
            raise FloatingPointError(f"{self.bundle.name}: the model answers with something that is no number")
        proba[~asked] = np.nan
        return logits, proba, asked

    def _decided(self, logits: Floats, proba: Floats, asked: Mask) -> Mask:
        return self.decoder.decide(np.where(asked, proba, np.float32(0)), asked, logits)

    def decide(
        self, texts: Sequence[str], context: Contexts = None, label: str = "", numeric: Numeric | None = None
    ) -> tuple[Floats, Mask]:
        """Probabilities and decisions, each of shape ``(rows, labels)``."""
        return self.decided(self.logits(texts, context, label, numeric), context)

    def decided(self, logits: Floats, context: Contexts) -> tuple[Floats, Mask]:
        """Probabilities and decisions, each ``(rows, labels)``, from raw logits of rows with these contexts."""
        calibrated, proba, asked = self._answers(context, logits)
        return proba, self._decided(calibrated, proba, asked)

    def predict(
        self, texts: Sequence[str], context: Contexts = None, label: str = "", numeric: Numeric | None = None
    ) -> list[Prediction]:
        """Decisions after thresholds and group rules, one a row, in order. Arguments as in ``predict_proba``."""
        raw, depths = self._computed(texts, context, label, numeric)
        logits, proba, asked = self._answers(context, raw)
        names = self.labels
        labels: list[list[str]] = [[] for _ in range(len(proba))]
        for row, column in zip(*(places.tolist() for places in self._decided(logits, proba, asked).nonzero()), strict=True):
            labels[row].append(names[column])
        values = np.round(proba.astype(np.float64), 6).tolist()
        unsure = unsure_names(logits, asked, self.decoder)
        layers = [None] * len(values) if depths is None else depths.tolist()
        return [
            Prediction(own, scores, unsure=doubtful, depth=depth)
            for own, scores, doubtful, depth in zip(labels, _named(names, values, asked), unsure, layers, strict=True)
        ]


def _named(names: tuple[str, ...], values: list[list[float]], asked: Mask) -> list[dict[str, float]]:
    """The values of each row by the labels that it is asked."""
    if asked.all():
        return [dict(zip(names, row, strict=True)) for row in values]
    found: list[dict[str, float]] = [{} for _ in values]
    for row, column in zip(*(places.tolist() for places in asked.nonzero()), strict=True):
        found[row][names[column]] = values[row][column]
    return found


def make_backend(bundle: Bundle) -> Backend:
    """The backend of a bundle's kind.

    Raises:
        BundleError: If this version knows no such kind.
        MissingExtraError: If its packages are not installed.
    """
    place = ENGINE if bundle.is_exported else BACKENDS.get(bundle.kind)
    if place is None:
        raise BundleError(f"this version knows no bundle of kind {bundle.kind!r}", hint="pip install --upgrade duobiao")
    backend: Backend = load_class(place).from_bundle(bundle)
    return backend


def load(path: str | Path, point: str | None = None) -> Classifier:
    """Loads a bundle: ``duobiao.load(path).predict(["..."], context=[...])``. See ``Classifier.load``."""
    return Classifier.load(path, point)
