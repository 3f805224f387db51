"""Linear bundles as arrays: the same answers without scikit-learn, whose import takes longer than most calls."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from duobiao.bundle import Bundle
from duobiao.config import InputSettings
from duobiao.data.clean import build_chain
from duobiao.data.encode import Pair, prepare
from duobiao.features.apply import Features
from duobiao.models.hashing import HashedNgrams
from duobiao.models.linear_form import VOCABULARY, context_of
from duobiao.models.ngrams import Counter, VocabularyNgrams, weighed
from duobiao.postprocess.probabilities import Floats

_CHUNK = 64


class ArrayLinear:
    """TF-IDF times a matrix, in numpy.

    Args:
        bundle: An exported linear bundle.
    """

    def __init__(self, bundle: Bundle) -> None:
        ngrams = (int(bundle.model["ngrams"][0]), int(bundle.model["ngrams"][1]))
        self.counter: Counter
        if "buckets" in bundle.model:
            self.counter = HashedNgrams(ngrams, int(bundle.model["buckets"]))
        else:
            self.counter = VocabularyNgrams(ngrams, json.loads(bundle.files[VOCABULARY]))
        self.settings = InputSettings(**bundle.input)
        self.clean = build_chain(self.settings.clean)
        self.context = context_of(self.settings, Features.from_bundle(bundle))
        self.idf = bundle.weights["idf"].astype(np.float32)
        self.coefficients, self.intercepts = bundle.weights["coefficients"], bundle.weights["intercepts"]
        self.parameters = int(self.coefficients.size + self.intercepts.size)

    def logits(
        self, pairs: Sequence[Pair], label: str = "", features: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        found = np.zeros((len(pairs), len(self.intercepts)), dtype=np.float32)
        prepared = prepare(pairs, self.clean, self.context)
        for start in range(0, len(pairs), _CHUNK):
            found[start : start + _CHUNK] = self._products(prepared[start : start + _CHUNK])
        if features is not None:
            scaled = features / np.float32(np.sqrt(features.shape[1]))
            found += scaled @ self.coefficients[len(self.idf) :].astype(np.float32)
        found += self.intercepts
        return found

    def _products(self, pairs: Sequence[Pair]) -> Floats:
        """Each row's weighted n-grams times their coefficients, ``(rows, labels)``."""
        rows, columns, counts = self.counter.count(pairs)
        values = weighed((rows, columns, counts), self.idf, len(pairs))
        products = self.coefficients[columns].astype(np.float32, copy=False) * values[:, None]
        found = np.zeros((len(pairs), products.shape[1]), dtype=np.float32)
        there, starts = np.unique(rows, return_index=True)
        if len(there):
            found[there] = np.add.reduceat(products, starts, axis=0)
        return found
