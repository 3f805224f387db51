"""BiGRU students."""

from __future__ import annotations

from pathlib import Path

from duobiao.config import BiGRUConfig
from duobiao.models.bigru import BiGRUClassifier
from duobiao.train.distillation import Distillation
from duobiao.train.students.tokens import distil_tokens


def distil(work: Distillation) -> Path:
    """Trains and writes a BiGRU, model A or B."""
    config = work.config
    assert isinstance(config, BiGRUConfig)

    def make(vocabulary: int, width: int) -> BiGRUClassifier:
        return BiGRUClassifier(
            vocabulary,
            width,
            work.outputs,
            hidden=config.hidden,
            fc=config.fc,
            model=config.model,
            dropout=config.dropout,
            extra=work.features.width,
        )

    return distil_tokens(work, make)
