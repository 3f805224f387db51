"""The kinds of bundles: what answers for each, and the torch module that it fills. Imports nothing until it is asked."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from duobiao.errors import MissingExtraError

TORCH_KINDS = {
    "encoder": "duobiao.models.encoder:EncoderClassifier",
    "bigru": "duobiao.models.bigru:BiGRUClassifier",
    "bilstm": "duobiao.models.bilstm:BiLSTMClassifier",
    "textcnn": "duobiao.models.textcnn:TextCNNClassifier",
    "fastbert": "duobiao.models.fastbert:FastBERT",
    "tinybert": "duobiao.models.encoder:EncoderClassifier",
}
"""``kind`` of a bundle to ``module:class``; the class has ``from_bundle(settings, labels)``."""

BACKENDS = {
    "linear": "duobiao.models.linear:LinearBackend",
    "linear-student": "duobiao.models.linear:LinearBackend",
    **dict.fromkeys(TORCH_KINDS, "duobiao.models.torch_backend:TorchBackend"),
    "fastbert": "duobiao.models.exits:ExitBackend",
}
"""``kind`` of a bundle to the backend that answers for it; the class has ``from_bundle(bundle)``."""

ENGINE = "duobiao.models.exported:Exported"
"""What answers for exported bundles, whatever their kind."""


def load_class(place: str) -> Any:
    """The class at ``module:class``.

    Raises:
        MissingExtraError: If its module needs packages that are not installed.
    """
    module, _, name = place.partition(":")
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise MissingExtraError(str(error.name), "torch") from error
