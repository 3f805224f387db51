"""TextCNN students."""

from __future__ import annotations

from pathlib import Path

from duobiao.config import TextCNNConfig
from duobiao.models.textcnn import TextCNNClassifier
from duobiao.train.distillation import Distillation
from duobiao.train.students.tokens import distil_tokens


def distil(work: Distillation) -> Path:
    """Trains and writes a TextCNN."""
    config = work.config
    assert isinstance(config, TextCNNConfig)

    def make(vocabulary: int, width: int) -> TextCNNClassifier:
        return TextCNNClassifier(
            vocabulary,
            width,
            work.outputs,
            widths=config.widths,
            filters=config.filters,
            fc=config.fc,
            dropout=config.dropout,
            extra=work.features.width,
        )

    return distil_tokens(work, make)
