"""Whether a fall is more than noise: exact paired tests that swap two systems' answers, and intervals beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from duobiao.evaluate.bootstrap import Counts, f1
from duobiao.evaluate.metrics import ratio

Whole = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

_LATTICE = 4_000_000
"""Places of the exact distribution at most; beyond, it is drawn from."""
DRAWS = 200_000
MACRO_DRAWS = 20_000
_SAME = 1e-12
_CELLS = 4_000_000


@dataclass(frozen=True)
class Fall:
    """A one-sided test.

    Attributes:
        p: How often two systems that differ by chance alone would fall as far as this, or further.
        least: The lowest ``p`` that so many differing answers could give at all.
    """

    p: float
    least: float


def ratio_fall(old: Whole, new: Whole) -> Fall:
    """Tests whether ``2 * hits / marks`` (F1, or a share with marks twice its whole) fell from the old system to the new one.

    Approximate randomisation (Noreen, "Computer-Intensive Methods for Testing Hypotheses", 1989; for F1: Yeh, 2000,
    arXiv cs/0008005): if the systems differ by chance alone, the answers to any unit may be swapped between them. Only units
    that count otherwise for the two matter, and those that differ alike are exchangeable, so the distribution over all swaps
    is that of a sum of independent signs on a small lattice, found exactly by a Fourier transform: with moves ``(h, m)`` of a
    unit, ``phi(u, v) = prod cos(2 pi (u h + v m))``. It needs no large sample. Where units are rows and only hits differ this
    is McNemar's exact test. For a lattice that is too large 200,000 swaps are drawn.

    Args:
        old: Hits and marks (true plus said) of each unit, ``(2, units)``.
        new: The same of the other system.
    """
    moves = (new - old).T
    moves = moves[(moves != 0).any(axis=1)]
    if not len(moves):
        return Fall(1.0, 1.0)
    flip = (moves[:, 0] < 0) | ((moves[:, 0] == 0) & (moves[:, 1] < 0))
    kinds, times = np.unique(np.where(flip[:, None], -moves, moves), axis=0, return_counts=True)
    totals, seen = (old + new).sum(axis=1), moves.sum(axis=0)
    reach = (np.abs(kinds) * times[:, None]).sum(axis=0)
    observed = _difference(totals, seen[0], seen[1])
    if (2 * reach[0] + 1) * (2 * reach[1] + 1) > _LATTICE:
        return _drawn(kinds, times, totals, float(observed))
    sizes = 2 * reach + 1
    places = [np.fft.ifftshift(np.arange(-far, far + 1)) for far in reach]
    turn = [place / size for place, size in zip(places, sizes, strict=True)]
    phi = np.ones(sizes)
    for (hits, marks), count in zip(kinds.tolist(), times.tolist(), strict=True):
        phi *= np.cos(2 * np.pi * (turn[0][:, None] * hits + turn[1][None, :] * marks)) ** count
    mass = np.clip(np.fft.ifft2(phi).real, 0, None)
    values = _difference(totals, places[0][:, None], places[1][None, :])
    lowest = values[mass > _SAME].min()
    p, least = (min(float(mass[values <= end + _SAME].sum()), 1.0) for end in (observed, lowest))
    return Fall(p, min(p, least))


def _drawn(kinds: Whole, times: Whole, totals: Whole, observed: float) -> Fall:
    random = np.random.default_rng(0)
    sums = np.zeros((2, DRAWS), dtype=np.int64)
    for kind, count in zip(kinds, times.tolist(), strict=True):
        sums += kind[:, None] * (2 * random.binomial(count, 0.5, DRAWS) - count)
    lower = int((_difference(totals, sums[0], sums[1]) <= observed + _SAME).sum())
    return Fall((1 + lower) / (1 + DRAWS), 0.0)


def _difference(totals: Whole, hits: Whole, marks: Whole) -> Doubles:
    """New minus old ratio where the new system has so many more hits and marks, the sums of both staying as they are."""
    return ratio(2 * (totals[0] + hits), totals[1] + marks) - ratio(2 * (totals[0] - hits), totals[1] - marks)


def macro_fall(old: Counts, new: Counts, draws: int = MACRO_DRAWS, seed: int = 0) -> float:
    """How often a random swap of whole units lets macro-F1 fall as far as it did, or further.

    Args:
        old: Counts of each unit and label, ``(3, units, labels)``; see ``bootstrap.counts``.
        new: The same of the other system.
        draws: Swaps.
        seed: Of the swaps.
    """
    moves = (new[:2] - old[:2]).astype(np.float32)
    moves = moves[:, (moves != 0).any(axis=(0, 2))]
    if not moves.shape[1]:
        return 1.0
    totals, known = (old + new)[:2].sum(axis=1), old[2].sum(axis=0)

    def fall(sums: Counts) -> Doubles:
        both = [
            np.concatenate([(totals[:, None] + sign * sums) / 2, np.tile(known, (1, sums.shape[1], 1))]) for sign in (1, -1)
        ]
        return np.asarray(f1(both[0])["macro_f1"] - f1(both[1])["macro_f1"])

    flat = np.ascontiguousarray(moves.transpose(1, 0, 2)).reshape(moves.shape[1], -1)
    observed = float(fall(moves.sum(axis=1)[:, None])[0])
    random, lower = np.random.default_rng(seed), 0
    size = max(1, min(draws, _CELLS // max(flat.shape)))
    for start in range(0, draws, size):
        count = min(size, draws - start)
        signs = 2 * random.integers(0, 2, (count, len(flat))).astype(np.float32) - 1
        sums = (signs @ flat).reshape(count, 2, -1).transpose(1, 0, 2)
        lower += int((fall(sums) <= observed + _SAME).sum())
    return (1 + lower) / (1 + draws)


def ratio_interval(old: Whole, new: Whole, draws: int = 4000, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of the ratio's difference over units drawn with replacement; arguments as ``ratio_fall``.

    Units that count alike are drawn together, as a multinomial: the same bootstrap as ``paired_bootstrap``, at the cost of a
    handful of kinds.
    """
    kinds, times = np.unique(np.concatenate([new, old]).T, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(times.sum(), times / times.sum(), draws) @ kinds
    gains = ratio(2 * drawn[:, 0], drawn[:, 1]) - ratio(2 * drawn[:, 2], drawn[:, 3])
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class Family:
    """Several tests, judged together.

    Attributes:
        fell: Which falls are more than noise, ``(tests,)``.
        adjusted: ``p`` made dearer for the number of tests, ``(tests,)``; compare with the level.
        tested: How many tests could have found anything.
        level: What the smallest ``p`` had to stay under.
    """

    fell: npt.NDArray[np.bool_]
    adjusted: Doubles
    tested: int
    level: float


def judge(falls: list[Fall], level: float) -> Family:
    """Which of many falls are real, with a chance of at most ``level`` that one of them is not.

    Holm's procedure (1979), whose promise holds however the tests depend on each other: a gate fails by one false alarm, so
    it is the chance of any that must be small. Tests with so few differing answers that no outcome could reach the level are
    left out first and cost the others nothing (Tarone, "A modified Bonferroni method for discrete data", 1990); which
    these are follows from how many answers differ and not from the direction, so the promise stands.

    Args:
        falls: The tests.
        level: The chance of one or more false alarms, when nothing fell.
    """
    least = np.array([one.least for one in falls])
    count = next(number for number in range(1, len(falls) + 2) if (least <= level / number).sum() <= number)
    within = np.flatnonzero(least <= level / count)
    fell, adjusted = np.zeros(len(falls), dtype=np.bool_), np.ones(len(falls))
    order = within[np.argsort([falls[place].p for place in within], kind="stable")]
    dearest = 0.0
    for number, place in enumerate(order):
        dearest = max(dearest, min(1.0, falls[place].p * (len(order) - number)))
        adjusted[place], fell[place] = dearest, dearest <= level
    return Family(fell, adjusted, len(within), level / max(len(within), 1))


def smallest_fall(hits: int, marks: int, level: float) -> float | None:
    """The smallest fall of F1 that could be told from noise; None where the label has no hit, so that F1 cannot fall.

    With ``n`` differing answers, all to the worse, ``p`` is ``2^-n``. The way that costs least F1 is ``n`` wrong positives
    more; so any smaller fall stays unseen, whatever it is made of.

    Args:
        hits: Of the old system.
        marks: Of the old system.
        level: What ``p`` must stay under.
    """
    if not hits:
        return None
    needed = math.ceil(-math.log2(level))
    return 2 * hits / marks - 2 * hits / (marks + needed)
