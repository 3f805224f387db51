"""How each student is made: one module a kind, with a function ``distil``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from duobiao.config import BiGRUConfig, StudentConfig
from duobiao.train.distillation import Distillation
from duobiao.train.students import bigru

STUDENTS: dict[type[StudentConfig], Callable[[Distillation], Path]] = {
    BiGRUConfig: bigru.distil,
}
