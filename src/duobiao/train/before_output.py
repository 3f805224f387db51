"""What a torch model's output layer reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from duobiao.data.encode import Pair
from duobiao.models.inference import compute_logits
from duobiao.models.torch_backend import TorchBackend


class BeforeOutput(nn.Module):
    """A model up to its layer ``output``.

    Args:
        model: Any model with such a layer.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @classmethod
    def read(
        cls, backend: TorchBackend, pairs: Sequence[Pair], numbers: npt.NDArray[np.float32] | None, label: str
    ) -> npt.NDArray[np.float32]:
        """The inputs of the output layer, ``(rows, width)``."""
        model: Any = backend.model
        encoded = replace(backend.encoder.encode(pairs), features=numbers)
        return compute_logits(cls(model), backend.encoder, encoded, int(model.output.in_features), label=label)

    def forward(self, **inputs: Tensor) -> Tensor:
        """Inputs of the output layer, ``(rows, width)``."""
        seen: list[Tensor] = []
        model: Any = self.model
        with torch.no_grad():
            hook = model.output.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
            try:
                model(**inputs)
            finally:
                hook.remove()
        return seen[0]
