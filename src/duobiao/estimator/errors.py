"""What is wrong with the arguments of the estimator."""

from __future__ import annotations

from duobiao.errors import DataError


class InputError(DataError, ValueError):
    """X or y that cannot be learned from; scikit-learn expects a ``ValueError``."""
