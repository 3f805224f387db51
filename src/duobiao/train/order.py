"""Which rows go into which step: a pure function of the lengths, the seed and the epoch."""

from __future__ import annotations

import numpy as np

from duobiao.data.encode import Ids, batches

POOL_STEPS = 50


def epoch_steps(lengths: Ids, batch_size: int, seed: int, epoch: int) -> list[Ids]:
    """The row numbers of each optimiser step of one epoch.

    Rows are shuffled, sorted by length inside pools of ``POOL_STEPS`` steps, cut into steps, and the steps shuffled. Every
    row comes exactly once; only the last step cut may be smaller.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    pool = batch_size * POOL_STEPS
    steps: list[Ids] = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        steps += [part[at : at + batch_size] for at in range(0, len(part), batch_size)]
    return [steps[number] for number in random.permutation(len(steps))]


def micro_batches(step: Ids, lengths: Ids, token_budget: int, most_rows: int | None) -> list[Ids]:
    """One step cut into forward passes of at most ``token_budget`` padded tokens."""
    return [step[part] for part in batches(lengths[step], token_budget, most_rows or len(step))]


def share(micro: Ids, rank: int, processes: int) -> tuple[Ids, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    """The rows of one process, with weights: a process without rows repeats one with weight 0, so that all stay in step."""
    mine = micro[rank::processes]
    if len(mine):
        return mine, np.ones(len(mine), dtype=np.float32)
    return micro[:1], np.zeros(1, dtype=np.float32)
