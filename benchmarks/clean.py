"""Cleaning: MB/s a core beside a plain pandas ``.str`` chain of the same steps, and memory over the size of a file.

    python benchmarks/clean.py speed [--rounds 7]
    python benchmarks/clean.py memory [--rows 500000 5000000]

Rows are those of the built-in data. Both sides clean the same rows in turn, round by round, on one core, and must give the
same texts. Files of the memory part are made in a temporary folder and deleted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from duobiao import builtin
from duobiao.data.clean import TRANSCRIPTS, build_chain
from duobiao.data.clean_steps import characters, markup

SHIPPED = ("invisible", "whitespace")
UNSEGMENTED = tuple(name for name in TRANSCRIPTS if name not in ("stutter", "simplified", "mask", "fillers"))
DIRT = ("  {}", "{}！！！", "<p>{}</p>", "{}\u200b", "{}&nbsp;", "Ａ１{}", "看 https://a.example.com/b?c=1 {}", "{}？？")
"""Every tenth row gets one of these, so that each step has something to do."""


def built_in() -> list[str]:
    files = [file for name in builtin.DATASETS for file in sorted(builtin.folder(name).glob("*.jsonl"))]
    return [json.loads(line)["text"] for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def rows(count: int) -> list[str]:
    texts = built_in()
    found = [texts[number % len(texts)] for number in range(count)]
    return [DIRT[number // 10 % len(DIRT)].format(text) if number % 10 == 0 else text for number, text in enumerate(found)]


def pandas_chain(names: Sequence[str]) -> Callable[[list[str]], list[str]]:
    """The chain as one writes it with pandas: a vectorised call a step, with the very expressions that duobiao uses."""
    import html

    import pandas

    private = str.maketrans(characters.KEPT, "".join(chr(0xE000 + at) for at in range(len(characters.KEPT))))
    back = {target: source for source, target in private.items()}
    steps = {
        "invisible": lambda s: s.str.replace(characters._INVISIBLE, "", regex=True),
        "whitespace": lambda s: s.str.replace(r"\s+", " ", regex=True).str.strip(),
        "html": lambda s: s.map(html.unescape).str.replace(markup._TAG, lambda m: " " if m[1] else "", regex=True),
        "nfkc": lambda s: s.str.translate(private).str.normalize("NFKC").str.translate(back),
        "urls": lambda s: s.str.replace(markup._URL, "[链接]", regex=True),
        "punctuation": lambda s: s.str.replace(characters._SIGNS, characters._once, regex=True),
    }

    def chain(texts: list[str]) -> list[str]:
        series = pandas.Series(texts)
        for name in names:
            series = steps[name](series)
        return series.tolist()

    return chain


def measure(names: Sequence[str], texts: list[str], rounds: int, beside: bool) -> None:
    clean = build_chain(names)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    sides: dict[str, Callable[[list[str]], list[str]]] = {"duobiao": lambda given: [clean(text) for text in given]}
    if beside:
        sides["pandas"] = pandas_chain(names)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    found = {name: side(texts) for name, side in sides.items()}
    if beside:
        different = [(a, b) for a, b in zip(found["duobiao"], found["pandas"], strict=True) if a != b]
        print(f"  rows that differ from pandas: {len(different)} {different[:2] if different else ''}")
    for _ in range(rounds):
        for name, side in sides.items():
            begin = time.process_time()
            side(texts)
            seconds[name].append(time.process_time() - begin)
    speeds = {name: megabytes / median(taken) for name, taken in seconds.items()}
    changed = sum(old != new for old, new in zip(texts, found["duobiao"], strict=True))
    print(f"  {len(texts):,} rows, {megabytes:.1f} MB, {changed:,} changed")
    for name, speed in speeds.items():
        spread = f"{megabytes / max(seconds[name]):.1f} to {megabytes / min(seconds[name]):.1f}"
        print(f"  {name}: {speed:.1f} MB/s a core (median of {rounds}, {spread})")
    if beside:
        ratios = [slow / fast for fast, slow in zip(seconds["duobiao"], seconds["pandas"], strict=True)]
        print(
            f"  duobiao is {median(ratios):.1f} times as fast (median of the ratios within a round, {min(ratios):.1f} at least)"
        )


def speed(rounds: int, count: int) -> None:
    texts = rows(count)
    chains = (
        ("shipped default", SHIPPED, True),
        ("for transcripts, what pandas can say", UNSEGMENTED, True),
        ("for transcripts, without segmentation", tuple(name for name in TRANSCRIPTS if name != "stutter"), False),
        ("for transcripts, whole", TRANSCRIPTS, False),
    )
    for title, names, beside in chains:
        print(f"{title}: {', '.join(names)}")
        measure(names, texts, rounds, beside)


def memory(sizes: Sequence[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            source, output = Path(folder) / "rows.csv", Path(folder) / "clean.csv"
            texts = rows(20_000)
            with source.open("w", encoding="utf-8") as file:
                file.write("id,text\n")
                for start in range(0, size, len(texts)):
                    part = texts[: size - start]
                    file.writelines(f'{start + at},"{text.replace(chr(34), "")}"\n' for at, text in enumerate(part))
            begin = time.monotonic()
            command = [sys.executable, __file__, "one", str(source), str(output)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds = time.monotonic() - begin
            megabytes, peak = source.stat().st_size / 1e6, int(done.stdout) / 1024
            print(f"{size:,} rows, {megabytes:.0f} MB: peak RSS {peak:.0f} MB, {seconds:.0f} s, {megabytes / seconds:.1f} MB/s")
            source.unlink()
            output.unlink()


def one(source: str, output: str) -> None:
    from duobiao.data.clean_file import clean_file

    clean_file(source, output, tuple(name for name in TRANSCRIPTS if name != "stutter"))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("speed")
    part.add_argument("--rounds", type=int, default=7)
    part.add_argument("--rows", type=int, default=40_000)
    part = parts.add_parser("memory")
    part.add_argument("--rows", type=int, nargs="+", default=[500_000, 5_000_000])
    part = parts.add_parser("one")
    part.add_argument("source")
    part.add_argument("output")
    given = parser.parse_args()
    if given.part == "speed":
        speed(given.rounds, given.rows)
    elif given.part == "memory":
        memory(given.rows)
    else:
        one(given.source, given.output)


if __name__ == "__main__":
    main()
