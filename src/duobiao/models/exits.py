"""Leaving early: rows that are done leave after a layer, the rest are regrouped and go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from duobiao import progress
from duobiao.bundle import Bundle
from duobiao.data.encode import Encoded, Ids, RowEncoder, batches
from duobiao.features.apply import Features
from duobiao.labels import Mask
from duobiao.models.fastbert import FastBERT
from duobiao.models.inference import TOKEN_BUDGET
from duobiao.models.torch_backend import TorchBackend, filled_module, make_encoder
from duobiao.postprocess.calibration import Calibration
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.leaving import Leaving, errors_from_list
from duobiao.postprocess.probabilities import Floats

POOL_TOKENS = 16 * TOKEN_BUDGET
"""Padded tokens that go through the layers together, so that what is left of several batches makes a full one."""


@dataclass
class _Part:
    """Rows on their way, the longest first.

    Attributes:
        rows: Their places in the result.
        lengths: Tokens of each.
        states: Shape ``(rows, length, width)``.
        attention_mask: 1 on true tokens, ``(rows, length)``; None where nothing is padded.
        mask: The same as the layers take it.
        features: Numbers beside the text.
    """

    rows: Ids
    lengths: Ids
    states: Tensor
    attention_mask: Tensor | None
    mask: Tensor | None
    features: Tensor | None


class EarlyRun:
    """One pass over many rows.

    Args:
        model: The model with its exits.
        rule: When rows leave.
        labels: Number of labels.
        token_budget: Padded tokens a forward pass.
        max_rows: Rows a forward pass.
    """

    def __init__(
        self, model: FastBERT, rule: Leaving, labels: int, token_budget: int = TOKEN_BUDGET, max_rows: int = 256
    ) -> None:
        self.model, self.rule, self.labels = model, rule, labels
        self.token_budget, self.max_rows = token_budget, max_rows
        self.device = next(model.parameters()).device

    @torch.inference_mode()
    def __call__(self, encoder: RowEncoder, encoded: Encoded, asked: Mask, label: str = "") -> tuple[Floats, Ids]:
        """Logits ``(rows, labels)`` and the layers that each row ran through ``(rows,)``, both in the order of the rows.

        Args:
            encoder: Pads.
            encoded: The rows.
            asked: Which cells are asked, ``(rows, labels)``.
            label: Name of a progress bar; none by default.
        """
        model = self.model.eval()
        self.asked = asked
        self.logits = np.zeros((len(encoded), self.labels), dtype=np.float32)
        self.depths = np.zeros(len(encoded), dtype=np.int64)
        plan = batches(encoded.lengths, self.token_budget, self.max_rows) if len(encoded) else []
        with progress.task(label, len(encoded)) if label else nullcontext() as task:
            for pool in _pools(plan, encoded.lengths):
                parts = [self._start(encoder, encoded, rows) for rows in pool]
                for number, layer in enumerate(model.layerwise.layers, start=1):
                    for part in parts:
                        part.states = layer(part.states, part.mask)
                    if number in model.exits and model.exits.index(number) in self.rule.exits:
                        parts = self._regrouped([self._without_done(part, number) for part in parts])
                for part in parts:
                    self._last(part)
                if task:
                    task.advance(sum(len(rows) for rows in pool))
        return self.logits, self.depths

    def _start(self, encoder: RowEncoder, encoded: Encoded, rows: Ids) -> _Part:
        padded = {name: torch.from_numpy(array).to(self.device) for name, array in encoder.pad(encoded, rows).items()}
        features = padded.pop("features", None)
        states, mask = self.model.start(**padded)
        lengths = encoded.lengths[rows]
        even = lengths.min() == lengths.max()
        return _Part(rows, lengths, states, None if even else padded["attention_mask"], mask, features)

    def _without_done(self, part: _Part, layer: int) -> _Part | None:
        """The rows that go on; None if there are none."""
        number = self.model.exits.index(layer)
        logits = self.model.heads[number](part.states, part.attention_mask, part.features).float().cpu().numpy()
        leaves = self.rule.leaves(number, logits, self.asked[part.rows])
        if not leaves.any():
            return part
        self._answer(part.rows[leaves], logits[leaves], layer)
        stay = np.flatnonzero(~leaves)
        return self._picked(part, stay) if len(stay) else None

    def _picked(self, part: _Part, stay: Ids) -> _Part:
        """Some rows of a part, with no more padding than they need."""
        lengths = part.lengths[stay]
        longest = int(lengths[0])
        index = torch.from_numpy(stay).to(self.device)
        states = part.states[:, :longest].index_select(0, index)
        features = None if part.features is None else part.features.index_select(0, index)
        return self._masked(_Part(part.rows[stay], lengths, states, None, None, features))

    def _masked(self, part: _Part) -> _Part:
        """The part with masks that fit its lengths."""
        if part.lengths[0] == part.lengths[-1]:
            return replace(part, attention_mask=None, mask=None)
        there = np.arange(part.states.shape[1]) < part.lengths[:, None]
        attention_mask = torch.from_numpy(there.astype(np.int64)).to(self.device)
        return replace(part, attention_mask=attention_mask, mask=self.model.layerwise.mask(part.states, attention_mask))

    def _regrouped(self, left: Sequence[_Part | None]) -> list[_Part]:
        """Neighbours that fit into one forward pass together become one part."""
        parts: list[_Part] = []
        for part in left:
            if part is None:
                continue
            size = len(part.rows) + (len(parts[-1].rows) if parts else 0)
            if parts and size <= self.max_rows and size * parts[-1].states.shape[1] <= self.token_budget:
                parts[-1] = self._merged(parts[-1], part)
            else:
                parts.append(part)
        return parts

    def _merged(self, first: _Part, second: _Part) -> _Part:
        states = functional.pad(second.states, (0, 0, 0, first.states.shape[1] - second.states.shape[1]))
        features = None
        if first.features is not None and second.features is not None:
            features = torch.cat([first.features, second.features])
        rows, lengths = np.concatenate([first.rows, second.rows]), np.concatenate([first.lengths, second.lengths])
        return self._masked(_Part(rows, lengths, torch.cat([first.states, states]), None, None, features))

    def _last(self, part: _Part) -> None:
        attention_mask = part.attention_mask
        if attention_mask is None:
            attention_mask = torch.ones(part.states.shape[:2], dtype=torch.int64, device=self.device)
        logits = self.model.last(part.states, attention_mask, part.features)
        self._answer(part.rows, logits.float().cpu().numpy(), len(self.model.layerwise))

    def _answer(self, rows: Ids, logits: Floats, depth: int) -> None:
        self.logits[rows] = logits
        self.depths[rows] = depth


def _pools(plan: Sequence[Ids], lengths: Ids) -> Iterator[list[Ids]]:
    """Batches that go through the layers together."""
    pool: list[Ids] = []
    tokens = 0
    for rows in plan:
        size = len(rows) * int(lengths[rows].max())
        if pool and tokens + size > POOL_TOKENS:
            yield pool
            pool, tokens = [], 0
        pool.append(rows)
        tokens += size
    if pool:
        yield pool


@torch.inference_mode()
def every_logits(
    model: FastBERT, encoder: RowEncoder, encoded: Encoded, token_budget: int = TOKEN_BUDGET, max_rows: int = 256
) -> Floats:
    """Logits of every exit, ``(exits + 1, rows, labels)``, the last one last and as ``compute_logits`` gives it."""
    model.eval()
    device = next(model.parameters()).device
    labels = model.backbone.output.out_features
    result = np.zeros((len(model.exits) + 1, len(encoded), labels), dtype=np.float32)
    for part in batches(encoded.lengths, token_budget, max_rows) if len(encoded) else []:
        inputs = {name: torch.from_numpy(array).to(device) for name, array in encoder.pad(encoded, part).items()}
        result[:, part] = model.every(**inputs).float().cpu().numpy()
    return result


class ExitBackend(TorchBackend):
    """A model whose rows leave early.

    Args:
        model: The module, filled.
        encoder: Cleans, pairs, tokenizes and pads.
        rule: When rows leave; at speed 0 the plain full model runs.
        reads_contexts: Whether the contexts that come with the rows are all that decides what they are asked; if not, every
            cell counts as asked.
    """

    def __init__(self, model: FastBERT, encoder: RowEncoder, rule: Leaving, reads_contexts: bool) -> None:
        super().__init__(model, encoder, len(rule.decoder.space))
        self.exiting, self.rule, self.reads_contexts = model, rule, reads_contexts

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> ExitBackend:
        """The model of a bundle, with the dial that is stored in it."""
        model = filled_module(bundle)
        assert isinstance(model, FastBERT)
        rule = stored_rule(bundle, model.errors.cpu().numpy())
        return cls(model, make_encoder(bundle), rule, Features.from_bundle(bundle).reads_contexts)

    def with_rule(self, rule: Leaving) -> ExitBackend:
        """The same weights under another rule."""
        return ExitBackend(self.exiting, self.encoder, rule, self.reads_contexts)

    def at(self, point: Mapping[str, Any]) -> ExitBackend:
        """The same weights for another operating point; all rows run through all layers if it holds no errors of its own."""
        rule = replace(self.rule, decoder=Decoder.from_dict(point, self.rule.decoder.space))
        errors = point.get("errors")
        if errors is not None:
            return self.with_rule(replace(rule, errors=errors_from_list(errors)))
        return self.with_rule(replace(rule, speed=0.0))

    def logits(
        self, pairs: Sequence[tuple[str, str | None]], label: str = "", features: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        if self.rule.is_full:
            return super().logits(pairs, label, features)
        return self._run(pairs, label, features)[0]

    def depths(self, pairs: Sequence[tuple[str, str | None]], features: npt.NDArray[np.float32] | None = None) -> Ids:
        """After how many layers each row left, ``(rows,)``."""
        if self.rule.is_full:
            return np.full(len(pairs), len(self.exiting.layerwise), dtype=np.int64)
        return self._run(pairs, "", features)[1]

    def _run(
        self, pairs: Sequence[tuple[str, str | None]], label: str, features: npt.NDArray[np.float32] | None
    ) -> tuple[Floats, Ids]:
        encoded = replace(self.encoder.encode(pairs), features=features)
        space = self.rule.decoder.space
        asked = space.asked([context for _, context in pairs], missing="skip" if self.reads_contexts else "all")
        return EarlyRun(self.exiting, self.rule, self.labels)(self.encoder, encoded, asked, label)


def stored_rule(bundle: Bundle, errors: Floats) -> Leaving:
    """The rule that a bundle's dial asks for."""
    dial: dict[str, Any] = dict(bundle.model["dial"])
    decoder = Decoder.from_dict(bundle.thresholds, bundle.space)
    calibration = Calibration.from_dict(bundle.thresholds.get("calibration", {}), bundle.space)
    return Leaving(decoder, dial["criterion"], float(dial["speed"]), errors, tuple(dial["exits"]), calibration)
