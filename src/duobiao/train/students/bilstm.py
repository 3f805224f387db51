"""BiLSTM students."""

from __future__ import annotations

from pathlib import Path

from duobiao.config import BiLSTMConfig
from duobiao.models.bilstm import BiLSTMClassifier
from duobiao.train.distillation import Distillation
from duobiao.train.students.tokens import distil_tokens


def distil(work: Distillation) -> Path:
    """Trains and writes a BiLSTM."""
    config = work.config
    assert isinstance(config, BiLSTMConfig)

    def make(vocabulary: int, width: int) -> BiLSTMClassifier:
        return BiLSTMClassifier(
            vocabulary,
            width,
            work.outputs,
            hidden=config.hidden,
            fc=config.fc,
            dropout=config.dropout,
            extra=work.features.width,
        )

    return distil_tokens(work, make)
