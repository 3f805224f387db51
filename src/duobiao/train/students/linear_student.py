"""The linear student: the same features for every vocabulary, fitted to soft labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from duobiao.config import LinearStudentConfig
from duobiao.data.clean import build_chain
from duobiao.data.encode import prepare
from duobiao.labels import UNASKED
from duobiao.models.dual import solve
from duobiao.models.hashing import HashedNgrams
from duobiao.models.linear import LinearBackend, best_scaled, dimensions_to_try, join
from duobiao.models.linear_form import context_of
from duobiao.models.low_rank import PASSES, fit_low_rank
from duobiao.postprocess.probabilities import probabilities
from duobiao.train.distillation import Distillation
from duobiao.train.run import numbers_of, pairs

Floats = npt.NDArray[np.float32]


def distil(work: Distillation) -> Path:
    """Fits and writes a linear student; a control is fitted to labels alone.

    There is nothing to resume: an interrupted fit begins anew and ends at the same weights.
    """
    config, task = work.config, work.task
    assert isinstance(config, LinearStudentConfig)
    cleaned = prepare(pairs(work.rows), build_chain(config.input.clean), context_of(config.input, work.features))
    vectorizer = HashedNgrams(config.ngrams, config.buckets).fit(cleaned)
    inputs = join(vectorizer.transform(cleaned), numbers_of(work.features, work.rows))
    shares, weights = soft_cells(work)
    tried = []
    for shared in dimensions_to_try(config.shared, task.space):
        fitted = _fitted(work, inputs, shares, weights, shared)
        tried.append(LinearBackend(vectorizer, *fitted, config.input, config.ngrams, work.features, shared))
    dev, numbers = pairs(task.dev), numbers_of(work.features, task.dev)
    backend = best_scaled(tried, task.space, dev, task.dev_cells, numbers)
    backend.coefficients = backend.coefficients.astype(np.float16).astype(np.float32)  # as stored, before thresholds are tuned
    return work.write_plain(backend.logits(dev, features=numbers), *backend.stored())


def _fitted(work: Distillation, inputs: csr_matrix, shares: Floats, weights: Floats, shared: int) -> tuple[Floats, Floats]:
    config = work.config
    assert isinstance(config, LinearStudentConfig)
    seed, label = config.train.seed, config.name or config.kind
    if shared:
        passes = passes_of(work, PASSES)
        return fit_low_rank(
            inputs, shares, weights, work.task.space, dimensions=shared, passes=passes, seed=seed, label=f"{label} together"
        )
    passes = passes_of(work, config.passes)
    return solve(inputs, shares, weights, c=config.c, passes=passes, tolerance=config.tolerance, seed=seed, label=label)


def passes_of(work: Distillation, passes: int) -> int:
    """Passes over the rows; a control may visit as many rows as its student, all of them labelled ones."""
    labelled, extra = len(work.task.train), len(work.transfer) + len(work.synthetic)
    return round(passes * (labelled + extra) / labelled) if work.no_teacher else passes


def soft_cells(work: Distillation) -> tuple[Floats, Floats]:
    """What each cell is fitted to: the share that says "true" and the cell's weight, each ``(rows, labels)``.

    The losses against teacher and label are both linear in what they are fitted to, so their weighted sum is one loss. With
    the teacher's probability ``t`` (sigmoid; softmax inside a group) and the label ``y``:

    | cell | weight | share |
    |---|---|---|
    | known | ``logits_weight + label_weight`` | ``(logits_weight * t + label_weight * y) / weight`` |
    | unknown | ``logits_weight`` | ``t`` |
    | not asked | 0 | 0 |

    For a control, known cells have weight 1 and share ``y``, and all others weight 0.
    """
    known = (work.cells >= 0).astype(np.float32)
    true = (work.cells == 1).astype(np.float32)
    if work.no_teacher:
        return true, known
    asked = (work.cells != UNASKED).astype(np.float32)
    soft, hard = work.config.logits_weight, work.config.label_weight
    weights = soft * asked + hard * known
    shares = soft * asked * probabilities(work.soft, work.task.space) + hard * true
    return np.divide(shares, weights, out=np.zeros_like(shares), where=weights > 0), weights
