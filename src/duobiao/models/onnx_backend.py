"""Answers of exported bundles: the engine without torch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from duobiao import progress
from duobiao.bundle import Bundle
from duobiao.data.encode import Encoded, Ids, RowEncoder
from duobiao.features.apply import Features
from duobiao.models.engine import WHOLE, Crew, Session, cut, open_sessions, scattered, share
from duobiao.models.regroup import EarlyRun, Part, rule_at, stored_rule
from duobiao.models.row_encoder import make_encoder
from duobiao.postprocess.leaving import Leaving
from duobiao.postprocess.probabilities import Floats

BUDGETS = {"encoder": 1024, "fastbert": 1024, "tinybert": 1024}
BUDGET = 4096
"""Padded tokens a batch: an encoder's should stay near the core's cache, a small student's should fill it."""


class OnnxBackend:
    """One graph with its tokenizer.

    Args:
        bundle: The exported bundle.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.encoder: RowEncoder = make_encoder(bundle)
        self.sessions = open_sessions(bundle)
        self.crew = Crew()
        self.labels = len(bundle.space)
        self.parameters = int(bundle.model["engine"]["parameters"])
        self.offset = bundle.weights.get("offset")
        self.deep, self.budget = bundle.kind in BUDGETS, BUDGETS.get(bundle.kind, BUDGET)

    def logits(
        self, pairs: Sequence[tuple[str, str | None]], label: str = "", features: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        return self.answer(replace(self.encoder.encode(pairs), features=features), label)

    def answer(self, encoded: Encoded, label: str = "") -> npt.NDArray[np.float32]:
        """Logits ``(rows, labels)`` of rows that are tokenized."""
        result = np.zeros((len(encoded), self.labels), dtype=np.float32)
        session, plan = self.sessions[WHOLE], cut(encoded.lengths, self.budget, deep=self.deep)
        wide = self.deep and len(plan) == 1
        with progress.task(label, len(encoded)) if label else nullcontext() as task:

            def work(rows: Ids) -> None:
                result[rows] = self._batch(session, self.encoder.pad(encoded, rows), wide)
                if task:
                    task.advance(len(rows))

            self.crew.map(work, plan)
        return result

    def _batch(self, session: Session, inputs: dict[str, npt.NDArray[Any]], wide: bool) -> Floats:
        slots = inputs.pop("slots", None)
        if slots is None:
            answered: Floats = session.run(inputs, wide=wide)[0]
            return answered
        assert self.offset is not None
        scores = np.zeros(0, np.float32)
        if len(inputs["input_ids"]):
            if "features" in inputs:
                inputs["features"] = inputs["features"][np.nonzero(slots >= 0)[0]]
            scores = session.run(inputs, wide=wide)[0][:, 0]
        return scattered(scores, slots, self.offset)


class OnnxStages:
    """Graphs cut at the exits that the dial uses; ``segment.0.onnx`` begins with ids, the others with states.

    Args:
        sessions: The graphs by file name.
        exits: Layers of all exits.
        layers: Number of layers.
        used: The exits at which the graphs are cut, by number.
        crew: Threads.
    """

    def __init__(
        self, sessions: dict[str, Session], exits: tuple[int, ...], layers: int, used: Sequence[int], crew: Crew
    ) -> None:
        self.sessions = [sessions[segment(place)] for place in range(len(sessions))]
        self.exits, self.layers, self.crew = exits, layers, crew
        self.places = {number: place for place, number in enumerate(used)}

    def plan(self, lengths: Ids, token_budget: int, max_rows: int) -> list[Ids]:
        """Batches that keep all cores busy."""
        return cut(lengths, token_budget, max_rows, deep=True)

    def room(self, tokens: int, token_budget: int) -> int:
        """A core's share of what is left."""
        return min(token_budget, share(tokens))

    def start(self, padded: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The ids; the first graph embeds them."""
        return padded

    def mask(self, states: Any, lengths: Ids) -> Ids:
        """1 on true tokens, ``(rows, length)``."""
        found: Ids = (np.arange(int(lengths.max())) < lengths[:, None]).astype(np.int64)
        return found

    def advance(self, parts: Sequence[Part], begin: int, number: int) -> list[Floats]:
        """Runs one graph over all parts."""

        def work(part: Part) -> Floats:
            logits: Floats
            logits, part.states = self._run(self.places[number], part, wide=len(parts) == 1)
            return logits

        return self.crew.map(work, parts)

    def finish(self, parts: Sequence[Part], begin: int) -> list[Floats]:
        """Runs the last graph."""
        last = len(self.sessions) - 1
        answer: Callable[[Part], Floats] = lambda part: self._run(last, part, wide=len(parts) == 1)[0]  # noqa: E731
        return self.crew.map(answer, parts)

    def pick(self, states: Floats, rows: Ids, length: int) -> Floats:
        return states[rows, :length]

    def join(self, first: Floats, second: Floats) -> Floats:
        return np.concatenate([first, np.pad(second, ((0, 0), (0, first.shape[1] - second.shape[1]), (0, 0)))])

    def _run(self, place: int, part: Part, *, wide: bool) -> Any:
        inputs = dict(part.states) if isinstance(part.states, dict) else {"states": part.states}
        inputs["attention_mask"] = part.mask
        if part.features is not None:
            inputs["features"] = part.features
        return self.sessions[place].run(inputs, wide=wide)


def segment(place: int) -> str:
    """The file of a segment."""
    return f"segment.{place}.onnx"


class ExitEngine(OnnxBackend):
    """A model whose rows leave early.

    Args:
        bundle: The exported bundle; its dial stays as it was exported.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.rule: Leaving = stored_rule(bundle, bundle.weights["errors"])
        model = bundle.model
        exits, layers = tuple(model["exits"]), int(model["engine"]["layers"])
        self.stages = OnnxStages(self.sessions, exits, layers, sorted(self.rule.exits), self.crew)
        self.reads_contexts = Features.from_bundle(bundle).reads_contexts

    def at(self, point: Mapping[str, Any]) -> ExitEngine:
        """The same graphs for another operating point, as in ``ExitBackend``."""
        found = copy.copy(self)
        found.rule = rule_at(self.rule, point)
        return found

    def logits(
        self, pairs: Sequence[tuple[str, str | None]], label: str = "", features: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        return self.logits_and_depths(pairs, features, label)[0]

    def answer(self, encoded: Encoded, label: str = "") -> npt.NDArray[np.float32]:
        """Logits of rows that are tokenized; every cell counts as asked."""
        return self._early(encoded, np.ones((len(encoded), self.labels), dtype=np.bool_), label)[0]

    def logits_and_depths(
        self, pairs: Sequence[tuple[str, str | None]], features: npt.NDArray[np.float32] | None = None, label: str = ""
    ) -> tuple[Floats, Ids]:
        """Logits, and after how many layers each row left, ``(rows,)``."""
        encoded = replace(self.encoder.encode(pairs), features=features)
        space = self.rule.decoder.space
        asked = space.asked([context for _, context in pairs], missing="skip" if self.reads_contexts else "all")
        return self._early(encoded, asked, label)

    def _early(self, encoded: Encoded, asked: npt.NDArray[np.bool_], label: str) -> tuple[Floats, Ids]:
        return EarlyRun(self.stages, self.rule, self.labels, self.budget)(self.encoder, encoded, asked, label)
