"""``duobiao export``: a bundle that answers without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.table import Table

from duobiao.cli.options import BundlePath, Columns, Out, Separator, parse_columns, reporting
from duobiao.cli.show import console
from duobiao.errors import ConfigError

if TYPE_CHECKING:
    from duobiao.export.gate import Gate, Report


FORMS = ("bundle", "transformers")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao export runs/bigru-a --out runs/bigru-a.onnx --data dev.jsonl", name="export")(export)


def export(
    bundle: BundlePath,
    out: Out,
    int8: Annotated[bool, typer.Option("--int8", help="Compute in int8, if the quality gate lets it pass.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Rows on which export and bundle must agree; --int8: labelled dev rows. Built-in texts if left out.",
            show_default=False,
        ),
    ] = None,
    lose_at_most: Annotated[
        float | None,
        typer.Option("--lose-at-most", help="--int8: points of F1 that may be lost; 0.5 if left out.", show_default=False),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="--int8: macro_f1 or micro_f1; macro_f1 if left out.", show_default=False),
    ] = None,
    form: Annotated[
        str,
        typer.Option("--format", help="bundle: for duobiao without torch. transformers: a teacher for transformers itself."),
    ] = "bundle",
    force: Annotated[bool, typer.Option("--force", help="Replace another bundle at --out.")] = False,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Write a bundle that answers without PyTorch, or a folder for transformers; refused where it does not agree."""
    with reporting():
        from duobiao.bundle import read_bundle
        from duobiao.data.read import read_rows
        from duobiao.export.run import export as run
        from duobiao.outputs import check_outputs

        check_outputs(inputs=[data], folders=[("--out", out)])
        gate = _gate(form, int8, data, lose_at_most, metric)
        mapping = parse_columns(columns)
        space = read_bundle(bundle).space if int8 else None
        rows = read_rows(data, space=space, columns=mapping, separator=separator, labelled=int8) if data else None
        if form == "transformers":
            from duobiao.export.as_transformers import export_transformers

            agreement = export_transformers(bundle, out, rows, force=force)
            typer.echo(f"{out}: transformers agrees with {bundle}: {agreement}")
            return
        found = run(bundle, out, rows, gate=gate, force=force)
        if found.report is not None:
            _print(found.report)
        typer.echo(f"{out}: float32 agrees with {bundle}: {found.agreement}")


def _gate(form: str, int8: bool, data: Path | None, lose_at_most: float | None, metric: str | None) -> Gate | None:
    """The options as the gate of int8; options that do not go together are refused."""
    if form not in FORMS:
        raise ConfigError(f"--format {form!r}: there is no such form", hint=" or ".join(FORMS))
    if form == "transformers" and (int8 or lose_at_most is not None or metric is not None):
        raise ConfigError("--int8 has no form in transformers", hint="leave --format out, or --int8")
    if not int8:
        if lose_at_most is not None or metric is not None:
            raise ConfigError("--lose-at-most and --metric go with --int8", hint="add --int8, or leave them out")
        return None
    if data is None:
        raise ConfigError("--int8 needs labelled dev rows", hint="give them with --data")
    from duobiao.export.gate import Gate, Metric

    return Gate(0.5 if lose_at_most is None else lose_at_most, cast(Metric, metric or "macro_f1"))


def _print(report: Report) -> None:
    table = Table("recipe", title=f"int8: at most {report.gate.points:g} points of {report.gate.metric}")
    for head in ("macro-F1 lost", "micro-F1 lost", "flips", "labels", "MB", "speed", ""):
        table.add_column(head, justify="right")
    for one in report.tried:
        if one.problem:
            table.add_row(one.recipe.name, *("-",) * 6, "not possible here")
            continue
        cells = [f"{one.lost[name]:.2f}" for name in ("macro_f1", "micro_f1")]
        cells += [f"{one.flipped:.2%}", str(len(one.flips)), f"{one.mb:.1f}", f"{one.speedup:.2f}x"]
        over = one.lost[report.gate.metric] > report.gate.points
        table.add_row(one.recipe.name, *cells, "<-" if one is report.chosen else "loses too much" if over else "")
    console().print(table)
    worst = sorted(report.chosen.flips.items(), key=lambda item: -item[1])[:10]
    if worst:
        typer.echo("decisions that flip: " + ", ".join(f"{name} {count}" for name, count in worst))
