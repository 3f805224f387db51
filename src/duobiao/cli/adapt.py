"""``duobiao adapt``: an encoder goes on learning from plain text; and what that gives downstream."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from duobiao.cli.options import (
    Columns,
    Force,
    Lang,
    Overrides,
    Separator,
    config_file,
    is_first_process,
    parse_columns,
    parse_language,
    parse_seeds,
    reporting,
    resumes,
)
from duobiao.errors import ConfigError

TEACHER = "teacher-roberta-wwm"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: duobiao adapt --encoder models/roberta-wwm --text calls.txt --text rows.xlsx --out models/adapted "
        "--train train.jsonl --score test.jsonl --seeds 0,1,2"
    )(adapt)


def adapt(
    encoder: Annotated[str, typer.Option("--encoder", help="Folder or hub name of an encoder.", show_default=False)],
    text: Annotated[
        list[Path],
        typer.Option(
            "--text",
            help=".txt, a text a line, or .jsonl, also .gz and .xz; or rows in any format. Repeatable.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The adapted encoder's folder.", show_default=False)],
    config: Annotated[str, typer.Option("--config", help="YAML file, or the name of a shipped configuration.")] = "adapt",
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, help="Steps of the whole run at most.", show_default=False)
    ] = None,
    slice_steps: Annotated[
        int | None,
        typer.Option("--slice-steps", min=1, help="Steps to take now; the same command goes on.", show_default=False),
    ] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Git revision on the hub.", show_default=False)] = None,
    train: Annotated[
        Path | None,
        typer.Option("--train", help="Labelled rows: measures what adapting gives on them (OUT.gain).", show_default=False),
    ] = None,
    dev: Annotated[
        Path | None,
        typer.Option("--dev", help="--train: rows to choose by; a tenth of --train if left out.", show_default=False),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="--train: label space (YAML); inferred if left out.", show_default=False)
    ] = None,
    score: Annotated[
        Path | None, typer.Option("--score", help="--train: labelled rows to score on.", show_default=False)
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option("--with", help=f"--train: a teacher's configuration; {TEACHER} if left out.", show_default=False),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", help="--train: training seeds, as in 0,1,2.", show_default=False)
    ] = None,
    teacher_overrides: Annotated[
        list[str] | None, typer.Option("--set-with", help="Override a setting of --with: a.b=value. Repeatable.")
    ] = None,
    overrides: Overrides = None,
    language: Lang = "zh",
    columns: Columns = "",
    separator: Separator = None,
    force: Force = False,
) -> None:
    """Go on pre-training an encoder on plain text, without labels."""
    with reporting(resumes(force)):
        from duobiao.config import AdaptConfig, GeneralConfig, load_config
        from duobiao.outputs import check_outputs
        from duobiao.train.adapt import adapt as run
        from duobiao.train.gain import REPORT, RESULT, measure_gain

        tongue, mapping = parse_language(language), parse_columns(columns)
        own = {"--dev": dev, "--labels": labels, "--score": score, "--with": teacher, "--seeds": seeds}
        _check_choice(train, score, [name for name, value in {**own, "--set-with": teacher_overrides}.items() if value])
        gains = out.with_name(out.name + ".gain")
        read = [encoder, *text, config_file(config), train, dev, labels, score, config_file(teacher)]
        check_outputs([("--out", gains / name) for name in (RESULT, REPORT) if train], read, [("--out", out)])
        changes = [*(overrides or []), *([f"text.steps={max_steps}", "text.epochs=null"] if max_steps else [])]
        settings = load_config(config, overrides or [])
        if not isinstance(settings, AdaptConfig) or isinstance(settings, GeneralConfig):
            raise ConfigError(f"{config}: kind {settings.kind!r} adapts no encoder", hint="give a configuration of kind adapt")
        settings = load_config(config, changes)
        assert isinstance(settings, AdaptConfig)
        options: dict[str, Any] = {"column": mapping.get("text", "text"), "revision": revision, "force": force}
        task = None
        if train is not None and score is not None:
            files = {"train": train, "dev": dev, "labels": labels, "score": score}
            task = _task(files, teacher or TEACHER, teacher_overrides or [], seeds, mapping, separator)
            task.check(encoder, revision)
        found = run(encoder, settings, text, out, slice_steps=slice_steps, **options)
        if is_first_process():
            _print(found, out)
        if task is not None and found.finished:
            gain = measure_gain(encoder, out, text, task, gains, language=tongue, **options)
            if gain:
                _print_gain(gain, gains, tongue)


def _check_choice(train: Path | None, score: Path | None, downstream: list[str]) -> None:
    problems = [f"{name} goes with --train" for name in downstream] if train is None else []
    if train is not None and score is None:
        problems.append("--train wants --score: labelled rows that took no part in training")
    if problems:
        raise ConfigError("the options contradict each other", hint="duobiao adapt --help", problems=problems)


def _task(
    files: dict[str, Any],
    teacher: str,
    overrides: list[str],
    seeds: str | None,
    mapping: dict[str, str],
    separator: str | None,
) -> Any:
    """The labelled task, read and checked before hours are spent."""
    from duobiao.config import TeacherConfig, load_config
    from duobiao.data.load import load_splits
    from duobiao.data.read import read_rows
    from duobiao.train.gain import Downstream

    config = load_config(teacher, overrides)
    if not isinstance(config, TeacherConfig):
        raise ConfigError(f"--with {teacher}: kind {config.kind!r} is no encoder's", hint=f"give one such as {TEACHER}")
    splits = load_splits(files["train"], files["dev"], files["labels"], columns=mapping, separator=separator)
    rows = read_rows(files["score"], space=splits.space, columns=mapping, separator=separator)
    return Downstream(config, splits, rows, tuple(parse_seeds(seeds) or ()))


def _print(found: Any, out: Path) -> None:
    where = f"{out}: " if found.finished else f"{out}.run: a checkpoint; the same command goes on: "
    typer.echo(f"{where}{found.steps} of {found.total} steps")
    if not found.finished:
        return
    held = found.notes["held_out"]
    if held:
        before, after = held["before"], held["after"]
        typer.echo(
            f"own states of the whole text, guessed from {held['sequences']} masked held-out sequences: error "
            f"{before['hidden']:.3f} -> {after['hidden']:.3f}"
            if "accuracy" not in before
            else f"masked words in {held['sequences']} held-out sequences: loss {before['loss']:.3f} -> {after['loss']:.3f}, "
            f"guessed right {before['accuracy']:.1%} -> {after['accuracy']:.1%}"
        )
        if not found.notes["kept_step"]:
            typer.echo("no weights on the way guessed better than the first ones, so these were kept; lower text.lr")
    else:
        typer.echo("too little text to hold any back: the loss on text that was not trained on is not known")
    if found.notes["head"] == "new":
        typer.echo("the masked-LM head is a new one: the loss before tells of the head, not of the encoder")


def _print_gain(found: dict[str, Any], folder: Path, language: Any) -> None:
    from duobiao.train.gain_wording import notes

    typer.echo(found["verdict"][language])
    for note in notes(found, language):
        typer.echo(note)
    typer.echo(f"{folder / 'gain.md'}, {folder / 'gain.json'}")
