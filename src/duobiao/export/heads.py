"""How transformers' own classification heads are filled so that they compute a teacher's output layer.

A teacher has one linear layer on the first token's state. The heads of transformers have a dense layer and a rising activation
in front of theirs. With the dense layer at ``scale`` times the identity, the activation works where it is a straight line to
within rounding, and the output layer takes the scale back:

| activation | near 0 | scale | taken back by |
|---|---|---|---|
| tanh | x - x^3 / 3 | 2^-14 | 2^14 |
| gelu | x / 2 + x^2 / sqrt(2 pi) | 2^-28 | 2^29 |
| linear | x | 1 | 1 |

All are powers of two, so nothing is lost by them in single precision, or in bfloat16, which has as large exponents. In half
precision the scaled states would be too small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from duobiao.errors import ConfigError


@dataclass(frozen=True)
class Head:
    """Where a kind of encoder has its head.

    Attributes:
        dense: Name of the dense layer in the model for sequence classification.
        output: Name of its output layer.
        activation: What stands between.
    """

    dense: str
    output: str
    activation: Literal["tanh", "gelu", "linear"] = "tanh"


_OWN = Head("classifier.dense", "classifier.out_proj")
HEADS = {
    "albert": Head("albert.pooler", "classifier"),
    "bert": Head("bert.pooler.dense", "classifier"),
    "camembert": _OWN,
    "deberta": Head("pooler.dense", "classifier", "linear"),
    "deberta-v2": Head("pooler.dense", "classifier", "linear"),
    "electra": Head("classifier.dense", "classifier.out_proj", "gelu"),
    "ernie": Head("ernie.pooler.dense", "classifier"),
    "roberta": _OWN,
    "xlm-roberta": _OWN,
}
"""By ``model_type``."""
_SCALES = {"tanh": (2.0**-14, 2.0**14), "gelu": (2.0**-28, 2.0**29), "linear": (1.0, 1.0)}


def head_of(kind: str) -> Head:
    """The head of a kind of encoder.

    Raises:
        ConfigError: If no way is known to fill it exactly.
    """
    if kind not in HEADS:
        raise ConfigError(
            f"for {kind!r} no way is known to fill transformers' classification head so that it gives the same logits",
            hint=f"it is known for {', '.join(sorted(HEADS))}; duobiao export without --format writes ONNX for any encoder",
        )
    return HEADS[kind]


def head_settings(kind: str) -> dict[str, Any]:
    """What a kind's configuration must say for its head to be filled."""
    return {"pooler_hidden_act": "linear"} if head_of(kind).activation == "linear" else {}


def head_weights(kind: str, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """The head's parameters by name, from an output layer ``(labels, width)`` and ``(labels,)`` on the first token's state."""
    head = head_of(kind)
    scale, back = _SCALES[head.activation]
    width = weight.shape[1]
    return {
        f"{head.dense}.weight": torch.eye(width) * scale,
        f"{head.dense}.bias": torch.zeros(width),
        f"{head.output}.weight": weight * back,
        f"{head.output}.bias": bias.clone(),
    }
