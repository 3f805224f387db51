"""Runs encoder and BiGRU bundles with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from duobiao.bundle import Bundle
from duobiao.data.encode import RowEncoder
from duobiao.errors import BundleError
from duobiao.models.inference import compute_logits
from duobiao.models.kinds import TORCH_KINDS, load_class
from duobiao.models.row_encoder import make_encoder


class TorchBackend:
    """A torch model with its tokenizer.

    Args:
        model: The module, filled.
        encoder: Cleans, pairs, tokenizes and pads.
        labels: Number of labels.
    """

    def __init__(self, model: nn.Module, encoder: RowEncoder, labels: int) -> None:
        self.model = model.eval()
        self.encoder = encoder
        self.labels = labels
        self.parameters = sum(parameter.numel() for parameter in model.parameters())

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> TorchBackend:
        """Fills the bundle's module with its weights, on the GPU if there is one.

        Raises:
            BundleError: If weights and module do not fit.
            MissingExtraError: If an encoder bundle finds no ``transformers``.
        """
        return cls(filled_module(bundle), make_encoder(bundle), len(bundle.space))

    def logits(
        self,
        pairs: Sequence[tuple[str, str | None]],
        label: str = "",
        features: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        encoded = replace(self.encoder.encode(pairs), features=features)
        return compute_logits(self.model, self.encoder, encoded, self.labels, label=label)


def filled_module(bundle: Bundle) -> nn.Module:
    """The bundle's module with its weights, on the GPU if there is one.

    Raises:
        BundleError: If weights and module do not fit.
        MissingExtraError: If an encoder bundle finds no ``transformers``.
    """
    model = make_module(bundle)
    try:
        model.load_state_dict({name: torch.from_numpy(array) for name, array in bundle.weights.items()})
    except RuntimeError as error:
        raise BundleError(f"{bundle.name}: weights and model do not fit: {error}", hint="copy the bundle again") from error
    return model.cuda() if torch.cuda.is_available() else model


def make_module(bundle: Bundle) -> nn.Module:
    """The empty module of a bundle's kind."""
    settings = dict(bundle.model)
    settings.pop("pad_id")
    if settings.pop("pairwise", False):
        from duobiao.models.pairwise import PairwiseClassifier

        return PairwiseClassifier(_make_classifier(bundle.kind, settings, 1), len(bundle.space))
    return _make_classifier(bundle.kind, settings, len(bundle.space))


def _make_classifier(kind: str, settings: dict[str, Any], labels: int) -> nn.Module:
    module: nn.Module = load_class(TORCH_KINDS[kind]).from_bundle(settings, labels)
    return module
