"""``duobiao score``: two workers beside one, and memory over the number of rows.

    python benchmarks/score.py speed --bundle runs/teacher --data train.jsonl [--rows 256] [--rounds 5]
    python benchmarks/score.py memory --bundle runs/linear --data train.jsonl [--rows 20000 1000000]

Speed: one worker and two score the same rows in turn, round by round; what counts is the time in which parts come out, from
the first part that each worker has finished to the last, so that loading the bundle is left out; the whole time is given too.
Both must give the same bytes. Memory: the largest resident set of the parent and of the largest worker.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from duobiao.score.run import score


def repeated(data: Path, count: int, place: Path) -> Path:
    """``count`` rows: those of the file, again and again."""
    lines = [line for line in data.read_text(encoding="utf-8").splitlines() if line.strip()]
    with place.open("w", encoding="utf-8") as file:
        for number in range(count):
            row = json.loads(lines[number % len(lines)])
            file.write(json.dumps({"id": number, "text": row["text"]}, ensure_ascii=False) + "\n")
    return place


def timed(bundle: Path, source: Path, out: Path, workers: int, part_rows: int) -> tuple[float, float, float]:
    """Seconds a row while parts come out, seconds of the whole run, and CPU seconds of the workers."""
    from duobiao import progress

    class Clock:
        """Notes when parts come out."""

        def __init__(self) -> None:
            self.told: list[tuple[float, int]] = []

        def start(self, label: str, total: int, done: int) -> Clock:
            self.told = []
            return self

        def finish(self, task: object) -> None: ...

        def say(self, message: str) -> None: ...

        def advance(self, amount: int = 1, note: str = "") -> None:
            self.told.append((time.monotonic(), amount))

    clock = Clock()
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with progress.use(clock):
        score(bundle, [source], out, {"part_rows": part_rows}, format="jsonl", workers=workers)
    whole = time.monotonic() - began
    first = clock.told[workers - 1][0]
    rows = sum(amount for _, amount in clock.told[workers:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (clock.told[-1][0] - first) / rows, whole, cpu


def speed(bundle: Path, data: Path, rows: int, rounds: int, part_rows: int) -> None:
    print(f"load at the start {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores")
    found: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = repeated(data, rows, folder / "rows.jsonl")
        for number in range(rounds):
            for workers in (1, 2) if number % 2 == 0 else (2, 1):
                found[workers].append(timed(bundle, source, folder / f"{workers}", workers, part_rows))
            parts = [sorted((folder / str(workers)).iterdir()) for workers in (1, 2)]
            assert [a.read_bytes() for a in parts[0]] == [b.read_bytes() for b in parts[1]]
            one, two = found[1][-1], found[2][-1]
            told = [f"round {number}: {1 / one[0]:.1f} and {1 / two[0]:.1f} rows/s, {one[0] / two[0]:.2f}x"]
            told += [f"whole {one[1]:.0f} and {two[1]:.0f} s, {one[1] / two[1]:.2f}x"]
            told += [f"CPU {one[2]:.0f} and {two[2]:.0f} s", f"load {os.getloadavg()[0]:.2f}"]
            print("; ".join(told), flush=True)
            for workers in (1, 2):
                shutil.rmtree(folder / str(workers))
                (folder / f"{workers}.score.json").unlink()
    for at, what in enumerate(("parts coming out", "whole runs")):
        ratios = [one[at] / two[at] for one, two in zip(found[1], found[2], strict=True)]
        print(f"{what}: median {median(ratios):.2f}x, {min(ratios):.2f}x to {max(ratios):.2f}x over {rounds} rounds")


def memory(bundle: Path, data: Path, counts: list[int]) -> None:
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            source = repeated(data, count, Path(name) / "rows.jsonl")
            size = source.stat().st_size >> 20
            command = [
                sys.executable,
                __file__,
                "once",
                "--bundle",
                bundle,
                "--data",
                source,
                "--out",
                Path(name) / "out.parquet",
            ]
            began = time.monotonic()
            done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
            seconds = time.monotonic() - began
            told = json.loads(done.stdout.splitlines()[-1])
            shown = [f"{count:,} rows, {size} MB", f"parent {told['parent']} MB, largest worker {told['worker']} MB"]
            shown += [f"{seconds:.0f} s, {count / seconds:,.0f} rows/s with {told['workers']} workers"]
            print("; ".join([*shown, f"load {os.getloadavg()[0]:.2f}"]), flush=True)


def once(bundle: Path, data: Path, out: Path) -> None:
    """One run in a process of its own, which tells its memory."""
    from duobiao.score.local import cores

    found = score(bundle, [data], out, {"scores": "chosen"})
    peak = {name: resource.getrusage(who).ru_maxrss >> 10
            for name, who in (("parent", resource.RUSAGE_SELF), ("worker", resource.RUSAGE_CHILDREN))}  # fmt: skip
    print(json.dumps({**peak, "workers": cores(), "rows": found.rows}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "memory", "once"))
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part-rows", type=int, default=32)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.what == "once":
        once(given.bundle, given.data, given.out)
    elif given.what == "speed":
        speed(given.bundle, given.data, (given.rows or [256])[0], given.rounds, given.part_rows)
    else:
        memory(given.bundle, given.data, given.rows or [20_000, 1_000_000])


if __name__ == "__main__":
    main()
