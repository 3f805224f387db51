"""What answers for an exported bundle."""

from __future__ import annotations

from typing import Any

from duobiao.bundle import Bundle
from duobiao.models.engine import WHOLE


class Exported:
    """Chooses by what the bundle holds: arrays alone, one graph, or graphs cut at exits."""

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Any:
        """The backend.

        Raises:
            BundleError: If graphs and weights do not fit, or int8 answers otherwise on this processor than where it was made.
        """
        if not bundle.graphs:
            from duobiao.models.array_linear import ArrayLinear

            return ArrayLinear(bundle)
        from duobiao.models.onnx_backend import ExitEngine, OnnxBackend

        made = OnnxBackend(bundle) if WHOLE in bundle.graphs else ExitEngine(bundle)
        if bundle.model["engine"]["precision"] == "int8":
            from duobiao.models.probe import check_probe

            check_probe(bundle, made)
        return made
