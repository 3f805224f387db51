"""Runs ONNX graphs on all cores: a batch is one core's work, so cores never wait for each other inside a batch."""

from __future__ import annotations

import heapq
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnxruntime as ort  # type: ignore[import-untyped]

from duobiao.bundle import Bundle
from duobiao.data.encode import Ids, batches
from duobiao.errors import BundleError
from duobiao.machine import cores

Arrays = Mapping[str, npt.NDArray[Any]]
GRAPHS = "graphs.json"
"""Names the weights that each graph of a bundle reads."""
WHOLE = "model.onnx"
THREADS = "DUOBIAO_THREADS"
_SMALLEST, _SMALLEST_DEEP = 96, 48
"""Padded tokens below which a batch is not worth cutting for another core."""
_EACH = 6
"""What a batch costs beside its tokens, in tokens."""
_TURNS, _EVEN = 4, 8
"""Batches a core that are tried beyond the least, and from which on the rest of the last round does not matter."""
T = TypeVar("T")
R = TypeVar("R")


def threads() -> int:
    """Threads that compute: one a core, or as many as ``DUOBIAO_THREADS`` says."""
    given = os.environ.get(THREADS, "")
    return int(given) if given.isdigit() and int(given) else cores()


class Session:
    """A graph that is ready to run, with its weights.

    It runs on the thread that calls it. Where one row alone has to be quick, a second session spreads each product over all
    cores; it is made when it is first asked for.

    Args:
        graph: The serialised graph.
        weights: What it reads, by name.
    """

    def __init__(self, graph: bytes, weights: Arrays) -> None:
        self.graph, self.weights = graph, weights
        self.narrow = self._open(1)
        self.inputs = frozenset(one.name for one in self.narrow.get_inputs())

    @cached_property
    def wide(self) -> ort.InferenceSession:
        """The same on all cores at once."""
        return self._open(threads()) if threads() > 1 else self.narrow

    def run(self, inputs: Arrays, *, wide: bool = False) -> list[npt.NDArray[Any]]:
        """All outputs, in order."""
        session = self.wide if wide else self.narrow
        given = {name: array for name, array in inputs.items() if name in self.inputs}
        found: list[npt.NDArray[Any]] = session.run(None, given)
        return found

    def _open(self, threads: int) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in self.weights.values()]
        options.add_external_initializers(list(self.weights), values)
        return ort.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])


def open_sessions(bundle: Bundle) -> dict[str, Session]:
    """A session for each graph of a bundle.

    Raises:
        BundleError: If graphs and weights do not fit.
    """
    try:
        names: dict[str, list[str]] = json.loads(bundle.files[GRAPHS])
        return {file: Session(bundle.graphs[file], {name: bundle.weights[name] for name in own}) for file, own in names.items()}
    except Exception as error:  # onnxruntime has errors of many kinds
        raise BundleError(f"{bundle.name}: its graphs cannot be run: {error}", hint="export the bundle again") from error


def cut(lengths: Ids, budget: int, max_rows: int = 256, *, deep: bool = False) -> list[Ids]:
    """Batches of like length, the longest rows first, so that all cores come to their end at about the same time.

    Args:
        lengths: Tokens of each row.
        budget: Padded tokens a batch.
        max_rows: Rows a batch.
        deep: Whether a token costs so much that batches may be small: then finer cuts are looked at, and that one is taken of
            which the last core is done first. A recurrent student takes as long for few rows as for many.
    """
    whole, number = batches(lengths, budget, max_rows) if len(lengths) else [], threads()
    if number == 1 or not whole or len(whole) >= _EVEN * number:
        return whole
    total, found = int(lengths.sum()), [whole]
    for turn in range(_TURNS if deep else 1):
        parts = (math.ceil(len(whole) / number) + turn) * number
        if total / parts < (_SMALLEST_DEEP if deep else _SMALLEST):
            break
        found.append(_within(lengths, budget, max_rows, parts))
    return min(found, key=lambda plan: _makespan(lengths, plan, number))


def share(tokens: int) -> int:
    """A core's part of so many tokens, but no less than a batch is worth cutting for."""
    return max(_SMALLEST_DEEP, math.ceil(tokens / threads()))


def _within(lengths: Ids, budget: int, max_rows: int, parts: int) -> list[Ids]:
    """At most so many batches, of as few padded tokens as that takes."""
    low, high = math.ceil(int(lengths.sum()) / parts), budget
    rows = min(max_rows, max(1, math.ceil(len(lengths) / parts) * 2))
    best = batches(lengths, high, rows)
    while low < high:
        middle = (low + high) // 2
        found = batches(lengths, middle, rows)
        if len(found) <= parts:
            best, high = found, middle
        else:
            low = middle + 1
    return best


def _makespan(lengths: Ids, plan: Sequence[Ids], number: int) -> int:
    """Padded tokens, and a few for each batch, of the core that ends last; a core that is free takes the next batch."""
    ends = [0] * number
    for rows in plan:
        heapq.heapreplace(ends, ends[0] + len(rows) * int(lengths[rows[0]]) + _EACH)
    return max(ends)


class Crew:
    """Threads that share the work of one call."""

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(threads(), thread_name_prefix="duobiao")

    def map(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Results in order; a single item is done at once, on the calling thread."""
        if len(items) < 2 or threads() == 1:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))


def scattered(scores: npt.NDArray[np.float32], slots: Ids, offset: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits ``(rows, labels)`` from one score an input, as in ``PairwiseClassifier``."""
    there = slots >= 0
    found: npt.NDArray[np.float32] = offset + np.where(there, np.append(scores, np.float32(0))[slots], np.float32(0))
    return found
