"""Many students of the same teachers: each trained beside its control from one cached pass, then proven in one table."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from duobiao import progress
from duobiao.classifier import Classifier
from duobiao.config import StudentConfig, load_config, shipped_students
from duobiao.data.rows import Row, targets
from duobiao.data.write import write_text
from duobiao.errors import ConfigError
from duobiao.evaluate.bootstrap import Metric
from duobiao.evaluate.proof import Entry, Taught
from duobiao.evaluate.proof import prove as judge
from duobiao.evaluate.wording import Language
from duobiao.labels import UNASKED, LabelSpace, Mask
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.probabilities import probabilities
from duobiao.postprocess.thresholds import tune
from duobiao.train import recipe
from duobiao.train.distillation import CACHE
from duobiao.train.teachers import Teachers

CONTROLS = "controls"
PASS = ".teacher_pass.json"
_OF_ONE = re.compile(r"^([^=:]+):(.+)$")

Source = str | Path | Classifier | Sequence[str | Path | Classifier]


def load_students(names: str | Sequence[str], overrides: Sequence[str] = ()) -> list[StudentConfig]:
    """Configurations of students.

    Args:
        names: ``all`` shipped ones; or names of shipped ones and paths of YAML files, as a list or parted by commas.
        overrides: ``a.b=value`` goes to every student that reads the setting, ``name:a.b=value`` to that student alone.

    Raises:
        ConfigError: Naming every unknown student, every setting that none of them reads, or wrong values.
    """
    known = shipped_students()
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    listed = known if listed == ["all"] else [name for name in listed if name]
    strange = [name for name in listed if name not in known and not Path(name).is_file()]
    if strange or not listed:
        raise ConfigError(
            "there are no such students" if strange else "no students are named",
            hint=f"name some of {', '.join(known)}, or YAML files, or all",
            problems=[f"unknown student {name!r}" for name in strange],
        )
    own, shared, problems = _parted(listed, overrides)
    plain = {name: load_config(name) for name in listed}
    problems += [
        f"{name}: {config.kind!r} is no student" for name, config in plain.items() if not isinstance(config, StudentConfig)
    ]
    problems += [
        f"--set {text}: none of the students reads it" for text in shared if not any(reads(one, text) for one in plain.values())
    ]
    if problems:
        raise ConfigError("the students cannot be set up like this", hint="correct --students and --set", problems=problems)
    found = [load_config(name, [*(text for text in shared if reads(plain[name], text)), *own[name]]) for name in listed]
    students: list[StudentConfig] = [config for config in found if isinstance(config, StudentConfig)]
    called = [config.name for config in students]
    taken = sorted({name for name in called if called.count(name) > 1 or name == CONTROLS})
    if taken:
        raise ConfigError(
            f"several students are called {', '.join(taken)}", hint="give each a name: of its own in its YAML file"
        )
    return students


def reads(config: Any, override: str) -> bool:
    """Whether a setting, as in ``a.b=value``, means something to a configuration."""
    path = override.partition("=")[0].strip()
    if path != "train.seed" and any(path == name or path.startswith(f"{name}.") for name in getattr(config, "unread", ())):
        return False
    place = config
    for part in path.split("."):
        if part not in getattr(type(place), "model_fields", {}):
            return False
        place = getattr(place, part)
    return True


def distil_all(
    teacher: Source | Teachers,
    students: Sequence[StudentConfig],
    train_rows: Sequence[Row],
    dev_rows: Sequence[Row],
    out: str | Path,
    *,
    transfer: Sequence[Row] = (),
    controls: bool = True,
    seeds: Sequence[int] | None = None,
    force: bool = False,
    space: LabelSpace | None = None,
    optional: bool = False,
) -> tuple[list[Entry], dict[str, str]]:
    """Trains students and their controls; what is finished is not repeated, what was interrupted goes on.

    Bundles go to ``OUT/NAME``, controls to ``OUT/controls/NAME``, those of further seeds to the same places with ``-seedN``.

    Args:
        teacher: As in ``recipe.distil``.
        students: Their configurations, named differently.
        train_rows: Labelled rows.
        dev_rows: Labelled rows for choosing the epoch and the thresholds.
        out: The folder.
        transfer: Rows that only the teacher labels.
        controls: Whether to train controls.
        seeds: Training seeds of each student; its own by default.
        force: Begin anew.
        space: As in ``recipe.distil``.
        optional: Leave out students that these teachers cannot teach, instead of raising.

    Returns:
        Bundles by student, and the reason for each one that was left out.
    """
    teachers = teacher if isinstance(teacher, Teachers) else Teachers.load(teacher)
    entries: list[Entry] = []
    left_out: dict[str, str] = {}
    for config in students:
        made: dict[bool, list[Path]] = {False: [], True: []}
        try:
            for seed, pair in places(config, Path(out), seeds, controls).items():
                own = config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})
                for alone, place in zip((False, True), pair, strict=False):
                    options: dict[str, Any] = {"transfer": transfer, "no_teacher": alone, "force": force, "space": space}
                    made[alone].append(recipe.distil(teachers, own, train_rows, dev_rows, place, **options))
        except ConfigError as error:
            if not optional or made[False]:
                raise
            left_out[config.name] = error.message
            progress.say(f"{config.name} is left out: {error.message}")
            continue
        entries.append(Entry(config.name, tuple(made[False]), tuple(made[True])))
    if not entries:
        raise ConfigError(
            "none of the students can be taught", hint="see the reasons", problems=[f"{a}: {b}" for a, b in left_out.items()]
        )
    return entries, left_out


def places(config: StudentConfig, out: Path, seeds: Sequence[int] | None, controls: bool) -> dict[int, tuple[Path, ...]]:
    """Where the bundle of each seed goes, and that of its control."""
    found: dict[int, tuple[Path, ...]] = {}
    for seed in seeds or [config.train.seed]:
        name = f"{config.name}-seed{seed}" if found else config.name
        found.setdefault(seed, (out / name, out / CONTROLS / name)[: 1 + controls])
    return found


def prove(
    teacher: Source | Teachers,
    students: Sequence[StudentConfig],
    train_rows: Sequence[Row],
    dev_rows: Sequence[Row],
    out: str | Path,
    *,
    score: Sequence[Row] | None = None,
    transfer: Sequence[Row] = (),
    metric: Metric = "macro_f1",
    again: bool = False,
    rounds: dict[int, int] | None = None,
    language: Language = "zh",
    **options: Any,
) -> dict[str, Any]:
    """Trains students from one cached pass of the teachers and judges them: ``duobiao distil --students``.

    Args:
        teacher: As in ``recipe.distil``.
        students: Their configurations.
        train_rows: Labelled rows.
        dev_rows: Labelled rows for choosing the epoch and the thresholds.
        out: Folder of bundles, ``proof.json`` and ``proof.md``.
        score: Labelled rows to score on; the dev rows by default, which the proof then says.
        transfer: Rows that only the teacher labels.
        metric: What the verdicts are about.
        again: Measure anew what has been measured.
        rounds: Rounds of timing for each batch size.
        language: Of ``proof.md``.
        **options: ``controls``, ``seeds``, ``force``, ``space``, ``optional``, as in ``distil_all``.

    Returns:
        What ``proof.json`` holds; see ``evaluate.proof``. Empty in processes other than the main one.
    """
    place = Path(out)
    teachers = teacher if isinstance(teacher, Teachers) else Teachers.load(teacher)
    scored = dev_rows if score is None else score
    cells = targets(dev_rows, teachers.space)
    targets(scored, teachers.space)  # refused before training, not after it
    processes = PartialState()
    with processes.main_process_first():
        weighed, spent = _teacher_pass(teachers, dev_rows, [*train_rows, *transfer], place)
    entries, left_out = distil_all(weighed, students, train_rows, dev_rows, place, transfer=transfer, **options)
    if not processes.is_main_process:
        return {}
    decided = None
    if len(weighed.members) > 1:
        decided = _decide(weighed, dev_rows, cells, scored, place / CACHE)
    seconds = [one.bundle.metrics["seconds"] for one in weighed.members if "seconds" in one.bundle.metrics]
    members = (weighed.main, *(one for one in weighed.members if one is not weighed.main))
    known = float(sum(seconds)) if len(seconds) == len(weighed.members) else None
    taught = Taught(weighed.name, members, known, spent, decided, weighed.scores, left_out)
    return judge(
        entries, taught, scored, place, on_dev=score is None, metric=metric, again=again, rounds=rounds, language=language
    )


def _teacher_pass(teachers: Teachers, dev: Sequence[Row], rows: Sequence[Row], out: Path) -> tuple[Teachers, float]:
    """Fills the cache; returns the weighed teachers and the seconds that it took in all, over interruptions too."""
    note = out / PASS
    try:
        before = float(json.loads(note.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        before = 0.0
    began = time.monotonic()
    try:
        weighed = teachers.weigh(dev, targets(dev, teachers.space), out / CACHE)
        weighed.soft(rows, out / CACHE)
    finally:
        spent = round(before + time.monotonic() - began, 2)
        write_text(note, json.dumps({"seconds": spent}) + "\n")
    return weighed, spent


def _decide(teachers: Teachers, dev: Sequence[Row], cells: Any, rows: Sequence[Row], cache: Path) -> Mask:
    """What several teachers decide together on rows, their thresholds tuned on dev rows."""
    space, decoder = teachers.space, teachers.main.decoder
    thresholds = tune(probabilities(teachers.soft(dev, cache), space), cells, space, decoder.settings)
    truth = targets(rows, space)
    proba = probabilities(teachers.soft(rows, cache), space)
    return Decoder(space, thresholds, decoder.settings).decide(np.asarray(proba), truth != UNASKED)


def _parted(listed: Sequence[str], overrides: Sequence[str]) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """Overrides of single students, those of all, and problems."""
    own: dict[str, list[str]] = {name: [] for name in listed}
    shared: list[str] = []
    problems: list[str] = []
    stems = {Path(name).stem: name for name in listed}
    for text in overrides:
        found = _OF_ONE.match(text.partition("=")[0])
        if not found:
            shared.append(text)
            continue
        name = found[1].strip()
        if name in own or name in stems:
            own[name if name in own else stems[name]].append(text.partition(":")[2])
        else:
            problems.append(f"--set {text}: {name!r} is not among the students")
    return own, shared, problems
