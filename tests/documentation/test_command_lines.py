"""Every command of every page can be parsed by the program that it calls; every option that is named exists."""

import re
import subprocess

import pytest
from command_line import options, problem
from pages import ROOT, all_pages, blocks, commands, running_text, spans

from duobiao.strict_yaml import load_yaml


@pytest.mark.parametrize("page", all_pages())
def test_commands_are_understood(page: str):
    wrong = [f"{block}: {found}" for block in blocks(page, "bash") for one in commands(block.text) if (found := problem(one))]
    wrong += [f"`{span}`: {found}" for span in spans(page) for one in commands(span) if (found := problem(one))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", all_pages())
def test_commands_stand_in_blocks_of_bash(page: str):
    """In a block of another language they would be neither run nor parsed."""
    begins = re.compile(r"^(\$ )?(python [\w./]+\.py|duobiao [a-z-]+|make [a-z]+|pip install) ", re.MULTILINE)
    hidden = [str(block) for block in blocks(page) if block.language != "bash" and begins.search(block.text)]
    assert not hidden, f"write ```bash there: {', '.join(hidden)}"


def test_make_knows_what_it_would_do():
    targets = {word for page in all_pages() for block in blocks(page, "bash") for one in commands(block.text)
               if one.program == "make" for word in one.words[1:]}  # fmt: skip
    assert {"demo", "install", "test"} <= targets
    told = subprocess.run(["make", "--dry-run", *sorted(targets)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "duobiao demo --out runs/demo" in told.stdout


def test_a_wrong_option_a_wrong_target_and_a_wrong_extra_are_noticed():
    lines = [
        "duobiao train --config linear --train a.jsonl --outt b",
        "duobiao train --config nosuch --train a.jsonl --out b",
        "duobiao annotate nosuch a.jsonl",
        "make nosuch",
        'pip install "duobiao[nosuch]"',
        "python benchmarks/latency.py --nosuch",
        "python benchmarks/engine.py --data rows.jsonl",
        "python benchmarks/nosuch.py",
        "nosuch --at all",
    ]
    assert all(problem(one) for line in lines for one in commands(line))
    good = "duobiao distil --teacher t --config bigru-a --train a.jsonl \\\n  --out b  # a comment"
    assert [problem(one) for one in commands(good)] == [""]


@pytest.mark.parametrize("page", [page for page in all_pages() if "/results/" not in page])
def test_options_in_running_text_exist(page: str):
    """`--option` in a code span is an option of ours, unless another program is named in the same span."""
    known = options() | OTHERS
    spans = [span for span in re.findall(r"`([^`\n]+)`", running_text(page)) if not FOREIGN.search(span)]
    named = [(span, option) for span in spans for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", span)]
    wrong = [f"{option} in `{span}`" for span, option in named if option not in known]
    assert not wrong, f"{page}: " + "; ".join(wrong)


FOREIGN = re.compile(r"benchmarks/|_labels\.py|\.py |accelerate|ruff|pip |mkdocs|ray ")
OTHERS = {"--help", "--cpu"}  # every command's; accelerate's


@pytest.mark.parametrize("page", all_pages())
def test_yaml_can_be_read(page: str):
    for block in blocks(page, "yaml"):
        load_yaml(block.text)
