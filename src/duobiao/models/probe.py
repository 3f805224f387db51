"""Whether an int8 bundle answers on this processor as on the one where its quality was measured."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from duobiao.bundle import Bundle
from duobiao.data.encode import Encoded
from duobiao.errors import BundleError

if TYPE_CHECKING:
    from duobiao.models.onnx_backend import OnnxBackend

Floats = npt.NDArray[np.float32]
ROWS, TOKENS = 12, 24
SLACK, FLOOR = 1.5, 0.02
"""On another processor the mean distance from float32 may be so many times that where it was made, and so much in any case."""
_TOLD = ("avx2", "avx512_vnni", "avx_vnni", "avx512bw", "amx_int8", "asimddp", "i8mm")


def processor() -> dict[str, Any]:
    """What decides how int8 products are computed: the architecture and the instructions for them.

    ``int8`` is None where the system does not tell them in ``/proc/cpuinfo``, as macOS and Windows do not.
    """
    flags: set[str] = set()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.partition(":")[0].strip() in ("flags", "Features"):
                flags = set(line.partition(":")[2].split())
                break
    return {"machine": platform.machine(), "int8": [name for name in _TOLD if name in flags] if flags else None}


def make_probe(vocabulary: int, labels: int, *, pairwise: bool, extra: int) -> Encoded:
    """Inputs of random ids, the same every time; nobody's text."""
    random = np.random.default_rng(0)
    ids = [random.integers(0, vocabulary, size=length) for length in random.integers(2, TOKENS, size=ROWS)]
    slots = np.full((ROWS, labels), -1)
    slots[np.arange(ROWS), np.arange(ROWS) % labels] = np.arange(ROWS)
    features = random.normal(size=(ROWS, extra)).astype(np.float32) if extra else None
    return Encoded(ids, [np.zeros_like(one) for one in ids], slots if pairwise else None, features)


def probe_of(bundle: Bundle, backend: OnnxBackend) -> Encoded:
    """The probe that fits a bundle."""
    from duobiao.features.apply import Features

    features = Features.from_bundle(bundle)
    size = backend.encoder.tokenizer.get_vocab_size()
    return make_probe(size, backend.labels, pairwise=features.pairwise, extra=features.width)


def check_probe(bundle: Bundle, backend: OnnxBackend) -> None:
    """Compares with what was measured where the bundle was made, unless the processor is known to be of the same kind.

    Raises:
        BundleError: If the answers are further from float32 than they were there.
    """
    engine: dict[str, Any] = bundle.model["engine"]
    here = processor()
    if here["int8"] is not None and engine["processor"] == here:
        return
    distance = float(np.abs(backend.answer(probe_of(bundle, backend)) - bundle.weights["probe"]).mean())
    if not distance <= SLACK * engine["probe_distance"] + FLOOR:
        raise BundleError(
            f"{bundle.name}: int8 as chosen on another processor ({_named(engine['processor'])}) is too coarse on this one "
            f"({_named(here)}): its logits are {distance:.3f} from float32 on average, there {engine['probe_distance']:.3f}",
            hint="run duobiao export --int8 on a machine like this one, or leave --int8 out there",
        )


def _named(found: dict[str, Any]) -> str:
    return " ".join([found["machine"], *(["instructions unknown"] if found["int8"] is None else found["int8"])])
