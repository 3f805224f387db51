"""``duobiao add-label``: a further label for a finished bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from duobiao.cli.diff import print_diff
from duobiao.cli.options import (
    BundlePath,
    Columns,
    Force,
    Lang,
    Out,
    Overrides,
    Separator,
    parse_columns,
    parse_language,
    reporting,
    resumes,
)

if TYPE_CHECKING:
    from duobiao.train.add_label import Added


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "add-label",
        epilog="Example: duobiao add-label runs/bigru-a --name 退货 --train new.jsonl --dev dev.jsonl --out runs/bigru-a-2",
    )(add_label)


def add_label(
    bundle: BundlePath,
    name: Annotated[list[str], typer.Option("--name", help="The new label. Repeatable.", show_default=False)],
    train: Annotated[Path, typer.Option("--train", help="New rows, some with the label, some without.", show_default=False)],
    dev: Annotated[Path, typer.Option("--dev", help="Labelled rows for the threshold and the gate.", show_default=False)],
    out: Out,
    replay: Annotated[
        Path | None, typer.Option("--replay", help="Rows that the bundle was trained on.", show_default=False)
    ] = None,
    replay_rows: Annotated[
        int | None, typer.Option("--replay-rows", help="So many of them; all if left out.", show_default=False)
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Exclusive group that the label joins.", show_default=False)
    ] = None,
    split: Annotated[
        str | None, typer.Option("--from", help="Old label that the new ones are parts of.", show_default=False)
    ] = None,
    remove_old: Annotated[bool, typer.Option("--remove-old", help="--from: the old label goes; else parts imply it.")] = False,
    replay_complete: Annotated[
        bool, typer.Option("--replay-complete", help="Old rows that do not name the new label lack it; else unknown.")
    ] = False,
    train_complete: Annotated[
        bool, typer.Option("--train-complete", help="New rows that do not name an old label lack it; else unknown.")
    ] = False,
    learn: Annotated[
        str, typer.Option("--learn", help="output: the new label's output row alone; all: the whole model goes on.")
    ] = "output",
    keep_weight: Annotated[
        float, typer.Option("--keep-weight", help="--learn all: weight of the old bundle's word on its labels.")
    ] = 1.0,
    overrides: Overrides = None,
    allow_drop: Annotated[float, typer.Option("--allow-drop", help="Points of micro-F1 and macro-F1 that may be lost.")] = 0.0,
    allow_label_drop: Annotated[
        float, typer.Option("--allow-label-drop", help="Points of a label's F1, or a group's accuracy, that may be lost.")
    ] = 0.0,
    accept_drops: Annotated[bool, typer.Option("--accept-drops", help="Write the bundle even if old labels fell.")] = False,
    markdown: Annotated[
        Path | None, typer.Option("--md", help="Where the gate's result goes as Markdown.", show_default=False)
    ] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Where all of it goes as JSON.", show_default=False)] = None,
    language: Lang = "zh",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of samples and folds.")] = 0,
    columns: Columns = "",
    separator: Separator = None,
    force: Force = False,
) -> None:
    """Give a bundle a new label, or split one; exit status 1 if old labels fell beyond noise."""
    with reporting(resumes(force)):
        from duobiao.errors import ConfigError
        from duobiao.evaluate.diff import Limits
        from duobiao.train.add_label_files import add_label_files
        from duobiao.train.add_label_rows import NewLabels
        from duobiao.train.add_label_work import Learn, Settings

        if learn not in ("output", "all"):
            raise ConfigError(f"--learn {learn!r}: there is no such way", hint="output or all")
        settings = Settings(
            learn=cast(Learn, learn),
            keep_weight=keep_weight,
            replay_rows=replay_rows,
            replay_complete=replay_complete,
            train_complete=train_complete,
            accept_drops=accept_drops,
            overrides=tuple(overrides or ()),
            seed=seed,
        )
        found = add_label_files(
            bundle,
            NewLabels(tuple(name), group, split, remove_old),
            train,
            dev,
            out,
            replay=replay,
            settings=settings,
            limits=Limits(allow_drop, allow_label_drop),
            force=force,
            markdown=markdown,
            json_out=json_out,
            language=parse_language(language),
            columns=parse_columns(columns),
            separator=separator,
        )
        _print(found, language)
        if not found.accepted:
            raise typer.Exit(1)


def _print(found: Added, language: str) -> None:
    from duobiao.evaluate.diff_wording import WORDS

    words = WORDS[parse_language(language)]
    print_diff(found.gate.found, language)
    for line in found.labels:
        typer.echo(words["added"].format(**line))
    key = "accepted" if found.gate.passed else "accepted_drops" if found.accepted else "rejected"
    typer.echo(words[key].format(place=found.place, seconds=found.seconds))
