"""What comes with the package: the data sets ``hotline`` and ``callback``, and the encoder ``duobiao-mini``.

The data was written for this project (CC0), see DATASHEET.md beside this file. The encoder's card is encoder/README.md; another
encoder in its folder takes its place.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from duobiao.errors import DataError

DATASETS = ("hotline", "callback")
ENCODER = "duobiao-mini"
"""The name under which configurations ask for the built-in encoder."""


def folder(name: str) -> Path:
    """The folder of a built-in data set: ``train.jsonl``, ``dev.jsonl``, ``test.jsonl``, ``labels.yaml``.

    Raises:
        DataError: If there is no such data set.
    """
    if name not in DATASETS:
        raise DataError(f"there is no built-in data set {name!r}", hint=f"choose one of {', '.join(DATASETS)}")
    return Path(str(resources.files("duobiao") / "builtin" / name))


def encoder_folder() -> Path:
    """The folder of the built-in encoder, in Hugging Face's form."""
    return Path(str(resources.files("duobiao") / "builtin" / "encoder"))
