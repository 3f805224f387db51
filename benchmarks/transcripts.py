"""Time of `prepare transcripts` on many calls: the built-in ones over and over, each with words of its own.

Run: python benchmarks/transcripts.py --calls 5000
"""

from __future__ import annotations

import argparse
import csv
import resource
import tempfile
import time
from pathlib import Path

from duobiao import builtin
from duobiao.data.prepare import prepare_transcripts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000)
    calls = parser.parse_args().calls
    with (builtin.folder("callback") / "transcripts.csv").open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "calls.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, records[0])
            writer.writeheader()
            for number in range(calls):
                record = dict(records[number % len(records)])
                record["通话ID"] = str(number)
                record["对话内容"] = record["对话内容"].replace("ME: ", f"ME: 第{number}次 ").replace("路", f"路{number}号")
                writer.writerow(record)
        began, cpu = time.perf_counter(), time.process_time()
        summary = prepare_transcripts(
            source, "callback", folder / "rows.jsonl", todo=folder / "todo.xlsx", labels="callback", where=["通话状态=已接听"]
        )
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        size = source.stat().st_size / 1e6
    turns, todo = summary.tally.turns, summary.todo.total()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{calls} calls, {turns} turns, {size:.1f} MB, {todo} different rows to annotate")
    print(f"{cpu:.1f} s of one core, {seconds:.1f} s by the clock, at most {peak:.0f} MB of memory")


if __name__ == "__main__":
    main()
