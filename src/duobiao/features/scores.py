"""How well a word tells a label's rows from the others: three scores over presence counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def chi_squared(inside: Array, outside: Array, rows_in: int, rows_out: int) -> Array:
    """Pearson's statistic of the 2 x 2 table (word there or not, label true or not), without continuity correction.

    Args:
        inside: Rows of the label that hold the word, shape ``(words,)``.
        outside: Other rows that hold it.
        rows_in: Rows of the label.
        rows_out: Other rows.

    Returns:
        Shape ``(words,)``, one degree of freedom; 0 where the word stands in all rows or in none.
    """
    total = float(rows_in + rows_out)
    there = inside + outside
    below = there * (total - there) * rows_in * rows_out
    above = total * (inside * (rows_out - outside) - outside * (rows_in - inside)) ** 2
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def mutual_information(inside: Array, outside: Array, rows_in: int, rows_out: int) -> Array:
    """Mutual information of "the word is there" and "the label is true", in nats; arguments as in ``chi_squared``."""
    total = float(rows_in + rows_out)
    there = inside + outside
    found = np.zeros_like(there)
    for cell, row, column in (
        (inside, there, rows_in),
        (outside, there, rows_out),
        (rows_in - inside, total - there, rows_in),
        (rows_out - outside, total - there, rows_out),
    ):
        expected = row * column / total
        ratio = np.divide(cell, expected, out=np.ones_like(cell), where=(cell > 0) & (expected > 0))
        found += cell / total * np.log(ratio)
    return np.maximum(found, 0.0)


def log_odds(inside: Array, outside: Array, all_in: float, all_out: float, prior: Array, strength: float) -> Array:
    """Log-odds ratio with an informative Dirichlet prior, as z-scores (Monroe et al. 2008, eq. 16, 20 and 22).

    Args:
        inside: Times that the label's rows hold each word, shape ``(words,)``: ``y_w^(i)``.
        outside: Times that the other rows hold it: ``y_w^(j)``.
        all_in: Times that the label's rows hold any word: ``n^(i)``.
        all_out: The same of the other rows: ``n^(j)``.
        prior: ``alpha_w``, shape ``(words,)``; informative: in the proportions in which a background corpus uses the words.
        strength: ``alpha_0``, the sum of ``alpha_w`` over the whole vocabulary.

    Returns:
        ``zeta_w``, shape ``(words,)``; positive where the label's rows use the word more.
    """
    one, two = inside + prior, outside + prior
    delta = np.log(one / (all_in + strength - one)) - np.log(two / (all_out + strength - two))
    variance = 1.0 / one + 1.0 / two
    zeta: Array = delta / np.sqrt(variance)
    return zeta
