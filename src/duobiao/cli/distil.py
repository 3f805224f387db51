"""``duobiao distil``: one student, or many with the proof that the teacher helped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from duobiao.cli.options import (
    Columns,
    Dev,
    Force,
    Lang,
    Overrides,
    Separator,
    Train,
    config_file,
    is_first_process,
    parse_columns,
    parse_language,
    parse_seeds,
    reporting,
    resumes,
    texts_only,
)
from duobiao.cli.show import print_bundle
from duobiao.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: duobiao distil --teacher runs/teacher --config bigru-a --train train.jsonl --dev dev.jsonl "
        "--out runs/bigru-a"
    )(distil)


def distil(
    teacher: Annotated[
        list[Path],
        typer.Option("--teacher", help="The teacher's bundle. Repeatable: several teach together.", show_default=False),
    ],
    train: Train,
    out: Annotated[
        Path, typer.Option("--out", help="Where the bundle goes; with --students a folder of bundles.", show_default=False)
    ],
    config: Annotated[
        str | None, typer.Option("--config", help="YAML file, or the name of a shipped configuration.", show_default=False)
    ] = None,
    students: Annotated[
        str | None,
        typer.Option("--students", help="all, or names parted by commas: train and prove them all.", show_default=False),
    ] = None,
    dev: Dev = None,
    transfer: Annotated[
        Path | None, typer.Option("--transfer", help="Rows that only the teacher labels.", show_default=False)
    ] = None,
    score: Annotated[
        Path | None,
        typer.Option("--score", help="--students: labelled rows to score on; dev rows if left out.", show_default=False),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", help="--students: training seeds, as in 0,1,2.", show_default=False)
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", help="--students: what verdicts are about: macro-f1, micro-f1.")
    ] = "macro-f1",
    no_controls: Annotated[bool, typer.Option("--no-controls", help="--students: train no controls.")] = False,
    measure_again: Annotated[bool, typer.Option("--measure-again", help="--students: repeat a finished measurement.")] = False,
    no_teacher: Annotated[bool, typer.Option("--no-teacher", help="Train the control: same student, labels only.")] = False,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Label space (YAML) to check against the teacher's.", show_default=False)
    ] = None,
    overrides: Overrides = None,
    language: Lang = "zh",
    columns: Columns = "",
    separator: Separator = None,
    force: Force = False,
) -> None:
    """Distil a teacher, or several at once, into a small student; or into many, with proof."""
    with reporting(resumes(force)):
        from duobiao.config import load_config
        from duobiao.data.load import load_splits
        from duobiao.data.read import read_rows
        from duobiao.evaluate.proof import FILES
        from duobiao.labels import LabelSpace
        from duobiao.outputs import check_outputs
        from duobiao.train import distillery, recipe
        from duobiao.train.teachers import Teachers

        alone = {"--score": score, "--seeds": seeds, "--no-controls": no_controls, "--measure-again": measure_again}
        _check_choice(config, students, no_teacher, [name for name, value in alone.items() if value])
        tongue, chosen = parse_language(language), _metric(metric)
        wanted = distillery.load_students(students, overrides or []) if students else []
        read = [*teacher, train, dev, transfer, score, labels, config_file(config)]
        if students:
            own = [distillery.places(one, out, parse_seeds(seeds), not no_controls) for one in wanted]
            bundles = [place for places in own for pair in places.values() for place in pair]
            files = [("--out", out / name) for name in FILES]
            check_outputs(files, read, [("--out", place) for place in bundles])
        else:
            check_outputs(inputs=read, folders=[("--out", out)])
        settings = load_config(config, overrides or []) if config else None
        loaded = Teachers.load(teacher)
        mapping = parse_columns(columns)
        space = LabelSpace.from_yaml(labels) if labels else None
        splits = load_splits(train, dev, loaded.space, columns=mapping, separator=separator, fit=False)
        extra = read_rows(transfer, columns=texts_only(mapping), labelled=False) if transfer else ()
        options: dict[str, Any] = {"transfer": extra, "force": force, "space": space}
        if settings is not None:
            recipe.distil(loaded, settings, splits.train, splits.dev, out, no_teacher=no_teacher, **options)
            if is_first_process():
                print_bundle(out)
            return
        rows = read_rows(score, space=loaded.space, columns=mapping, separator=separator) if score else None
        options |= {"controls": not no_controls, "seeds": parse_seeds(seeds), "optional": students == "all"}
        options |= {"score": rows, "metric": chosen, "again": measure_again or force, "language": tongue}
        found = distillery.prove(loaded, wanted, splits.train, splits.dev, out, **options)
        if is_first_process():
            _print(found, out, tongue)


def _check_choice(config: str | None, students: str | None, no_teacher: bool, proof_only: list[str]) -> None:
    problems = []
    if (config is None) == (students is None):
        problems.append("give either --config (one student) or --students (several, with proof)")
    if students is None:
        problems += [f"{name} goes with --students" for name in proof_only]
    elif no_teacher:
        problems.append("--no-teacher goes with --config; with --students controls are trained anyway")
    if problems:
        raise ConfigError("the options contradict each other", hint="duobiao distil --help", problems=problems)


def _metric(text: str) -> Any:
    found = text.lower().replace("-", "_")
    if found not in ("macro_f1", "micro_f1"):
        raise ConfigError(f"--metric {text!r}: no such metric", hint="macro-f1 or micro-f1")
    return found


def _print(found: Mapping[str, Any], out: Path, language: Any) -> None:
    """The proof, and where it lies."""
    from duobiao.evaluate.proof_wording import heads, notes, table

    console = Console(width=None if Console().is_terminal else 200, markup=False, emoji=False)
    names = heads(found, language)
    shown = Table(names[0])
    for name in names[1:-1]:
        shown.add_column(name, justify="right")
    lines = table(found, language)
    for line in lines:
        shown.add_row(*line[:-1])
    console.print(shown)
    for line in lines[1:]:
        typer.echo(f"{line[0]}: {line[-1]}")
    for text in notes(found, language):
        typer.echo(text)
    typer.echo(f"{out / 'proof.md'}, {out / 'proof.json'}")
