"""Early exits with PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from duobiao.bundle import Bundle
from duobiao.data.encode import TOKEN_BUDGET, Encoded, Ids, RowEncoder, batches
from duobiao.features.apply import Features
from duobiao.models.fastbert import FastBERT
from duobiao.models.regroup import EarlyRun, Part, rule_at, stored_rule
from duobiao.models.row_encoder import make_encoder
from duobiao.models.torch_backend import TorchBackend, filled_module
from duobiao.postprocess.leaving import Leaving
from duobiao.postprocess.probabilities import Floats


class TorchStages:
    """A FastBERT cut at its exits.

    Args:
        model: The model with its exits.
    """

    def __init__(self, model: FastBERT) -> None:
        self.model = model.eval()
        self.exits, self.layers = model.exits, len(model.layerwise)
        self.device = next(model.parameters()).device

    def plan(self, lengths: Ids, token_budget: int, max_rows: int) -> list[Ids]:
        """Batches up to the budget: torch spreads each over all cores."""
        return batches(lengths, token_budget, max_rows)

    def room(self, tokens: int, token_budget: int) -> int:
        """The budget."""
        return token_budget

    @torch.inference_mode()
    def start(self, padded: dict[str, npt.NDArray[Any]]) -> Tensor:
        """States before the first layer."""
        return self.model.start(**{name: self._tensor(array) for name, array in padded.items()})[0]

    @torch.inference_mode()
    def mask(self, states: Tensor, lengths: Ids) -> tuple[Tensor | None, Tensor | None]:
        """1 on true tokens, ``(rows, length)``, and the same as the layers take it; None where nothing is padded."""
        if lengths.min() == lengths.max():
            return None, None
        attention_mask = self._tensor((np.arange(states.shape[1]) < lengths[:, None]).astype(np.int64))
        return attention_mask, self.model.layerwise.mask(states, attention_mask)

    @torch.inference_mode()
    def advance(self, parts: Sequence[Part], begin: int, number: int) -> list[Floats]:
        """Runs the layers up to an exit."""
        self._through(parts, begin, self.exits[number])
        head = self.model.heads[number]
        found = [head(part.states, part.mask[0], self._features(part)) for part in parts]
        return [logits.float().cpu().numpy() for logits in found]

    @torch.inference_mode()
    def finish(self, parts: Sequence[Part], begin: int) -> list[Floats]:
        """Runs the remaining layers."""
        self._through(parts, begin, self.layers)
        found = []
        for part in parts:
            attention_mask = part.mask[0]
            if attention_mask is None:
                attention_mask = torch.ones(part.states.shape[:2], dtype=torch.int64, device=self.device)
            found.append(self.model.last(part.states, attention_mask, self._features(part)).float().cpu().numpy())
        return found

    @torch.inference_mode()
    def pick(self, states: Tensor, rows: Ids, length: int) -> Tensor:
        return states[:, :length].index_select(0, self._tensor(rows))

    @torch.inference_mode()
    def join(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first, functional.pad(second, (0, 0, 0, first.shape[1] - second.shape[1]))])

    def _through(self, parts: Sequence[Part], begin: int, end: int) -> None:
        for layer in self.model.layerwise.layers[begin:end]:
            for part in parts:
                part.states = layer(part.states, part.mask[1])

    def _features(self, part: Part) -> Tensor | None:
        return None if part.features is None else self._tensor(part.features)

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


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
        return self.with_rule(rule_at(self.rule, point))

    def logits(
        self, pairs: Sequence[tuple[str, str | None]], label: str = "", features: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        return self.logits_and_depths(pairs, features, label)[0]

    def logits_and_depths(
        self, pairs: Sequence[tuple[str, str | None]], features: npt.NDArray[np.float32] | None = None, label: str = ""
    ) -> tuple[Floats, Ids]:
        """Logits, and after how many layers each row left, ``(rows,)``."""
        if self.rule.is_full:
            return super().logits(pairs, label, features), np.full(len(pairs), len(self.exiting.layerwise), dtype=np.int64)
        return self._run(pairs, label, features)

    def _run(
        self, pairs: Sequence[tuple[str, str | None]], label: str, features: npt.NDArray[np.float32] | None
    ) -> tuple[Floats, Ids]:
        encoded = replace(self.encoder.encode(pairs), features=features)
        space = self.rule.decoder.space
        asked = space.asked([context for _, context in pairs], missing="skip" if self.reads_contexts else "all")
        return EarlyRun(TorchStages(self.exiting), self.rule, self.labels)(self.encoder, encoded, asked, label)
