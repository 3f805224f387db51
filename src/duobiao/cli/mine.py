"""``duobiao mine``: the words that tell each label, and each dialogue node, from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from duobiao.cli.options import (
    Columns,
    Dev,
    Lang,
    Overrides,
    Separator,
    Train,
    config_file,
    parse_columns,
    parse_language,
    reporting,
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: duobiao mine --train train.jsonl --dev dev.jsonl --labels labels.yaml --output words.yaml "
        "--picture words.svg"
    )(mine)


def mine(
    train: Train,
    output: Annotated[Path, typer.Option("--output", help="YAML of category words, to be edited.", show_default=False)],
    labels: Annotated[Path | None, typer.Option("--labels", help="Label space (YAML).", show_default=False)] = None,
    dev: Dev = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Picture of the top words: .svg or .html.", show_default=False)
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Ranking: log_odds, chi2 or mi. All three are written.")] = "log_odds",
    top: Annotated[int, typer.Option("--top", help="Words for each label and context.")] = 20,
    min_support: Annotated[int, typer.Option("--min-support", help="Rows of the label that must hold a word.")] = 3,
    ngrams: Annotated[str, typer.Option("--ngrams", help="Character n-grams beside words: shortest-longest.")] = "2-4",
    config: Annotated[
        str,
        typer.Option("--config", help="Configuration whose cleaning is used; by default the usual one.", show_default=False),
    ] = "",
    overrides: Overrides = None,
    language: Lang = "zh",
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Find each label's and each node's category words, in the training rows alone."""
    with reporting():
        from duobiao.config import InputSettings, load_config
        from duobiao.data.load import load_splits
        from duobiao.features.mine import MineSettings, Score, parse_ngrams
        from duobiao.features.mine import mine as run
        from duobiao.features.picture import check_picture, write_picture
        from duobiao.outputs import check_outputs

        tongue = parse_language(language)
        if picture is not None:
            check_picture(picture)
        check_outputs([("--output", output), ("--picture", picture)], [train, dev, labels, config_file(config)])
        chosen = load_config(config, overrides or []).input if config else InputSettings()
        how = MineSettings(cast(Score, by), top, min_support, ngrams=parse_ngrams(ngrams), clean=chosen.clean)
        splits = load_splits(train, dev, labels, columns=parse_columns(columns), separator=separator)
        words = run(splits.train, splits.space, how)
        words.write(output)
        if picture is not None:
            write_picture(words, picture, language=tongue)
        found = sum(len(category.terms) for category in words.labels.values())
        bare = [name for name, category in words.labels.items() if not category.terms]
        counts = f"{found} words of {len(words.labels)} labels, {len(words.contexts)} contexts"
        typer.echo(f"{output}: {counts}, from {len(splits.train)} rows")
        if bare:
            typer.echo(f"no word stands out for {', '.join(bare)}")
