"""Multi-label stratification of whole units (dialogues, repeated texts) instead of single rows."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence, Set

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from duobiao.data.rows import Row
from duobiao.data.units import Units
from duobiao.labels import LabelSpace, node_of

TINY = 1e-9
SWEEPS = 4
Stratum = tuple[Hashable, ...]
"""What rows are counted by, its kind first: ``("label", "物流")``."""


def strata_of(row: Row, space: LabelSpace | None = None) -> list[Stratum]:
    """What a row counts for: its labels, its context, each label in its context, and the answers "nothing" and "not known"."""
    context = node_of(row.context) or None
    found: list[Stratum] = [("context", context)]
    if row.labels is None:
        return [*found, ("unlabelled",)]
    if not row.labels:
        found.append(("no label", context))
    found += [("label", label) for label in row.labels]
    found += [("pair", context, label) for label in row.labels]
    given = set(row.labels)
    for group in space.groups if space is not None else ():
        if group.is_asked(context) and not given.intersection(group.labels):
            found.append(("unanswered", group.name))
    return found


def stratify(
    strata: Sequence[Sequence[Stratum]],
    units: Units,
    shares: Sequence[float],
    seed: int = 0,
    placed: Mapping[int, int] | None = None,
) -> list[int]:
    """Distributes units over splits so that every stratum comes near its share in each.

    Iterative stratification after Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data" (2011),
    algorithm 1, with units of several rows in the place of examples: the stratum with the fewest rows left is dealt out
    first, its largest units first, each to the split that lacks most of this stratum, then most rows, then by lot.

    What is dealt for a rare stratum also counts for the common ones, so these may end up uneven. Therefore single units then
    move while that lowers the chi-squared sum over strata and splits, (rows wanted - rows there)^2 / rows wanted.

    Args:
        strata: What each row counts for.
        units: The unit of each row, shape ``(rows,)``, numbered from 0.
        shares: The wanted share of each split; they add up to 1.
        seed: Decides ties.
        placed: Splits of units that are settled beforehand; they count, and stay.

    Returns:
        The split of each unit.
    """
    dealer = _Dealer(strata, units, shares, seed)
    for unit, split in (placed or {}).items():
        dealer.place(unit, split)
    dealer.deal()
    dealer.level(set(placed or ()))
    return dealer.split


def stratified_folds(rows: Sequence[Row], units: Units, space: LabelSpace, count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """The fold of each row, ``(rows,)``: ``count`` folds of equal shares of every stratum, units kept whole.

    Args:
        rows: The rows.
        units: The unit of each row, shape ``(rows,)``, numbered from 0.
        space: Their label space.
        count: How many folds.
        seed: Decides ties.
    """
    split = stratify([strata_of(row, space) for row in rows], units, [1 / count] * count, seed)
    return np.array(split, dtype=np.int64)[units]


class _Dealer:
    """The state of one distribution; plain lists, because single cells are read and written millions of times."""

    def __init__(self, strata: Sequence[Sequence[Stratum]], units: Units, shares: Sequence[float], seed: int) -> None:
        self.random = np.random.default_rng(seed)
        count = int(units.max()) + 1 if len(units) else 0
        names, pairs = _kept(strata, units, min(shares))
        rows = np.array([unit for unit, _ in pairs], dtype=np.int64)
        columns = np.array([stratum for _, stratum in pairs], dtype=np.int64)
        ones = np.ones(len(pairs), dtype=np.int64)
        table = coo_array((ones, (rows, columns)), shape=(count, names)).tocsr()  # repeated cells are summed
        turned = table.tocsc()
        self.start, self.strata, self.counts = table.indptr.tolist(), table.indices.tolist(), table.data.tolist()
        self.begin, self.members = turned.indptr.tolist(), turned.indices
        self.weights = turned.data
        self.left: list[int] = np.asarray(table.sum(axis=0)).ravel().astype(int).tolist()
        self.totals, self.shares = list(self.left), list(shares)
        self.lacks = [[total * share for share in shares] for total in self.left]
        self.sizes: list[int] = np.bincount(units, minlength=count).tolist()
        self.room = [len(units) * share for share in shares]
        self.split = [-1] * count

    def place(self, unit: int, split: int) -> list[int]:
        """Puts a unit into a split; returns the strata that it touched."""
        self.split[unit] = split
        self.room[split] -= self.sizes[unit]
        touched = self.strata[self.start[unit] : self.start[unit + 1]]
        for stratum, count in zip(touched, self.counts[self.start[unit] : self.start[unit + 1]], strict=True):
            self.lacks[stratum][split] -= count
            self.left[stratum] -= count
        return list(touched)

    def deal(self) -> None:
        waiting = [(left, stratum) for stratum, left in enumerate(self.left) if left]
        heapq.heapify(waiting)
        lots = self.random.permutation(len(self.split))
        while waiting:
            left, stratum = heapq.heappop(waiting)
            if left != self.left[stratum] or not left:
                continue  # an older entry; the newer one lies in the heap too
            lacks = self.lacks[stratum] = _spread(self.lacks[stratum], left)
            touched = set[int]()
            span = slice(self.begin[stratum], self.begin[stratum + 1])
            members, weights = self.members[span], self.weights[span]
            for unit in members[np.lexsort((lots[members], -weights))].tolist():
                if self.split[unit] < 0:
                    touched.update(self.place(unit, self._best(lacks)))
            for other in touched - {stratum}:
                if self.left[other]:
                    heapq.heappush(waiting, (self.left[other], other))

    def level(self, placed: Set[int]) -> None:
        """Moves units one by one for as long as that evens out the strata, ``SWEEPS`` times at most."""
        splits = range(len(self.shares))
        lacks = [[total * share for share in self.shares] for total in self.totals]
        cells = [
            list(zip(self.strata[start:end], self.counts[start:end], strict=True))
            for start, end in itertools.pairwise(self.start)
        ]
        for unit, split in enumerate(self.split):
            for stratum, count in cells[unit]:
                lacks[stratum][split] -= count
        order = [unit for unit in self.random.permutation(len(self.split)).tolist() if unit not in placed]
        for _ in range(SWEEPS):
            moved = 0
            for unit in order:
                here, weight, cost = self.split[unit], 0.0, [0.0 for _ in splits]
                for stratum, count in cells[unit]:
                    part = count / self.totals[stratum]
                    weight += part * count
                    for split in splits:
                        cost[split] -= 2 * part * lacks[stratum][split]
                stay = -(cost[here] - weight) / self.shares[here]  # what leaving costs
                move = [(value + weight) / share for value, share in zip(cost, self.shares, strict=True)]
                best = min((split for split in splits if split != here), key=move.__getitem__, default=here)
                if best == here or stay + move[best] > -TINY:
                    continue
                for stratum, count in cells[unit]:
                    lacks[stratum][here] += count
                    lacks[stratum][best] -= count
                self.split[unit] = best
                moved += 1
            if not moved:
                return

    def _best(self, lacks: Sequence[float]) -> int:
        most = max(lacks) - TINY
        best = [split for split, value in enumerate(lacks) if value >= most]
        if len(best) > 1:
            room = max(self.room[split] for split in best) - TINY
            best = [split for split in best if self.room[split] >= room]
        return best[0] if len(best) == 1 else best[int(self.random.integers(len(best)))]


def _spread(lacks: Sequence[float], left: int) -> list[float]:
    """What is left, in proportion to what is lacking; a split that has too much already gets nothing.

    Without this, a split that is too full would cost the small splits all that is left of a stratum.
    """
    open_ = [max(lack, 0.0) for lack in lacks]
    total = sum(open_)
    return [lack * left / total for lack in open_] if total > TINY else list(lacks)


def _kept(strata: Sequence[Sequence[Stratum]], units: Units, smallest: float) -> tuple[int, list[tuple[int, int]]]:
    """The number of strata to deal by, and (unit, stratum) once a row; the last stratum is "a row", so all are dealt.

    Left out are strata that tell nothing: a label in a context that is too rare to reach the smallest split (its label
    alone is dealt anyway), and one that holds the same rows as the label itself.
    """
    totals = Counter(stratum for row in strata for stratum in row)
    kept: dict[Stratum, int] = {}
    for stratum, total in totals.items():
        if stratum[0] == "pair" and (total * smallest < 0.5 or total == totals["label", stratum[2]]):
            continue
        kept[stratum] = len(kept)
    pairs = [(unit, kept[name]) for unit, row in zip(units.tolist(), strata, strict=True) for name in row if name in kept]
    return len(kept) + 1, pairs + [(unit, len(kept)) for unit in units.tolist()]
