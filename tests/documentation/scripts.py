"""Scripts of ``benchmarks``, run here with the words of a page and numbers that end them within seconds."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import runpy
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import stand_ins
from pages import ROOT

import duobiao


@dataclass(frozen=True)
class Small:
    """How a script is made small, and what it must come to.

    Attributes:
        options: Options after those of the page; the last one holds.
        lines: A pattern of lines that it prints (or, with ``file``, writes there).
        least: How many there must be.
        file: A file of ``OUT``, the page's word behind the script.
    """

    options: tuple[str, ...] = ()
    lines: str = ""
    least: int = 1
    file: str = ""


SEED = ("--seeds", "0")
SMALL = {
    "add_label.py": Small(
        (
            *("--rows", "8", "--ways", "output;all, kept, replay", "--set", "train.epochs=1"),
            *("--train-set", "textcnn:train.epochs=1", "--train-set", "mini:train.epochs=1", "--train-set", "mini:min_steps=0"),
        ),
        r"\| (linear|textcnn|mini) \| (all known|again|output|all, kept, replay) \|",
        3 + 4 + 4,
    ),
    "albert_form.py": Small((), r"\S+(albert|bert) [\d,]+ parameters", 2),
    "clean.py speed": Small(("--rounds", "1", "--rows", "50"), r"  (duobiao|pandas): [\d.]+ MB/s", 6),
    "clean.py memory": Small(("--rows", "100", "200"), r"\d+ rows, \d+ MB: peak RSS", 2),
    "crosswoz_rows.py": Small(("--train", "24", "--dev", "12", "--test", "12"), r"\w+: \d dialogues, \d+ rows", 3),
    "decide.py": Small((), r"\| (before|after|untuned|micro|samples|careful|wide|cost) \|", 8),
    "diff_gate.py": Small(("--runs", "2", "--label", "物流"), r"\| \d+% \| \d \|", 4),
    "engine.py": Small(("--rounds", "1", "--rows", "8"), r"\{'system': '(pipeline|torch|fp32|int8)'", 4),
    "fastbert_peer.py": Small(
        ("--rows", "16", "--dev", "8", "--test", "4"), r' "(duobiao|teacher|fastplm [\d.]+)": \{', 8, "fastbert_peer.json"
    ),
    "features.py": Small(
        (*SEED, "--set", "train.epochs=1", "--variants", "none,node"), r"\| (encoder|linear) ", 2, "features.md"
    ),
    "few_labels.py": Small(("--rows", "40"), r"32 training rows, 8 dev rows, \d+ without labels"),
    "latency.py": Small((), r"\| \S+ \| [\d.]+ \| [\d.,]+ \|", 2),
    "mini.py": Small(
        (*SEED, "--sizes", "20", "--epochs", "1", "--data", "DUEE", "CROSSWOZ", "builtin:callback"),
        r"\| \S+ \| 20 \| (mini|e5|random|linear) \|",
        3 * 4,
        "mini.md",
    ),
    "near_duplicates.py": Small(
        ("--rows", "90", "--quality", "60", "--rivals", "60"), r"\| (duobiao|brute force) \| \d+ \| [\d.]+ \| \d+ \|", 4
    ),
    "paired_bootstrap.py": Small((), r"m(icro|acro)_f1: [+-]", 2),
    "peers/fit.py": Small((), r"OUT/systems/\S+: \{"),
    "peers/page.py": Small((), r"## |\*\*\w+\*\*", 4),
    "peers/rows.py": Small((), r"(train|dev|test): \d\d rows", 3),
    "peers/table.py": Small(("--turns", "1"), r"\| \*{0,2}[\w-]+\*{0,2} \| [\d.]+ \| [\d.]+ \|"),
    "score.py memory": Small(("--rows", "40", "80"), r"\d+ rows, \d+ MB; parent \d+ MB", 2),
    "score.py speed": Small(("--rows", "40", "--rounds", "1", "--part-rows", "8"), r"round 0: [\d.]+ and [\d.]+ rows/s"),
    "serve.py": Small(
        ("--clients", "2", "--seconds", "0.3", "--warm", "0.2", "--rounds", "1"), r"\| 2 \| (duobiao|infinity) \| [\d.]+ \|", 2
    ),
    "softmax_kd.py": Small(
        ("--set", "train.epochs=1"), r"\| (mse|kl|mse-alone|softmax|softmax-alone) \| [\d.]+ \| [\d.]+ \|", 5
    ),
    "split.py": Small(("--seeds", "1"), r"\| (hotline|callback|duee|emotion) \| [\d,]+ \|", 12),
    "suspects.py": Small(("--seeds", "1"), r"\| (hotline|callback|\S+jsonl) \| \d+ \|", 12),
    "transcripts.py": Small(("--calls", "20"), r"20 calls, \d+ turns"),
}
"""By script, and by its first word where that says what it does."""
AFTER = {
    "sklearn_linear": ("--python", sys.executable),
    "transformers_pipeline": ("--python", sys.executable),
    "duobiao_bundle": ("set:train.epochs=1",),
}
"""By peer: our own environment has what it needs; fewer passes."""

IN_TEXT = {
    "duee.sh": {"DATA": "DUEE", "ENCODER": "E5"},
    "features.py": {"DATA...": "src/duobiao/builtin/callback", "FOLDER": "E5"},
    "latency.py": {"ROWS": "DUEE/dev.jsonl", "TEACHER": "E5_DUEE", "STUDENT...": "E5_DUEE"},
    "paired_bootstrap.py": {"BUNDLE": "e5-duee", "OTHER": "E5_DUEE", "DATA": "DUEE/dev.jsonl"},
}
"""What words in running text, which name a script's arguments as its help does, stand for; by script."""


def placed(span: str) -> str:
    """A command in running text, with files in the place of its arguments' names."""
    words = span.split()
    known = next((own for name, own in IN_TEXT.items() if any(word.endswith(f"/{name}") for word in words[:2])), {})
    return " ".join(known.get(word, word) for word in words)


def run_script(words: Sequence[str], folder: Path) -> None:
    """``python benchmarks/NAME.py ...`` in this process; what it prints or writes must have the expected lines."""
    name = words[0].removeprefix("benchmarks/")
    small = SMALL.get(name) or SMALL[f"{name} {words[1]}"]
    given = [path for word in words[1:] for path in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]
    more = [*small.options, *(AFTER.get(given[0], ()) if name == "peers/fit.py" and "config=linear" not in given else ())]
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
        stand_ins.put_in(patch, folder)
        patch.setenv("PYTHONPATH", source())
        with unchanged(), as_main(words[0], [*given, *more]) as script:
            runpy.run_path(str(script), run_name="__main__")
    written = [path for word in given if small.file and (path := Path(word) / small.file).is_file()]
    text = written[-1].read_text(encoding="utf-8") if small.file else told.getvalue()
    found = re.findall(f"^{small.lines}", text, re.MULTILINE)
    assert len(found) >= small.least, f"{words}: {told.getvalue()}"
    assert "--json" not in words or Path(words[words.index("--json") + 1]).is_file()


def source() -> str:
    """Where the package that is tested lies, for processes that a script starts."""
    return str(Path(duobiao.__file__ or "").parents[1])


@contextmanager
def as_main(script: str, words: Sequence[str]) -> Iterator[Path]:
    """Arguments and modules as a script of the repository has them; its neighbours are forgotten afterwards."""
    place, modules = ROOT / script, set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(place), *words])
        patch.setattr(sys, "path", [str(place.parent), *sys.path])
        try:
            yield place
        finally:
            for name in set(sys.modules) - modules:  # names that others may want
                if str(getattr(sys.modules[name], "__file__", "")).startswith(str(place.parent)):
                    del sys.modules[name]


@contextmanager
def unchanged() -> Iterator[None]:
    """Settings of libraries are afterwards what they were."""
    import torch
    import transformers

    threads, level, root = torch.get_num_threads(), transformers.logging.get_verbosity(), logging.getLogger().level
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        transformers.logging.set_verbosity(level)
        logging.getLogger().setLevel(root)


DUOBIAO = """\
#!/usr/bin/env bash
printf '%s\\0' "$@" >"$ASKED"
printf '\\0' >"$ASKED"
read -r code <"$ANSWERED"
exit "$code"
"""


def run_shell(words: Sequence[str], folder: Path, answer: Callable[[list[str]], None]) -> int:
    """``benchmarks/NAME.sh ...``; each ``duobiao`` that it calls is answered in this process, which has everything loaded.

    Returns:
        How many commands it called.
    """
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "duobiao").write_text(DUOBIAO, encoding="utf-8")
    (programs / "duobiao").chmod(0o755)
    pipes = {name: programs / name for name in ("ASKED", "ANSWERED")}
    for path in pipes.values():
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    ends = {name: os.open(path, os.O_RDWR) for name, path in pipes.items()}
    paths = f"{programs}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        ["bash", str(ROOT / words[0]), *words[1:]], env={**os.environ, **{k: str(v) for k, v in pipes.items()}, "PATH": paths}
    )
    asked, count = b"", 0
    try:
        while process.poll() is None:
            if select.select([ends["ASKED"]], [], [], 0.1)[0]:
                asked += os.read(ends["ASKED"], 1 << 16)
            if asked.endswith(b"\0\0"):
                answer(asked[:-2].decode().split("\0"))
                os.write(ends["ANSWERED"], b"0\n")
                asked, count = b"", count + 1
    finally:
        process.kill()
        process.wait()
        for end in ends.values():
            os.close(end)
    assert process.returncode == 0, words
    return count
