"""The built-in data, written for this project (CC0): ``hotline`` and ``callback``. See DATASHEET.md beside this file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from duobiao.errors import DataError

DATASETS = ("hotline", "callback")


def folder(name: str) -> Path:
    """The folder of a built-in data set: ``train.jsonl``, ``dev.jsonl``, ``test.jsonl``, ``labels.yaml``.

    Raises:
        DataError: If there is no such data set.
    """
    if name not in DATASETS:
        raise DataError(f"there is no built-in data set {name!r}", hint=f"choose one of {', '.join(DATASETS)}")
    return Path(str(resources.files("duobiao") / "builtin" / name))
