"""``duobiao cascade``: what it gains to send unsure rows on to a better model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from duobiao.cli.options import At, Columns, Lang, Separator, parse_columns, parse_language, reporting
from duobiao.cli.show import console, show_ratio

_WORDS = {
    "zh": {
        "title": "{rows} 行",
        "heads": "系统|band|送出|micro-F1|增益（95 %）|macro-F1|samples-F1|组准确率|送出的行判对|行/秒 (32)|加速比",
        "how": "增益：micro-F1 比一行都不送高多少个百分点；区间来自对 {units} 个单位"
        "（同一 group_id 的行为一个单位）的配对自助抽样",
    },
    "en": {
        "title": "{rows} rows",
        "heads": "system|band|sent|micro-F1|gain (95 %)|macro-F1|samples-F1|group acc.|sent rows right|rows/s (32)|speed-up",
        "how": "gain: points of micro-F1 over sending nothing; the interval is of a paired bootstrap over {units} units "
        "(rows of one group_id are one)",
    },
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao cascade runs/bigru-a runs/teacher --data test.jsonl --band 0.1 --band 0.3")(cascade)


def cascade(
    first: Annotated[Path, typer.Argument(help="Bundle of the fast model.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Bundle of the better model.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="Labelled rows.", show_default=False)],
    band: Annotated[
        list[float] | None, typer.Option("--band", help="Abstain band, 0 to 0.5. Repeatable; 0.05 to 0.4 if left out.")
    ] = None,
    at: At = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Where the table goes as JSON.", show_default=False)] = None,
    language: Lang = "zh",
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Measure a cascade: rows that the first model is unsure of are answered by the second."""
    with reporting():
        from duobiao.classifier import Classifier
        from duobiao.data.read import read_rows
        from duobiao.evaluate.cascade import BANDS, cascade_table
        from duobiao.outputs import check_outputs

        tongue = parse_language(language)
        check_outputs([("--json", json_out)], [first, second, data])
        system = Classifier.load(first, at)
        rows = read_rows(data, space=system.space, columns=parse_columns(columns), separator=separator)
        _print(cascade_table(system, Classifier.load(second), rows, band or BANDS, json_out=json_out), tongue)


def _print(found: dict[str, Any], language: Literal["zh", "en"]) -> None:
    from duobiao.evaluate.wording import points

    words, lines = _WORDS[language], found["table"]
    groups = any(line["group_accuracy"] is not None for line in lines)
    heads = words["heads"].split("|")
    if not groups:
        del heads[7]
    table = Table(title=words["title"].format(**found))
    table.add_column(heads[0], overflow="fold")
    for head in heads[1:]:
        table.add_column(head, justify="right", no_wrap=head == heads[4])
    for line in lines:
        right = [line["first_right"], line["second_right"]]
        cells = [f"{line['sent']:.1%}"]
        gain = points(**line["gains"]["micro_f1"])
        cells += [show_ratio(line["micro_f1"]), "-" if line is lines[0] else "\n".join(gain)]
        cells += [show_ratio(line[key]) for key in ("macro_f1", "samples_f1", *["group_accuracy"] * groups)]
        cells.append("-" if None in right else f"{right[0]:.3f} > {right[1]:.3f}")
        band = "-" if line["band"] is None else f"{line['band']:g}"
        table.add_row(line["name"], band, *cells, f"{line['rows_per_s']['32']:,.0f}", f"{line['speedup']:.1f}x")
    console().print(table)
    typer.echo(words["how"].format(**found))
