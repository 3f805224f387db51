"""The abstain band: decisions that are too near to flipping to be left to the model."""

from __future__ import annotations

import math

import numpy as np

from duobiao.errors import ConfigError
from duobiao.labels import Mask
from duobiao.postprocess.calibration import decisions_of
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.leaving import asked_decisions, margins
from duobiao.postprocess.probabilities import Floats


def check_band(band: float) -> None:
    """Refuses what is no abstain band.

    Raises:
        ConfigError: If it is not from 0 to under 0.5.
    """
    if not 0 <= band < 0.5:
        raise ConfigError(f"a band of {band:g} is none", hint="0 sends no row to review; it is less than 0.5")


def unsure(logits: Floats, asked: Mask, decoder: Decoder, band: float | None = None) -> Mask:
    """Which decisions lie in the band, shape ``(rows, decisions)``.

    A decision does if its margin (``leaving.margins``) is less than ``log((0.5 + band) / (0.5 - band))``: at a threshold of 0.5
    if the probability is between ``0.5 - band`` and ``0.5 + band``, at others as far away in log-odds. A group does if its
    answer is so near to the next one.

    Args:
        logits: Calibrated, shape ``(rows, labels)``.
        asked: Which cells are asked, ``(rows, labels)``; no other decision is unsure.
        decoder: The thresholds.
        band: Its half width; that of the decoder's settings if left out.
    """
    width = decoder.settings.band if band is None else band
    shape = (len(logits), decoder.space.decisions)
    if not width or not len(logits):
        return np.zeros(shape, dtype=np.bool_)
    found: Mask = (margins(logits, decoder) < math.log((0.5 + width) / (0.5 - width))) & asked_decisions(asked, decoder.space)
    return found


def unsure_names(logits: Floats, asked: Mask, decoder: Decoder) -> list[tuple[str, ...]]:
    """The names of the unsure decisions of each row."""
    if not decoder.settings.band:
        return [()] * len(logits)
    names = decisions_of(decoder.space)
    return [tuple(names[at] for at in np.flatnonzero(row)) for row in unsure(logits, asked, decoder)]
