"""How each student is made: one module a kind, with a function ``distil``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from duobiao.config import (
    BiGRUConfig,
    BiLSTMConfig,
    FastBERTConfig,
    LinearStudentConfig,
    StudentConfig,
    TextCNNConfig,
    TinyBERTConfig,
)
from duobiao.train.distillation import Distillation
from duobiao.train.students import bigru, bilstm, fastbert, linear_student, textcnn, tinybert

STUDENTS: dict[type[StudentConfig], Callable[[Distillation], Path]] = {
    BiGRUConfig: bigru.distil,
    BiLSTMConfig: bilstm.distil,
    FastBERTConfig: fastbert.distil,
    LinearStudentConfig: linear_student.distil,
    TextCNNConfig: textcnn.distil,
    TinyBERTConfig: tinybert.distil,
}
