"""The command ``check``: what of the data will hurt, and how to mend it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duobiao.cli.options import Columns, Separator, parse_columns, parse_language, reporting
from duobiao.errors import ConfigError

if TYPE_CHECKING:
    from duobiao.doctor.check import Report
    from duobiao.doctor.fix import Fixed

_SHOWN = 3
_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao check --train train.jsonl --dev dev.jsonl --test test.jsonl --html page.html")(check)


def _file(option: str, text: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(option, help=text, show_default=False)
    return found


def check(
    file: Annotated[Path | None, typer.Argument(help="Rows, where they are not split yet.", show_default=False)] = None,
    train: Annotated[Path | None, _file("--train", "Training rows.")] = None,
    dev: Annotated[Path | None, _file("--dev", "Dev rows.")] = None,
    test: Annotated[Path | None, _file("--test", "Test rows.")] = None,
    labels: Annotated[Path | None, _file("--labels", "Label space (YAML); the bundle's, or inferred, if left out.")] = None,
    model: Annotated[
        Path | None, _file("--model", "Bundle, or an encoder's folder: its tokenizer counts lengths and [UNK].")
    ] = None,
    html: Annotated[Path | None, _file("--html", "Where the page goes.")] = None,
    json_out: Annotated[Path | None, _file("--json", "Where all findings go as JSON.")] = None,
    fix: Annotated[Path | None, _file("--fix", "Folder for repaired copies, a diff and what needs a person.")] = None,
    fix_only: Annotated[
        str,
        typer.Option(
            "--fix-only",
            help="Repairs to make: mojibake,invisible,empty,duplicates,leaks (made by default), mask,simplified,near-leaks.",
            show_default=False,
        ),
    ] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Exit with status 1 if there are errors.")] = False,
    language: Annotated[str, typer.Option("--lang", help="Language of the page: zh or en.")] = "zh",
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Find out what in the data will hurt, and how to mend it."""
    given = {"data": file, "train": train, "dev": dev, "test": test}
    files = {name: path for name, path in given.items() if path is not None}
    with reporting():
        from duobiao.data.write import write_text
        from duobiao.doctor.check import check as run
        from duobiao.doctor.fix import DIFF, REVIEW, SUMMARY, check_folder
        from duobiao.doctor.fix import fix as repair
        from duobiao.doctor.report import render_html
        from duobiao.outputs import check_outputs

        words = parse_language(language)
        only = [name.strip() for name in fix_only.split(",") if name.strip()]
        if only and fix is None:
            raise ConfigError("--fix-only without --fix", hint="name the folder for repaired copies: --fix OUT")
        copies: list[Path] = []
        if fix is not None:
            copies = [*check_folder(fix, files).values(), *(fix / name for name in (DIFF, REVIEW, SUMMARY))]
        check_outputs(
            [("--html", html), ("--json", json_out), *(("--fix", place) for place in copies)], [*files.values(), labels, model]
        )
        options = {"labels": labels, "model": model, "columns": parse_columns(columns), "separator": separator}
        report = run(files, **options)  # type: ignore[arg-type]
        fixed = repair(files, fix, only=only or None, **options) if fix else None  # type: ignore[arg-type]
        if html is not None:
            write_text(html, render_html(report, words))
        if json_out is not None:
            write_text(json_out, json.dumps(report.to_dict(), ensure_ascii=False, indent=1) + "\n")
        _print(report, words)
        for name, path in (("page", html), ("json", json_out)):
            if path is not None:
                typer.echo(f"{name}: {path.resolve()}")
        if fixed is not None:
            _print_fixed(fixed)
    if strict and report.counts["error"]:
        raise typer.Exit(1)


def _print(report: Report, language: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from duobiao.doctor.wording import TEXTS, worded

    texts = TEXTS[language]
    console = Console(width=None if Console().is_terminal else 140, markup=False, emoji=False, highlight=False)
    for name, entry in report.files.items():
        console.print(f"{texts['splits'][name]}: {entry['path']}, {entry['rows']:,} {texts['units']['rows']}")
    console.print(Text(texts["summary"].format(**report.counts), style="bold"))
    for finding in report.findings:
        said = worded(finding, language, "duobiao check ...")
        splits = f"  [{said['splits']}]" if said["splits"] and len(report.files) > 1 else ""
        head = Text(f"\n{texts[finding.severity]}  ", style=_STYLES[finding.severity])
        console.print(head.append(Text(f"{said['title']}: {said['amount']}{splits}", style="bold")))
        console.print(f"  {said['reason']}")
        for example in finding.examples[:_SHOWN]:
            said_there = f"  {_short(example.text)}  {_short(example.note)}".rstrip()
            console.print(Text("    ").append(example.where, style="dim").append(said_there))
        console.print(f"  → {said['remedy']}")
    if not report.findings:
        console.print(texts["clean"])
    for _, reason in report.skipped:
        console.print(f"\n{texts['skipped']}: {texts['reasons'][reason]}")
    console.print()


def _short(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _print_fixed(fixed: Fixed) -> None:
    counts = fixed.counts()
    for name, file in fixed.files.items():
        done = ", ".join(f"{what} {count:,}" for (split, what), count in counts.items() if split == name) or "nothing to mend"
        typer.echo(f"{file['to']}: {file['after']:,} of {file['before']:,} rows; {done}")
    typer.echo(f"{fixed.folder}: diff.jsonl, summary.md; {len(fixed.review)} texts to decide in review.jsonl")
