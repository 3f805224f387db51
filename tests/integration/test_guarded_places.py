"""No command writes over what it reads, over its own results or into a bundle, or finds out at the end that it cannot write.

The files are empty of sense: whatever a command reads before it looks at its places would be refused for another reason.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any, get_type_hints

import pytest
from commands import duobiao, refused, tree
from typer.main import get_command

from duobiao.cli.app import app
from duobiao.cli.options import parse_seeds
from duobiao.errors import ConfigError
from duobiao.outputs import FORMAT, MANIFEST

WRITING = ("fix", "flips", "freeze", "html", "json", "md", "out", "output", "picture", "report", "suspects", "todo", "turns")
NO_FILES = {"serve", "push", "card", "routes check"}
"""Commands that write nothing but what they are told to change."""
OTHERWISE = {("--freeze", "frozen"), *(("--fix", one) for one in ("data", "train", "dev", "test"))}
"""The list of splits may be renewed; repairs are refused in words of their own."""
FOLDERS = ("bundle", "encoder")
"""What placeholders of folders begin with."""


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        line: Its arguments without results; what is read stands in braces.
        files: Options of results with the ending of the file; where the option names a folder, a file that goes there.
        whole: Options of results that are folders put in their place whole.
    """

    line: str
    files: Mapping[str, str] = field(default_factory=dict)
    whole: tuple[str, ...] = ()

    @property
    def read(self) -> list[str]:
        return [name for _, name, _, _ in Formatter().parse(self.line) if name]


LABELLED = "--labels {labels}"
COMMANDS = {
    "train": Case(f"--config {{config}} --train {{train}} --dev {{dev}} {LABELLED}", whole=("--out",)),
    "distil": Case(
        f"--teacher {{bundle}} --config {{config}} --train {{train}} --dev {{dev}} --transfer {{transfer}} {LABELLED}",
        whole=("--out",),
    ),
    "distil --students bigru-a": Case(
        "--teacher {bundle} --train {train} --dev {dev} --score {score} --transfer {transfer}", {"--out": "/proof.json"}
    ),
    "predict": Case("{bundle} --input {data} --teacher {bundle2} --route {routes}", {"--output": ".jsonl"}),
    "evaluate": Case("{bundle} --data {data} --train {train}", {"--json": ".json"}),
    "compare": Case("{bundle} {bundle2} --data {data} --train {train}", {"--out": "/compare.json", "--suspects": ".jsonl"}),
    "demo": Case("", {"--out": "/hotline/report.html"}),
    "prepare transcripts": Case(
        "--flow {flow} --input {calls} --labels {labels} --model {bundle}",
        {"--output": ".jsonl", "--todo": ".jsonl", "--turns": ".jsonl", "--json": ".jsonl"},
    ),
    "clean": Case("--input {data} --config {config}", {"--output": ".jsonl"}),
    "check": Case(
        "{data} --train {train} --dev {dev} --test {test} --labels {labels} --model {bundle}",
        {"--html": ".x", "--json": ".x", "--fix": "/diff.jsonl"},
    ),
    "split": Case("{data} --labels {labels} --frozen {frozen}", {"--out": "/train.jsonl", "--freeze": ".json"}),
    "sample": Case("{data} --labels {labels}", {"--output": ".jsonl"}),
    "annotate export": Case("{data} --format doccano --labels {labels}", {"--output": ".jsonl"}),
    "annotate import": Case(
        "--base {data} --from {done} --format doccano --labels {labels} --label-file {names}",
        {"--output": ".jsonl", "--report": ".jsonl"},
    ),
    "suspects": Case("{data} --labels {labels} --config {config}", {"--output": ".jsonl"}),
    "mine": Case("--train {train} --dev {dev} --labels {labels} --config {config}", {"--output": ".svg", "--picture": ".svg"}),
    "general-distil": Case("--teacher {encoder} --text {text} --config {config}", whole=("--out",)),
    "adapt": Case(
        "--encoder {encoder} --text {text} --config {config} --train {train} --dev {dev} --labels {labels} --score {score} "
        "--with {with}",
        whole=("--out",),
    ),
    "dial": Case("{bundle} --data {data} --speed 0.5", {"--picture": ".svg", "--json": ".svg"}),
    "score": Case("{bundle} --input {data} --teacher {bundle2} --route {routes}", {"--output": ".jsonl"}),
    "tune": Case(
        "{bundle} --data {data} --points {points} --rules {rules} --point cheap={costs}",
        {"--picture": ".svg", "--json": ".svg"},
        ("--out",),
    ),
    "cascade": Case("{bundle} {bundle2} --data {data}", {"--json": ".json"}),
    "diff": Case("{bundle} {bundle2} --data {data}", {"--flips": ".jsonl", "--md": ".jsonl", "--json": ".jsonl"}),
    "add-label": Case(
        "{bundle} --name x --train {train} --dev {dev} --replay {replay}", {"--md": ".x", "--json": ".x"}, ("--out",)
    ),
    "routes draw": Case("{routes} --bundle {bundle}", {"--out": ".svg"}),
    "export": Case("{bundle} --data {data}", whole=("--out",)),
    "pull": Case("team/hotline", whole=("--out",)),
}
FROZEN = '{"format": "duobiao-split", "version": 1, "together": "both", "splits": {"train": 1.0}, "rows": []}'
"""The one file that says which files are written."""
FILES = [(name, option) for name, case in COMMANDS.items() for option in case.files]
PAIRS = [(name, *pair) for name, case in COMMANDS.items() for pair in itertools.combinations(case.files, 2)]
PAIRS.remove(("compare", "--out", "--suspects"))  # their files end differently
WHOLE = [(name, option) for name, case in COMMANDS.items() for option in case.whole]


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def test_every_command_and_every_path_is_known_here():
    cases: dict[str, list[Case]] = {}
    for name, case in COMMANDS.items():
        cases.setdefault(name.partition(" --")[0], []).append(case)
    found = dict(commands(get_command(app)))
    assert found.keys() == cases.keys() | NO_FILES
    for name, own in cases.items():
        written = {option for case in own for option in (*case.files, *case.whole)}
        options = {one.name: set(one.opts) for one in found[name].params if one.param_type_name == "option"}
        assert written == set().union(*options.values()) & {f"--{one}" for one in WRITING}, name
        hints = get_type_hints(found[name].callback)
        told = written | {option for case in own for option in case.line.split()}
        assert not [one for key, one in options.items() if "Path" in str(hints[key]) and not one & told], name


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("bundle", "bundle2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
    (tmp_path / "encoder").mkdir()
    return tmp_path


def target(folder: Path, form: str, name: str = "same") -> tuple[Path, Path]:
    """What an option is given, and the file that it then writes."""
    return (folder / name, folder / name / form[1:]) if form.startswith("/") else (folder / (name + form),) * 2


def spoken(name: str, place: Path, results: Mapping[str, Path], read: Mapping[str, Path] | None = None) -> list[str]:
    """A command line: what is read, and results that are not given lie where they hurt nobody."""
    case, read = COMMANDS[name], read or {}
    given: dict[str, Path] = {}
    for one in case.read:
        given[one] = read.get(one, place / one)
        if not given[one].exists():
            given[one].parent.mkdir(parents=True, exist_ok=True)
            given[one].write_text(FROZEN if one == "frozen" else "{", encoding="utf-8")
    others = {option: target(place / "good", form, option)[0] for option, form in case.files.items()}
    others |= {option: place / "good" / option for option in case.whole}
    line = case.line.format(**given).split()
    return [*name.split(), *line, *(str(word) for pair in {**others, **results}.items() for word in pair)]


def is_refused(line: list[str], place: Path, *names: str) -> None:
    before = tree(place)
    refused(*line, names=names)
    assert tree(place) == before


@pytest.mark.parametrize(("name", "option"), FILES)
def test_no_input_is_written_over(place: Path, name: str, option: str):
    for one in COMMANDS[name].read:
        if one.startswith(FOLDERS) or (option, one) in OTHERWISE:
            continue
        given, file = target(place / f"of-{one}", COMMANDS[name].files[option])
        is_refused(spoken(name, place, {option: given}, {one: file}), place, file.name, "is the input itself")


@pytest.mark.parametrize(("name", "option"), FILES)
def test_nothing_is_written_into_a_bundle(place: Path, name: str, option: str):
    for folder in (place / "bundle", place / "bundle" / "new"):
        given, _ = target(folder, COMMANDS[name].files[option])
        is_refused(spoken(name, place, {option: given}), place, "lies in the bundle", option)


@pytest.mark.parametrize(("name", "option"), FILES)
def test_no_file_is_written_where_none_can_be(place: Path, name: str, option: str):
    form = COMMANDS[name].files[option]
    blocked = place / "file"
    blocked.write_text("mine", encoding="utf-8")
    is_refused(spoken(name, place, {option: target(blocked, form)[0]}), place)
    given, file = target(place / "taken", form)
    file.mkdir(parents=True)
    is_refused(spoken(name, place, {option: given}), place)
    if Path("/proc/self").exists():
        is_refused(spoken(name, place, {option: target(Path("/proc/nope"), form)[0]}), place, "cannot be written", "/proc")


@pytest.mark.parametrize(("name", "one", "other"), PAIRS)
def test_two_results_are_not_one_file(place: Path, name: str, one: str, other: str):
    forms = COMMANDS[name].files
    folder, single = (one, other) if forms[one].startswith("/") else (other, one)
    given, file = target(place / "good", forms[folder])
    is_refused(spoken(name, place, {folder: given, single: file}), place, "is the place of two results", one, other)


@pytest.mark.parametrize(("name", "option"), WHOLE)
def test_no_folder_takes_the_place_of_what_is_read(place: Path, name: str, option: str):
    case = COMMANDS[name]
    for one in case.read:
        if not one.startswith(FOLDERS):
            old = place / f"old-{one}"
            old.mkdir()
            (old / MANIFEST).write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
            line = spoken(name, place, {option: old}, {one: old / "rows.jsonl"})
            is_refused([*line, *["--force"] * (name != "pull")], place, "holds the input", "rows.jsonl")
        elif name not in ("tune", "export"):  # one rewrites its bundle, the other has its own words
            is_refused(spoken(name, place, {option: place / one}), place, "is the input itself", option)
    inside = spoken(name, place, {option: place / "bundle" / "new"})
    (place / "bundle2").mkdir(exist_ok=True)
    is_refused(inside, place, "lies in the bundle", option)
    for file in case.files:
        line = spoken(name, place, {option: place / "new", file: place / "new" / f"x{case.files[file]}"})
        is_refused(line, place, "which is replaced whole", file)
    if Path("/proc/self").exists():
        is_refused(spoken(name, place, {option: Path("/proc/nope/x")}), place, "cannot be written", "/proc")


def test_no_seed_is_negative(place: Path):
    found = {name for name, one in commands(get_command(app)) if any("--seed" in each.opts for each in one.params)}
    assert found >= {"tune", "add-label", "split", "sample"}
    for name in found:
        result = duobiao(*spoken(name, place, {}), "--seed", "-1")
        assert result.exit_code == 2, name
        assert "--seed" in result.stderr, name
        assert not (place / "good").exists(), name


@pytest.mark.parametrize("seeds", ["-1", "²", "4294967296", "0,-1"])
def test_lists_of_seeds_hold_what_seeds_can_be(seeds: str):
    assert parse_seeds("0,4294967295") == [0, 4294967295]
    with pytest.raises(ConfigError, match="not a list of whole numbers below"):
        parse_seeds(seeds)
