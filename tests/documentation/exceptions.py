"""Commands of pages that no test runs, with their reasons, and what stands in for programs that are not ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NotRun:
    """Why a command is not run.

    Attributes:
        reason: In words.
        package: The package that it needs and that the environment of the tests lacks; where it has it, the command can be run.
    """

    reason: str
    package: str = ""


_OWN_PLACE = "fits a peer with packages of its own, in an environment that has to be fetched"
NOT_RUN = {
    ("pip", "install"): NotRun("fetches packages; the tests run in an environment that has ours"),
    (".",): NotRun("changes the shell that it is typed into; the tests run in the environment that it activates"),
    ("python", "-m", "venv"): NotRun("makes the environment for the next command"),
    ("other/bin/pip", "install"): NotRun("fetches packages of another program", "infinity_emb"),
    ("python", "benchmarks/peers/fit.py", "fasttext_ova"): NotRun(_OWN_PLACE, "fasttext"),
    ("python", "benchmarks/peers/fit.py", "libmultilabel_linear"): NotRun(_OWN_PLACE, "libmultilabel"),
    ("python", "benchmarks/peers/fit.py", "libmultilabel_cnn"): NotRun(_OWN_PLACE, "libmultilabel"),
    ("python", "benchmarks/peers/fit.py", "setfit_e5"): NotRun(_OWN_PLACE, "setfit"),
}
"""By the first words of the command. Their options are checked (test_command_lines.py)."""

STAND_INS = {
    "textbrewer": "benchmarks/softmax_kd.py",
    "fastplm": "benchmarks/fastbert_peer.py",
    "infinity_emb": "benchmarks/serve.py",
}
"""Packages that the tests lack, and who calls them; ``stand_ins.py`` has little ones, so that the rest of the script runs."""


def why_not(words: tuple[str, ...]) -> NotRun | None:
    """Why a command is not run; ``None`` if it is."""
    return next((entry for first, entry in NOT_RUN.items() if words[: len(first)] == first), None)
