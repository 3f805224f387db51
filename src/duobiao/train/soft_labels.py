"""The teacher's logits on rows, computed once and kept.

The cache is keyed by the teacher's digest (a folder) and each row's content (its key inside), so logits of another teacher
or of other rows can never be taken for these.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from duobiao import progress
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, content_digest, model_inputs, numeric_columns

CHUNK = 1024


def soft_labels(teacher: Classifier, rows: Sequence[Row], folder: Path) -> npt.NDArray[np.float32]:
    """Logits of shape ``(rows, labels)``; only rows that are not kept yet are computed, and kept chunk by chunk.

    Args:
        teacher: The loaded teacher.
        rows: Any rows, labelled or not.
        folder: The cache; safe to delete.
    """
    place = folder / teacher.bundle.digest[:32]
    numeric = numeric_columns(rows, teacher.columns)
    numbers = list(zip(*numeric.values(), strict=True)) if numeric else [()] * len(rows)
    keys = [content_digest(row.text, row.context, own) for row, own in zip(rows, numbers, strict=True)]
    known = _read(place, len(teacher.space))
    wanted = {key: row for key, row in zip(keys, rows, strict=True) if key not in known}
    missing = sorted(wanted.items(), key=lambda item: len(item[1].text))
    if missing:
        place.mkdir(parents=True, exist_ok=True)
        with progress.task(f"soft labels of {teacher.bundle.name}", len(keys), len(keys) - len(missing)) as task:
            for start in range(0, len(missing), CHUNK):
                part = missing[start : start + CHUNK]
                found = teacher.logits(**model_inputs([row for _, row in part], teacher.columns))
                _write(place, [key for key, _ in part], found)
                known.update(zip((key for key, _ in part), found, strict=True))
                task.advance(len(part))
    if not rows:
        return np.zeros((0, len(teacher.space)), dtype=np.float32)
    return np.stack([known[key] for key in keys])


def _read(place: Path, labels: int) -> dict[str, npt.NDArray[np.float32]]:
    known: dict[str, npt.NDArray[np.float32]] = {}
    for path in sorted(place.glob("*.safetensors")):
        try:
            arrays = load_file(path)
            keys, logits = arrays["keys"], arrays["logits"]
            if logits.shape != (len(keys), labels) or keys.shape[1:] != (16,):
                raise KeyError("shape")
        except (SafetensorError, OSError, KeyError) as error:
            warnings.warn(f"{path}: damaged soft labels are computed anew ({error})", stacklevel=3)
            continue
        known.update(zip((bytes(key).hex() for key in keys), logits, strict=True))
    return known


def _write(place: Path, keys: list[str], logits: npt.NDArray[np.float32]) -> None:
    name = f"{keys[0]}-{len(keys)}"
    beside = place / f".{name}.{os.getpid()}.part"
    packed = np.array([list(bytes.fromhex(key)) for key in keys], dtype=np.uint8)
    save_file({"keys": packed, "logits": np.ascontiguousarray(logits)}, beside)
    os.replace(beside, place / f"{name}.safetensors")
