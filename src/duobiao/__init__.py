"""duobiao: Chinese multi-label text classification, from rows to a small fast model that is proven good enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Classifier", "DuobiaoClassifier", "LabelSpace", "__version__", "load"]

if TYPE_CHECKING:
    from duobiao.classifier import Classifier, load
    from duobiao.estimator import DuobiaoClassifier
    from duobiao.labels import LabelSpace

_PUBLIC = {
    "load": "duobiao.classifier",
    "Classifier": "duobiao.classifier",
    "LabelSpace": "duobiao.labels",
    "DuobiaoClassifier": "duobiao.estimator",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'duobiao' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
