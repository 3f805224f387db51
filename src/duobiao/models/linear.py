"""Linear models: character n-gram TF-IDF times a matrix. The baseline learns a machine a label, or all labels together."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from duobiao import progress
from duobiao.bundle import Bundle
from duobiao.config import InputSettings, LinearConfig, ThresholdSettings
from duobiao.data.clean import build_chain
from duobiao.data.encode import Pair, prepare
from duobiao.errors import DataError
from duobiao.evaluate.metrics import score
from duobiao.features.apply import Features
from duobiao.labels import UNASKED, LabelSpace, Targets
from duobiao.models.hashing import HashedNgrams
from duobiao.models.linear_form import VOCABULARY, context_of
from duobiao.models.low_rank import DIMENSIONS, fit_low_rank
from duobiao.models.ngrams import CONTEXT, Counter, VocabularyNgrams, weighed
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.probabilities import Floats, probabilities
from duobiao.postprocess.thresholds import tune

Numbers = npt.NDArray[np.float32] | None
CERTAIN = 10.0
"""Margin of a label that is true of all, or of none, of the rows it was learned from."""


def make_analyzer(ngrams: tuple[int, int]) -> Callable[[Pair], list[str]]:
    """Character n-grams of the text, lower case, and the context as one feature."""
    characters = CountVectorizer(analyzer="char", ngram_range=ngrams).build_analyzer()

    def analyze(pair: Pair) -> list[str]:
        text, context = pair
        found: list[str] = list(characters(text))
        if context is not None:
            found.append(f"{CONTEXT}{context}")
        return found

    return analyze


class Vectorizer(Counter, Protocol):
    """Fitted TF-IDF."""

    idf: npt.NDArray[np.float32]

    def transform(self, pairs: Sequence[Pair]) -> csr_matrix:
        """Features ``(rows, features)`` of cleaned (text, context) pairs."""
        ...


class LinearBackend:
    """Sparse features times a matrix.

    Args:
        vectorizer: Fitted TF-IDF, over a vocabulary or over buckets.
        coefficients: Shape ``(features, labels)``.
        intercepts: Shape ``(labels,)``.
        settings: Cleaning and context.
        ngrams: Shortest and longest n-gram.
        features: The first segment; the last rows of ``coefficients`` belong to its numbers beside the text.
        shared: Dimensions that the labels shared when they were learned.
    """

    def __init__(
        self,
        vectorizer: Vectorizer,
        coefficients: npt.NDArray[np.float32],
        intercepts: npt.NDArray[np.float32],
        settings: InputSettings,
        ngrams: tuple[int, int],
        features: Features | None = None,
        shared: int = 0,
    ) -> None:
        self.shared = shared
        self.vectorizer, self.coefficients, self.intercepts = vectorizer, coefficients, intercepts
        self.settings, self.ngrams = settings, ngrams
        self.clean = build_chain(settings.clean)
        self.context = context_of(settings, features)
        self.parameters = int(coefficients.size + intercepts.size)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> LinearBackend:
        ngrams = (int(bundle.model["ngrams"][0]), int(bundle.model["ngrams"][1]))
        vectorizer: Vectorizer
        if "buckets" in bundle.model:
            vectorizer = HashedNgrams(ngrams, int(bundle.model["buckets"]), bundle.weights["idf"])
        else:
            vectorizer = VocabularyNgrams(ngrams, json.loads(bundle.files[VOCABULARY]), bundle.weights["idf"])
        return cls(
            vectorizer,
            bundle.weights["coefficients"].astype(np.float32),
            bundle.weights["intercepts"],
            InputSettings(**bundle.input),
            ngrams,
            Features.from_bundle(bundle),
            int(bundle.model.get("shared", 0)),
        )

    def stored(self) -> tuple[dict[str, Any], dict[str, str], dict[str, npt.NDArray[Any]]]:
        """Settings, text files and arrays for a bundle."""
        form: dict[str, Any] = {"ngrams": list(self.ngrams)} | ({"shared": self.shared} if self.shared else {})
        if isinstance(self.vectorizer, HashedNgrams):
            form["buckets"] = self.vectorizer.buckets
            half = self.coefficients.astype(np.float16)
            return form, {}, {"idf": self.vectorizer.idf, "coefficients": half, "intercepts": self.intercepts}
        assert isinstance(self.vectorizer, VocabularyNgrams)
        return (
            form,
            {VOCABULARY: json.dumps(list(self.vectorizer.vocabulary), ensure_ascii=True)},
            {"idf": self.vectorizer.idf, "coefficients": self.coefficients, "intercepts": self.intercepts},
        )

    def logits(self, pairs: Sequence[Pair], label: str = "", features: Numbers = None) -> npt.NDArray[np.float32]:
        if not pairs:
            return np.zeros((0, len(self.intercepts)), dtype=np.float32)
        prepared = prepare(pairs, self.clean, self.context)
        # A sparse matrix for one row costs more than it does. For one label the sum below would not be in the same order.
        if len(prepared) == 1 and features is None and len(self.intercepts) > 1:
            counts = self.vectorizer.count(prepared)
            values = weighed(counts, self.vectorizer.idf, 1)
            products = self.coefficients[counts[1]] * values[:, None]
            alone: Floats = np.add.reduce(products, axis=0) + self.intercepts  # in the order of a sparse product
            return alone[None].astype(np.float32, copy=False)
        inputs = join(self.vectorizer.transform(prepared), features)
        found = np.asarray(inputs @ self.coefficients) + self.intercepts
        return found.astype(np.float32)


def fit_linear(
    config: LinearConfig,
    space: LabelSpace,
    train: tuple[Sequence[Pair], Targets],
    dev: tuple[Sequence[Pair], Targets],
    features: Features | None = None,
    numbers: tuple[Numbers, Numbers] = (None, None),
) -> LinearBackend:
    """Learns TF-IDF, and one machine a label from its known rows or all together; then scales margins on dev rows to be logits.

    Args:
        config: N-grams and regularisation.
        space: The label space.
        train: (text, context) pairs and their cells.
        dev: The same for the scaling.
        features: The first segment.
        numbers: Standardised numbers beside the text, of training and of dev rows, each ``(rows, width)``.

    Raises:
        DataError: If the training texts hold no feature at all.
    """
    clean = build_chain(config.input.clean)
    learner = TfidfVectorizer(
        analyzer=make_analyzer(config.ngrams), lowercase=False, sublinear_tf=True, dtype=np.float32, min_df=config.min_df
    )
    try:
        inputs = learner.fit_transform(prepare(train[0], clean, context_of(config.input, features))).astype(np.float32)
    except ValueError as error:
        raise DataError(f"the training texts hold no n-grams: {error}", hint="lower min_df, or give longer texts") from error
    inputs = join(inputs, numbers[0])
    words = sorted(learner.vocabulary_, key=learner.vocabulary_.__getitem__)
    vectorizer = VocabularyNgrams(config.ngrams, words, learner.idf_.astype(np.float32))
    tried = []
    for shared in dimensions_to_try(config.shared, space):
        fitted = _together(inputs, train[1], space, shared, config.seed) if shared else _machines(inputs, train[1], config)
        tried.append(LinearBackend(vectorizer, *fitted, config.input, config.ngrams, features, shared))
    return best_scaled(tried, space, *dev, numbers[1])


def dimensions_to_try(shared: int | Literal["auto"], space: LabelSpace) -> list[int]:
    """What ``shared`` stands for in a label space; 0 is a machine a label."""
    if shared == "auto":
        return [0, DIMENSIONS] if len(space.groups) > 1 else [0]
    return [shared]


def best_scaled(
    backends: Sequence[LinearBackend], space: LabelSpace, pairs: Sequence[Pair], cells: Targets, numbers: Numbers = None
) -> LinearBackend:
    """Scales each, and returns that with the highest micro-F1 on dev rows with thresholds tuned there; the first of equals."""
    for backend in backends:
        scale(backend, space, pairs, cells, numbers)
    if len(backends) == 1:
        return backends[0]
    found, settings = [], ThresholdSettings()
    for backend in backends:
        proba = probabilities(backend.logits(pairs, features=numbers), space)
        decoder = Decoder(space, tune(proba, cells, space, settings), settings)
        found.append(float(score(cells, decoder.decide(proba, cells != UNASKED), space)["micro_f1"]))
    best = int(np.argmax(found))
    told = ", ".join(f"{backend.shared or 'none'}: {value:.4f}" for backend, value in zip(backends, found, strict=True))
    progress.say(f"linear: dimensions that labels share, and micro-F1 on dev rows: {told}")
    return backends[best]


def _machines(inputs: csr_matrix, cells: Targets, config: LinearConfig) -> tuple[Floats, Floats]:
    """Coefficients and intercepts of one support vector machine a label, from the rows in which the label is known."""
    labels = cells.shape[1]
    coefficients = np.zeros((inputs.shape[1], labels), dtype=np.float32)
    intercepts = np.zeros(labels, dtype=np.float32)
    with progress.task("linear: labels", labels) as task:
        for label in range(labels):
            known = cells[:, label] >= 0
            truth = cells[known, label] == 1
            if truth.all() or not truth.any():
                intercepts[label] = CERTAIN if truth.all() and len(truth) else -CERTAIN
            else:
                machine = LinearSVC(C=config.c, random_state=config.seed)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    machine.fit(inputs[known], truth)
                coefficients[:, label] = machine.coef_[0]
                intercepts[label] = float(machine.intercept_[0])
            task.advance()
    return coefficients, intercepts


def _together(inputs: csr_matrix, cells: Targets, space: LabelSpace, shared: int, seed: int) -> tuple[Floats, Floats]:
    known = (cells >= 0).astype(np.float32)
    truth = (cells == 1).astype(np.float32)
    return fit_low_rank(inputs, truth, known, space, dimensions=shared, seed=seed, label="linear: labels together")


def join(inputs: csr_matrix, numbers: Numbers) -> csr_matrix:
    """N-grams and numbers side by side; the numbers are scaled to weigh, together, about as much as the n-grams of a row."""
    if numbers is None:
        return inputs
    return hstack([inputs, csr_matrix(numbers / np.float32(np.sqrt(numbers.shape[1])))], format="csr")


def scale(backend: LinearBackend, space: LabelSpace, pairs: Sequence[Pair], cells: Targets, numbers: Numbers = None) -> None:
    """Margins to logits: Platt's scaling over all independent cells (one slope and offset), one slope for all groups."""
    margins = backend.logits(pairs, features=numbers)
    free = len(space.independent)
    known = cells[:, :free] >= 0
    truth = cells[:, :free][known] == 1
    if truth.any() and not truth.all():
        platt = LogisticRegression(C=1e4).fit(margins[:, :free][known][:, None], truth)
        slope, offset = max(float(platt.coef_[0, 0]), 1e-3), float(platt.intercept_[0])
        backend.coefficients[:, :free] *= slope
        backend.intercepts[:free] = backend.intercepts[:free] * slope + offset
    if space.groups and (cells[:, free:] == 1).any():

        def surprise(log_slope: float) -> float:
            scaled = margins.copy()
            scaled[:, free:] *= np.exp(log_slope)
            found = probabilities(scaled, space)[:, free:][cells[:, free:] == 1]
            return float(-np.log(np.clip(found, 1e-9, 1)).mean())

        slope = float(np.exp(minimize_scalar(surprise, bounds=(-3, 4), method="bounded").x))
        backend.coefficients[:, free:] *= slope
        backend.intercepts[free:] *= slope
