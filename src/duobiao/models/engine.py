"""Runs ONNX graphs on all cores: a batch is one core's work, so cores never wait for each other inside a batch."""

from __future__ import annotations

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

Arrays = Mapping[str, npt.NDArray[Any]]
GRAPHS = "graphs.json"
"""Names the weights that each graph of a bundle reads."""
WHOLE = "model.onnx"
THREADS = "DUOBIAO_THREADS"
_SMALLEST = 96
"""Padded tokens below which a batch is not worth cutting for another core."""
T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Cores that this process may use; ``DUOBIAO_THREADS`` sets another number."""
    given = os.environ.get(THREADS, "")
    if given.isdigit() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


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
        return self._open(cores()) if cores() > 1 else self.narrow

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


def cut(lengths: Ids, budget: int, max_rows: int = 256) -> list[Ids]:
    """Batches of like length, the longest rows first; as many as there are cores, if there is enough to do for each.

    Args:
        lengths: Tokens of each row.
        budget: Padded tokens a batch.
        max_rows: Rows a batch.
    """
    if not len(lengths):
        return []
    share = math.ceil(int(lengths.sum()) / cores())
    rows = min(max_rows, max(1, math.ceil(len(lengths) / cores())) if share >= _SMALLEST else max_rows)
    return batches(lengths, max(_SMALLEST, min(budget, share)), rows)


class Crew:
    """Threads that share the work of one call."""

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(cores(), thread_name_prefix="duobiao")

    def map(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Results in order; a single item is done at once, on the calling thread."""
        if len(items) < 2 or cores() == 1:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))


def scattered(scores: npt.NDArray[np.float32], slots: Ids, offset: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits ``(rows, labels)`` from one score an input, as in ``PairwiseClassifier``."""
    there = slots >= 0
    found: npt.NDArray[np.float32] = offset + np.where(there, np.append(scores, np.float32(0))[slots], np.float32(0))
    return found
