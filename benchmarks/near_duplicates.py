"""Near duplicates: quality against brute force, time on many rows, and rensa and datasketch on the same rows.

Usage: python benchmarks/near_duplicates.py TEXTS... [--rows 1000000] [--quality 5000] [--rivals 100000]

TEXTS are plain text files, one text a line (.xz too), or JSONL with "text". A third of the rows are copies of others in which
a few characters were changed, since real files have few near duplicates and those are what is to be found. Rivals must be
installed by hand: pip install rensa datasketch.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy.sparse

from duobiao.doctor.near_duplicates import BANDS, NGRAM, THRESHOLD, WIDTH, near_duplicates, normalise

Found = set[tuple[int, int]]


def lines(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)["text"] if ".jsonl" in path.name else line.rstrip("\n")


def edited(text: str, chance: random.Random) -> str:
    """One to five changed, dropped or added characters, or a sentence in front."""
    if chance.random() < 0.2:
        return chance.choice(["您好，", "你好，我想问一下，", "请问"]) + text
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice(["", "的", "了", "一", text[at] + "啊"]) + text[at + 1 :] or text
    return text


def sample(texts: list[str], rows: int, chance: random.Random) -> list[str]:
    originals = chance.sample(texts, min(len(texts), rows * 2 // 3))
    copies = [edited(chance.choice(originals), chance) for _ in range(rows - len(originals))]
    return originals + copies


def pairs(texts: list[str]) -> Found:
    found = near_duplicates(texts)
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


def brute_force(texts: list[str]) -> Found:
    """Every pair's exact similarity, from the product of the matrix of n-grams with itself."""
    known: dict[str, int] = {}
    sets = [grams(text) for text in texts]
    columns = [known.setdefault(gram, len(known)) for one in sets for gram in one]
    starts = np.concatenate([[0], np.cumsum([len(one) for one in sets])])
    matrix = scipy.sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(sets), len(known)))
    shared = scipy.sparse.triu(matrix @ matrix.T, k=1).tocoo()
    sizes = np.diff(starts)
    kept = shared.data / (sizes[shared.row] + sizes[shared.col] - shared.data) >= THRESHOLD - 1e-9
    return set(zip(shared.row[kept].tolist(), shared.col[kept].tolist(), strict=True))


def grams(text: str) -> list[str]:
    return sorted({text[at : at + NGRAM] for at in range(max(1, len(text) - NGRAM + 1))})


def by_rensa(texts: list[str]) -> Found:
    import rensa

    index = rensa.RMinHashLSH(threshold=THRESHOLD, num_perm=BANDS * WIDTH, num_bands=BANDS)
    hashes = []
    for number, text in enumerate(texts):
        one = rensa.RMinHash(num_perm=BANDS * WIDTH, seed=1)
        one.update(grams(text))
        index.insert(number, one)
        hashes.append(one)
    found = ((number, other) for number, one in enumerate(hashes) for other in index.query(one) if other > number)
    return {(a, b) for a, b in found if hashes[a].jaccard(hashes[b]) >= THRESHOLD}


def by_datasketch(texts: list[str]) -> Found:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=BANDS * WIDTH, params=(BANDS, WIDTH))
    hashes = MinHash.bulk([[gram.encode() for gram in grams(text)] for text in texts], num_perm=BANDS * WIDTH)
    for number, one in enumerate(hashes):
        index.insert(number, one)
    found = ((number, other) for number, one in enumerate(hashes) for other in index.query(one) if other > number)
    return {(a, b) for a, b in found if hashes[a].jaccard(hashes[b]) >= THRESHOLD}


def timed(name: str, find: Callable[[list[str]], Found], texts: list[str], truth: Found | None = None) -> None:
    began = time.perf_counter()
    try:
        found = find(texts)
    except ImportError as error:
        print(f"| {name} | not installed: {error.name} | | | |")
        return
    seconds = time.perf_counter() - began
    right = len(found & truth) if truth is not None else 0
    quality = f"{right / max(len(found), 1):.4f} | {right / max(len(truth), 1):.4f}" if truth is not None else "- | -"
    print(f"| {name} | {len(texts):,} | {seconds:.1f} | {len(found):,} | {quality} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quality", type=int, default=5_000)
    parser.add_argument("--rivals", type=int, default=100_000)
    options = parser.parse_args()
    texts, chance = [line for line in lines(options.texts) if line], random.Random(0)
    ours: dict[str, Callable[[list[str]], Found]] = {"duobiao": pairs}
    rivals: dict[str, Callable[[list[str]], Found]] = {"rensa RMinHash": by_rensa, "datasketch": by_datasketch}
    for title, rows, systems in (
        ("against brute force", options.quality, {**ours, **rivals, "brute force": brute_force}),
        ("time", options.rivals, {**ours, **rivals}),
        ("many rows", options.rows, ours),
    ):
        began = time.perf_counter()
        chosen = list(dict.fromkeys(filter(None, map(normalise, sample(texts, rows, chance)))))
        seconds = time.perf_counter() - began
        mean = sum(map(len, chosen)) / len(chosen)
        print(f"\n{title}: {len(chosen):,} distinct texts of {mean:.0f} characters; made and normalised in {seconds:.1f} s\n")
        print("| system | texts | seconds | pairs | precision | recall |\n|---|---|---|---|---|---|")
        truth = brute_force(chosen) if title == "against brute force" else None
        for name, find in systems.items():
            timed(name, find, chosen, truth)
    print(f"\npeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()
