"""A bundle that answers: one class over every kind of model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from duobiao.bundle import Bundle, read_bundle
from duobiao.config import InputSettings
from duobiao.data.rows import Numeric
from duobiao.errors import BundleError, DataError
from duobiao.features.apply import Features
from duobiao.labels import LabelSpace, Mask
from duobiao.models.kinds import BACKENDS, ENGINE, load_class
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.probabilities import Floats, probabilities

Contexts = Sequence[str | None] | None


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
    """

    labels: list[str]
    scores: dict[str, float]


class Classifier:
    """A loaded bundle.

    Args:
        bundle: What was read.
        backend: What computes its logits.
    """

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        self.bundle = bundle
        self.backend = backend
        self.decoder = Decoder.from_dict(bundle.thresholds, bundle.space)
        self.input = InputSettings(**bundle.input)
        self.features = Features.from_bundle(bundle)

    @classmethod
    def load(cls, path: str | Path) -> Classifier:
        """Loads a bundle; asks nothing of the network.

        Raises:
            BundleError: If the folder is missing, foreign, too new or damaged.
            MissingExtraError: If the bundle's kind needs packages that are not installed.
        """
        bundle = read_bundle(path)
        return cls(bundle, make_backend(bundle))

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
        found: Floats = self._once(texts, context, numeric, lambda pairs, vectors: self._backend_logits(pairs, label, vectors))
        return found

    def depths(
        self, texts: Sequence[str], context: Contexts = None, numeric: Numeric | None = None
    ) -> npt.NDArray[np.int64] | None:
        """After how many layers each row is answered, ``(rows,)``; None for models that rows do not leave early."""
        count = getattr(self.backend, "depths", None)
        return None if count is None else self._once(texts, context, numeric, count)

    def _once(self, texts: Sequence[str], context: Contexts, numeric: Numeric | None, ask: Callable[..., Any]) -> Any:
        """What ``ask`` finds for each row, from pairs and numbers; equal inputs are asked once where contexts are not read."""
        pairs = _pairs(texts, context)
        vectors = self.features.vectors(pairs, numeric)
        if not self.features.reads_contexts:  # one encoding serves every node
            pairs = [(text, None) for text, _ in pairs]
            keys = [(text, vectors[row].tobytes() if vectors is not None else b"") for row, (text, _) in enumerate(pairs)]
            first = {key: row for row, key in reversed(list(enumerate(keys)))}
            rows = sorted(first.values())
            found = ask([pairs[row] for row in rows], None if vectors is None else vectors[rows])
            places = {keys[row]: place for place, row in enumerate(rows)}
            return found[[places[key] for key in keys]] if keys else found
        return ask(pairs, vectors)

    def _backend_logits(
        self, pairs: list[tuple[str, str | None]], label: str, vectors: Floats | None
    ) -> npt.NDArray[np.float32]:
        return self.backend.logits(pairs, label) if vectors is None else self.backend.logits(pairs, label, vectors)

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
        """
        pairs = _pairs(texts, context)
        proba = probabilities(self.logits(texts, context, label, numeric), self.space)
        proba[~self.asked([where for _, where in pairs])] = np.nan
        return proba

    def decide(
        self, texts: Sequence[str], context: Contexts = None, label: str = "", numeric: Numeric | None = None
    ) -> tuple[Floats, Mask]:
        """Probabilities and decisions, each of shape ``(rows, labels)``."""
        proba = self.predict_proba(texts, context, label, numeric)
        asked = ~np.isnan(proba)
        return proba, self.decoder.decide(np.nan_to_num(proba), asked)

    def predict(
        self, texts: Sequence[str], context: Contexts = None, label: str = "", numeric: Numeric | None = None
    ) -> list[Prediction]:
        """Decisions after thresholds and group rules, one a row, in order. Arguments as in ``predict_proba``."""
        proba, chosen = self.decide(texts, context, label, numeric)
        names = self.labels
        values = np.round(proba.astype(np.float64), 6).tolist()
        return [
            Prediction(
                labels=[names[i] for i in np.flatnonzero(row)],
                scores={name: value for name, value in zip(names, scores, strict=True) if value == value},
            )
            for row, scores in zip(chosen, values, strict=True)
        ]


def _pairs(texts: Sequence[str], context: Contexts) -> list[tuple[str, str | None]]:
    if isinstance(texts, str) or isinstance(context, str):
        raise DataError("texts and context are lists of strings, not a string", hint='write predict(["..."])')
    if context is not None and len(context) != len(texts):
        raise DataError(f"{len(texts)} texts, but {len(context)} contexts", hint="give one context (or None) a text")
    return [(text, None if context is None else (context[number] or None)) for number, text in enumerate(texts)]


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


def load(path: str | Path) -> Classifier:
    """Loads a bundle: ``duobiao.load(path).predict(["..."], context=[...])``. See ``Classifier.load``."""
    return Classifier.load(path)
