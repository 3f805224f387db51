"""The commands ``split`` and ``sample``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from duobiao.cli.options import Columns, Separator, parse_columns, reporting
from duobiao.cli.show import console

Rows = Annotated[Path, typer.Argument(help="Rows in any format.", show_default=False)]
Labels = Annotated[Path | None, typer.Option("--labels", help="Label space (YAML).", show_default=False)]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same rows.")]
SHOWN = 8


class By(StrEnum):
    """How rows are split."""

    stratified = "stratified"
    time = "time"


class Tie(StrEnum):
    """What keeps rows on one side."""

    both = "both"
    group = "group"
    text = "text"


class Per(StrEnum):
    """What a sample is drawn for."""

    label = "label"
    node = "node"
    all = "all"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(epilog="Example: duobiao split rows.jsonl --out splits --labels labels.yaml --freeze splits/ids.json")(split)
    app.command(epilog="Example: duobiao sample rows.jsonl --n 50 --per label --output look.jsonl")(sample)


def split(
    rows: Rows,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of train.jsonl, dev.jsonl, test.jsonl, split.json.", show_default=False)
    ],
    shares: Annotated[str, typer.Option("--shares", help="Share of each split.")] = "0.8,0.1,0.1",
    names: Annotated[
        str | None, typer.Option("--names", help="Names of the splits; train,dev,test if left out.", show_default=False)
    ] = None,
    labels: Labels = None,
    by: Annotated[By, typer.Option("--by", help="Stratified by label and node, or the later rows last.")] = By.stratified,
    date: Annotated[
        str | None,
        typer.Option("--date", help="Column of the date, for --by time; found by its name if left out.", show_default=False),
    ] = None,
    together: Annotated[
        Tie, typer.Option("--together", help="What keeps rows on one side: group_id, text, or both.")
    ] = Tie.both,
    seed: Seed = 0,
    freeze: Annotated[
        Path | None, typer.Option("--freeze", help="Where the place of each row is noted.", show_default=False)
    ] = None,
    frozen: Annotated[
        Path | None, typer.Option("--frozen", help="What --freeze wrote: old rows stay, new ones join.", show_default=False)
    ] = None,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Split rows into training, dev and test; no dialogue and no text on both sides."""
    with reporting():
        from duobiao.data.split import parse_shares, split_file

        found = split_file(
            rows,
            out,
            shares=parse_shares(shares, names),
            labels=labels,
            columns=parse_columns(columns),
            separator=separator,
            by=by.value,
            date=date,
            together=together.value,
            seed=seed,
            freeze_to=freeze,
            frozen=frozen,
        )
        _print_split(found.report)
        typer.echo(f"{out}: {', '.join(f'{name}.jsonl' for name in found.parts)}, split.json")


def sample(
    rows: Rows,
    output: Annotated[Path, typer.Option("--output", help="JSONL.", show_default=False)],
    n: Annotated[int, typer.Option("--n", help="How many rows of each.")] = 50,
    per: Annotated[Per, typer.Option("--per", help="Of each label, of each node (context), or of all rows.")] = Per.label,
    seed: Seed = 0,
    labels: Labels = None,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Draw rows of every label or node."""
    with reporting():
        from duobiao.data.sample import sample_file

        report = sample_file(
            rows, output, n=n, per=per.value, seed=seed, labels=labels, columns=parse_columns(columns), separator=separator
        ).report
        short = {name: line["rows"] for name, line in report["categories"].items() if line["short"]}
        typer.echo(f"{output}: {report['drawn']} of {report['rows']} rows, for {len(report['categories'])} categories")
        if report["without_category"]:
            typer.echo(f"{report['without_category']} rows have no label and could not be drawn")
        if short:
            listed = ", ".join(f"{name} {count}" for name, count in sorted(short.items(), key=lambda item: item[1]))
            typer.echo(f"short of {n}: {listed}")


def _print_split(report: Mapping[str, Any]) -> None:
    screen = console()
    table = Table("split", title=f"{report['rows']} rows, {report['by']}, {report['units']['count']} units kept whole")
    for head in ("rows", "share", "wanted", "labels without a row"):
        table.add_column(head, justify="right")
    for name, line in report["splits"].items():
        absent = report["absent"][name]
        cells = f"{line['rows']}", f"{line['share']:.4f}", f"{line['wanted']:.4f}", f"{len(absent)}"
        table.add_row(name, *cells)
    screen.print(table)
    worst = sorted(report["labels"].items(), key=lambda item: -item[1]["deviation"])[:SHOWN]
    if report["largest_deviation"]:
        typer.echo(
            f"imbalance left: mean deviation of a label's share {report['mean_deviation']:.4f}, "
            f"largest {report['largest_deviation']['deviation']:.4f}"
        )
        detail = Table("label", title="furthest from the wanted shares")
        for head in ("rows", *report["splits"], "deviation"):
            detail.add_column(head, justify="right")
        for label, line in worst:
            detail.add_row(label, str(line["rows"]), *map(str, line["counts"].values()), f"{line['deviation']:.4f}")
        screen.print(detail)
    pairs = report["labels_in_contexts"]
    if pairs["pairs"]:
        absent = ", ".join(f"{name} {count}" for name, count in pairs["absent"].items())
        typer.echo(
            f"labels in their contexts: {pairs['pairs']} pairs, {pairs['too_rare_to_be_everywhere']} too rare for every split; "
            f"of the others missing: {absent}"
        )
    sides = report["on_both_sides"]
    typer.echo(f"on several sides: {sides['rows_by_text']} rows by text, {sides['rows_by_group']} rows by dialogue")
    _print_costs(report)


def _print_costs(report: Mapping[str, Any]) -> None:
    """What a split by time, or the continuation of an earlier one, cost."""
    if "time" in report:
        time = report["time"]
        begins = ", ".join(f"{name} from {date}" for name, date in time["begins"].items())
        typer.echo(
            f"by {time['column']}: {begins}; {time['straddling_units']} units straddle a cut and were kept whole: "
            f"{time['rows_later_than_their_split']} rows are later than their split, "
            f"{time['rows_earlier_than_their_split']} earlier"
        )
    if "frozen" in report:
        old = report["frozen"]
        typer.echo(
            f"frozen: {old['kept']} old rows stay, {old['followed']} new rows follow them, {old['distributed']} are "
            f"distributed, {len(old['aside'])} belong to two splits and lie in aside.jsonl; "
            f"{old['missing']} old rows are gone, {len(old['changed'])} changed, {len(old['overlaps'])} old rows now overlap"
        )
