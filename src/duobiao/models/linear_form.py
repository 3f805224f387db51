"""What a stored linear model consists of."""

from __future__ import annotations

from duobiao.config import InputSettings
from duobiao.features.apply import Features

VOCABULARY = "vocabulary.json"


def context_of(settings: InputSettings, features: Features | None) -> str:
    """Whether a linear model reads the context: ``pair`` or ``none``."""
    return "none" if features is not None and features.settings.segment == "none" else settings.context
