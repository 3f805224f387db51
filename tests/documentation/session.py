"""A page at work: its blocks in order, in a copy of the workspace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from commands import done
from exceptions import why_not
from pages import ROOT, Block, Command, commands
from scripts import run_script, run_shell
from serving import Server, serving, until

from duobiao.config import shipped_students

TINY = "shape={layers: 1, hidden: 16, heads: 2, intermediate: 24}"
PLAIN_TEXT = ("text.steps=2", "text.batch_size=4", "text.max_length=24")
WITH = ("--set-with", "train.epochs=1", "--set-with", "input.max_length=64")
QUICK: dict[str, tuple[str, ...]] = {
    "linear": (),
    "linear-student": ("buckets=1024",),
    "teacher-mini": ("train.epochs=1", "min_steps=0"),
    "teacher-roberta-wwm": ("train.epochs=1", "input.max_length=64"),
    "teacher-albert": ("train.epochs=1", "input.max_length=64"),
    "bilstm": ("train.epochs=1", "augment.copies=1"),
    "tinybert": ("train.epochs=1", "intermediate.epochs=1", TINY),
    "adapt": PLAIN_TEXT,
    "adapt-states": PLAIN_TEXT,
}
"""Settings that end a training within seconds, by configuration; they come after the page's own."""
STAGED = ("staged.hidden_epochs=1", "staged.logits_epochs=1", "staged.label_epochs=1")
MAKES = ("--out", "--output", "--json", "--html", "--picture", "--report", "--freeze", "--fix", "--todo", "--md", "--flips")
"""Options that name what a command writes."""
WRITES_ONCE = ("train", "distil", "adapt", "general-distil", "add-label", "export")
"""Commands that a page may call where something of that name was made before."""


def shortened(words: list[str]) -> list[str]:
    """The command with settings that end it within seconds; everything that the page says stays."""
    name, more = words[0], []
    config = _value(words, "--config") or ("adapt" if name == "adapt" else "")
    if "--seeds" in words:
        words = [*words, "--seeds", "0", *(WITH if name == "adapt" else ())]
    if "--students" in words:
        students = (
            shipped_students() if _value(words, "--students") == "all" else (_value(words, "--students") or "").split(",")
        )
        shipped = [student for student in students if not student.endswith(".yaml")]
        quick = {**QUICK, "tinybert": QUICK["tinybert"][:-1]} if "start=general" in words else QUICK  # its shape is given
        more = [f"{student}:{one}" for student in shipped for one in quick.get(student, ("train.epochs=1",))]
    elif name == "general-distil":
        words, more = [*words, "--max-steps", "2"], ["general.max_length=24", "general.batch_size=4", TINY]
    elif name == "dial" and "--p95-ms" in words:
        words = [*words, "--p95-ms", "60000"]  # whatever this machine is
    elif name in ("train", "distil", "adapt"):
        more = [*QUICK.get(config, ("train.epochs=1",)), *(STAGED if "stages=staged" in words else ())]
        more += ["augment.copies=1"] if "augment.copies=6" in words else []
    return [*words, *(word for one in more for word in ("--set", one))]


def _value(words: list[str], option: str) -> str | None:
    return words[words.index(option) + 1] if option in words else None


class PageSession:
    """Runs blocks; Python names and servers live as long as the page."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.names: dict[str, Any] = {"__name__": "page"}
        self.server: Server | None = None

    def run(self, block: Block) -> None:
        """Runs a block of bash or Python, or writes the file that it is titled with."""
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        if block.language == "python":
            code = compile("\n" * block.line + block.text, str(ROOT / block.page), "exec")
            exec(code, self.names)
        elif block.language == "bash":
            self.type(block.text)

    def type(self, text: str) -> None:
        """Runs commands."""
        for command in commands(text):
            self._command(command)

    def _command(self, command: Command) -> None:
        words = list(command.words[1:])
        if why_not(command.words):
            return
        if command.program == "duobiao" and words[0] == "serve":
            self._serve(words[1:], {name: self._filled(value) for name, value in command.environment.items()})
        elif command.program == "duobiao":
            self._duobiao(words)
        elif command.program == "curl":
            self._curl([self._filled(word) for word in words])
        elif command.program == "kill" and self.server is not None:
            self.server.process.send_signal(signal.Signals[f"SIG{words[0].removeprefix('-')}"])
            until(self.server.ready)
        elif command.program == "openssl":
            made = subprocess.run(command.words[:-2], capture_output=True, check=True)
            Path(words[-1]).write_bytes(made.stdout)  # behind >
        elif command.program.startswith("benchmarks/"):
            assert run_shell(command.words, self.folder, self._duobiao)
        elif command.program == "python" and words[0].startswith("benchmarks/"):
            run_script(words, self.folder)
        elif command.program == "python":
            exec(compile(Path(words[0]).read_text(encoding="utf-8"), words[0], "exec"), {"__name__": "__main__"})
        else:
            raise AssertionError(f"{command.program} cannot be run here: put <!-- no-test: reason --> in front of the block")

    def _filled(self, word: str) -> str:
        """A word with the reader's variables in it, and ``$(openssl rand ...)``."""
        key = "0123456789abcdef" * 3
        return word.replace("$ADMIN_KEY", key).replace("SUBSTITUTED", key)

    def _duobiao(self, words: list[str]) -> None:
        made = [Path(value) for option in MAKES if (value := _value(words, option))]
        for path in made:
            if words[0] in WRITES_ONCE and path.exists():
                shutil.rmtree(path)
        result = done(*shortened(words))
        assert all(path.exists() for path in made), f"{words}: {result.output}"

    def _serve(self, words: list[str], environment: dict[str, str]) -> None:
        if "--port" in words:
            del words[words.index("--port") : words.index("--port") + 2]
        self.server = self.stack.enter_context(serving(self.folder / "log", *words, environment=environment))

    def _curl(self, words: list[str]) -> None:
        assert self.server is not None, "curl before duobiao serve"
        url = next(word for word in words if word.startswith("http"))
        headers = dict(_value(words, "-H").split(": ", 1) for _ in [0] if "-H" in words)
        data = _value(words, "-d")
        path = url.partition("127.0.0.1:8000")[2] or "/"
        answer = httpx.request(
            _value(words, "-X") or ("POST" if data else "GET"),
            self.server.url + path,
            headers=headers,
            content=data and data.encode(),
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text


@contextmanager
def session(folder: Path) -> Iterator[PageSession]:
    """A page's session with ``folder`` as the working directory."""
    here, path = Path.cwd(), list(sys.path)
    os.chdir(folder)
    try:
        with ExitStack() as stack:
            yield PageSession(stack, folder)
    finally:
        os.chdir(here)
        sys.path[:] = path
