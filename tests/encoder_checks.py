"""Spoiling a checkpoint, and seeing that it is refused with a reason and a remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from duobiao.errors import ConfigError
from duobiao.models.pretrained import load_pretrained

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 411577189\n"


def refused(folder: Path, *said: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_pretrained(str(folder))
    assert str(folder) in caught.value.message
    assert caught.value.hint
    for part in said:
        assert part in str(caught.value)
    return caught.value


def change(folder: Path, file: str = "config.json", **fields: Any) -> None:
    data = json.loads((folder / file).read_text(encoding="utf-8")) if (folder / file).exists() else {}
    data = {key: value for key, value in {**data, **fields}.items() if value is not ...}
    (folder / file).write_text(json.dumps(data), encoding="utf-8")


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "pytorch_model.bin", weights_only=True)
    return found
