"""What a teacher says of rows, computed once and kept: its logits and, where they are learned from, its pooled encodings.

The cache is keyed by the teacher's digest (a folder) and each row's content (its key inside), so logits of another teacher
or of other rows can never be taken for these. Encodings have a folder of their own inside the teacher's.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from duobiao import progress
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, content_digest, model_inputs, numeric_columns

CHUNK = 1024
Values = npt.NDArray[np.float32]
Compute = Callable[[Sequence[Row]], Values]


def soft_labels(teacher: Classifier, rows: Sequence[Row], folder: Path) -> Values:
    """Logits of shape ``(rows, labels)``; only rows that are not kept yet are computed, and kept chunk by chunk.

    Args:
        teacher: The loaded teacher.
        rows: Any rows, labelled or not.
        folder: The cache; safe to delete.
    """

    def compute(part: Sequence[Row]) -> Values:
        return teacher.logits(**model_inputs(part, teacher.columns))

    return _cached(teacher, rows, folder, "logits", len(teacher.space), compute)


def row_vectors(teacher: Classifier, rows: Sequence[Row], folder: Path, width: int, compute: Compute) -> Values:
    """The teacher's pooled encodings of rows, ``(rows, width)``, kept in the same way as its logits.

    Args:
        teacher: The loaded teacher.
        rows: Any rows, labelled or not.
        folder: The cache; safe to delete.
        width: Width of an encoding.
        compute: Computes encodings.
    """
    return _cached(teacher, rows, folder, "hidden", width, compute)


def _cached(teacher: Classifier, rows: Sequence[Row], folder: Path, what: str, width: int, compute: Compute) -> Values:
    place = folder / teacher.bundle.digest[:32] / ("" if what == "logits" else what)
    numeric = numeric_columns(rows, teacher.columns)
    numbers = list(zip(*numeric.values(), strict=True)) if numeric else [()] * len(rows)
    keys = [content_digest(row.text, row.context, own) for row, own in zip(rows, numbers, strict=True)]
    known = _read(place, what, width)
    wanted = {key: row for key, row in zip(keys, rows, strict=True) if key not in known}
    missing = sorted(wanted.items(), key=lambda item: len(item[1].text))
    if missing:
        place.mkdir(parents=True, exist_ok=True)
        shown = "soft labels" if what == "logits" else "row vectors"
        with progress.task(f"{shown} of {teacher.bundle.name}", len(keys), len(keys) - len(missing)) as task:
            for start in range(0, len(missing), CHUNK):
                part = missing[start : start + CHUNK]
                found = compute([row for _, row in part])
                _write(place, what, [key for key, _ in part], found)
                known.update(zip((key for key, _ in part), found, strict=True))
                task.advance(len(part))
    if not rows:
        return np.zeros((0, width), dtype=np.float32)
    return np.stack([known[key] for key in keys])


def _read(place: Path, what: str, width: int) -> dict[str, Values]:
    known: dict[str, Values] = {}
    for path in sorted(place.glob("*.safetensors")):
        try:
            arrays = load_file(path)
            keys, values = arrays["keys"], arrays[what]
            if values.shape != (len(keys), width) or keys.shape[1:] != (16,):
                raise KeyError("shape")
        except (SafetensorError, OSError, KeyError) as error:
            warnings.warn(f"{path}: damaged soft labels are computed anew ({error})", stacklevel=4)
            continue
        known.update(zip((bytes(key).hex() for key in keys), values, strict=True))
    return known


def _write(place: Path, what: str, keys: list[str], values: Values) -> None:
    name = f"{keys[0]}-{len(keys)}"
    beside = place / f".{name}.{os.getpid()}.part"
    packed = np.array([list(bytes.fromhex(key)) for key in keys], dtype=np.uint8)
    save_file({"keys": packed, what: np.ascontiguousarray(values)}, beside)
    os.replace(beside, place / f"{name}.safetensors")
