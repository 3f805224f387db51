"""An order in which texts that are alike do not follow each other."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence

from duobiao.data.units import text_key


def unlike_first(texts: Sequence[tuple[Hashable, str]], seen: set[tuple[Hashable, str]]) -> list[int]:
    """The order in which each text says as much as possible that those before it did not.

    Greedy: next comes the text with the largest share of character bigrams that are new; of equals the first. What is new
    only shrinks, so a text is looked at anew only when it is about to be taken (Minoux 1978, "Accelerated greedy
    algorithms"), which keeps 100,000 texts a matter of seconds. Once all bigrams are known, the given order holds.

    Args:
        texts: (where it belongs, text) each; bigrams of different places have nothing in common.
        seen: Bigrams that are known already; those of the texts are added.

    Returns:
        Positions in the new order.
    """
    bigrams = [{(place, pair) for pair in _bigrams(text)} for place, text in texts]
    waiting = [(-1.0, at) for at in range(len(texts))]  # no more than all of it can be new; sorted, so a heap
    order: list[int] = []
    while waiting:
        guess, at = waiting[0]
        new = -len(bigrams[at] - seen) / len(bigrams[at])
        if new > guess:
            heapq.heapreplace(waiting, (new, at))
            continue
        heapq.heappop(waiting)
        order.append(at)
        seen |= bigrams[at]
    return order


def _bigrams(text: str) -> set[str]:
    key = text_key(text)
    return {key[at : at + 2] for at in range(max(len(key) - 1, 1))}
