"""``duobiao evaluate``: what a bundle is worth on labelled rows, how sure that is, and where it is worse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from duobiao.cli.options import At, BundlePath, Columns, SeenRows, Separator, Slices, parse_columns, reporting, texts_only
from duobiao.cli.show import console, show_ratio

_SHOWN = ("micro_f1", "macro_f1", "weighted_f1", "samples_f1", "subset_accuracy", "hamming_loss", "group_accuracy")
_RANKS = ("mean_average_precision", "micro_average_precision", "ranking_loss", "coverage")
_LABELS, _GROUPS, _NODES, _MIXED = 10, 20, 20, 5


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao evaluate runs/bigru-a --data test.jsonl --train train.jsonl --json scores.json")(
        evaluate
    )


def evaluate(
    bundle: BundlePath,
    data: Annotated[Path, typer.Option("--data", help="Labelled rows.", show_default=False)],
    train: SeenRows = None,
    slices: Slices = None,
    draws: Annotated[int, typer.Option("--draws", min=0, help="Draws of the bootstrap; 0: no intervals.")] = 2000,
    at: At = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Where all metrics go as JSON.", show_default=False)] = None,
    columns: Columns = "",
    separator: Separator = None,
) -> None:
    """Score a bundle on labelled rows: metrics with intervals, the worst labels, nodes, slices."""
    with reporting():
        from duobiao.classifier import Classifier
        from duobiao.data.read import read_rows
        from duobiao.data.write import write_text
        from duobiao.evaluate.evaluation import evaluate as run
        from duobiao.outputs import check_outputs

        check_outputs([("--json", json_out)], [bundle, data, train])
        loaded = Classifier.load(bundle, at)
        mapping = parse_columns(columns)
        rows = read_rows(data, space=loaded.space, columns=mapping, separator=separator)
        seen = read_rows(train, columns=texts_only(mapping), labelled=False) if train else None
        found = run(loaded, rows, seen, slices=slices or [], draws=draws)
        if json_out is not None:
            write_text(json_out, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        _print_metrics(found)
        _print_labels(found)
        _print_mixed(found)
        _print_nodes(found)
        _print_slices(found, slices or [])


def _print_metrics(found: Mapping[str, Any]) -> None:
    blocks = {"all rows": found, **({"unseen text": found["unseen_text"]} if "unseen_text" in found else {})}
    table = _table("metric", f"{found['name']} ({found['kind']})")
    for head in blocks:
        table.add_column(head, justify="right")
        table.add_column("95 %", style="dim", no_wrap=True)
    table.add_row("rows", *(cell for block in blocks.values() for cell in (str(block["rows"]), "")))
    for name in (*_SHOWN, *_RANKS):
        if any(block[name] is not None for block in blocks.values()):
            table.add_row(name, *_cells((block[name], block["intervals"].get(name)) for block in blocks.values()))
    for k in found["precision_at"]:
        pairs = ((block["precision_at"][k], block["intervals"][f"precision_at_{k}"]) for block in blocks.values())
        table.add_row(f"precision_at.{k}", *_cells(pairs))
    known = [name for name, one in found["groups"].items() if one["accuracy"] is not None]
    worst = sorted(known, key=lambda name: found["groups"][name]["accuracy"])[:_GROUPS]
    for group in worst if len(known) > _GROUPS else found["groups"]:
        own = [block["groups"][group] for block in blocks.values()]
        table.add_row(f"groups.{group}", *_cells((one["accuracy"], one["interval"]) for one in own))
    console().print(table)
    if len(known) > _GROUPS:
        typer.echo(f"the {_GROUPS} groups with the lowest accuracy, of {len(known)}")
    if found["intervals"]["micro_f1"] is not None:
        what = "rows" if found["unit"] == "row" else "units of rows with one group_id"
        typer.echo(f"95 %: bootstrap over {found['units']} {what}")


def _print_labels(found: Mapping[str, Any]) -> None:
    """The labels with the lowest F1, and those that cannot be judged."""
    true = {name: one for name, one in found["per_label"].items() if one["support"]}
    worst = sorted(true, key=lambda name: (true[name]["f1"], -true[name]["support"]))[:_LABELS]
    title = "labels" if len(worst) == len(true) else f"the {len(worst)} labels with the lowest F1, of {len(true)}"
    table = _table("label", title, "F1", "95 %", "precision", "recall", "AP", "true")
    for name in worst:
        one = true[name]
        cells = [*_cells([(one["f1"], one["interval"])]), show_ratio(one["precision"]), show_ratio(one["recall"])]
        table.add_row(name, *cells, show_ratio(one["average_precision"]), str(one["support"]))
    console().print(table)
    never = [name for name in found["per_label"] if name not in true]
    if never:
        typer.echo(f"not one true row, so nothing is known of {_some(never)}")


def _print_mixed(found: Mapping[str, Any]) -> None:
    """The commonest confusions inside groups."""
    mixed = []
    for group, one in found["groups"].items():
        for true, row in zip(one["labels"], one["confusion"], strict=True):
            mixed += [
                (count, f"{group}: {true} taken for {said}, {count} of {sum(row)} rows")
                for said, count in zip(one["labels"], row, strict=True)
                if count and said != true
            ]
    for _, line in sorted(mixed, key=lambda pair: -pair[0])[:_MIXED]:
        typer.echo(line)


def _print_nodes(found: Mapping[str, Any]) -> None:
    nodes = found.get("contexts", {})
    if not nodes:
        return
    bounds = {one["name"]: (one["low"], one["high"]) for one in found["slices"]["context"]}
    title = "by node" if len(nodes) <= _NODES else f"the {_NODES} nodes with most rows, of {len(nodes)}"
    table = _table("node", title, "rows", "micro-F1", "95 %", "macro-F1", "all right", "group acc.")
    for node, one in list(nodes.items())[:_NODES]:
        low, high = bounds.get(node, (None, None))
        cells = _cells([(one["micro_f1"], None if low is None else [low, high])])
        cells += [show_ratio(one[name]) for name in ("macro_f1", "subset_accuracy", "group_accuracy")]
        table.add_row(node, str(one["rows"]), *cells)
    console().print(table)


def _print_slices(found: Mapping[str, Any], asked: Sequence[str]) -> None:
    """Slices that differ from the rest, and all of those that were asked for."""
    lines = [(name, one) for name, own in found["slices"].items() for one in own if one["differs"] or name in asked]
    if lines:
        table = _table("slice", "slices", "rows", "micro-F1", "95 %", "macro-F1", "the rest", "")
        for name, one in lines:
            cells = _cells([(one["micro_f1"], None if one["low"] is None else [one["low"], one["high"]])])
            mark = "" if not one["differs"] else "worse" if one["micro_f1"] < one["rest"] else "better"
            cells += [show_ratio(one["macro_f1"]), show_ratio(one["rest"]), mark]
            table.add_row(f"{name} {one['name']}", str(one["rows"]), *cells)
        console().print(table)
    if not any(one["differs"] for _, one in lines) and found["intervals"]["micro_f1"] is not None:
        typer.echo(f"no slice by {', '.join(found['slices'])} differs from the rest by more than chance explains")


def _table(first: str, title: str, *numbers: str) -> Table:
    """A table whose names are folded rather than cut where the terminal is narrow."""
    table = Table(title=title)
    table.add_column(first, overflow="fold")
    for head in numbers:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _cells(pairs: Any) -> list[str]:
    """A value and its interval, each as a cell."""
    return [text for value, interval in pairs for text in (show_ratio(value), _interval(interval))]


def _interval(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f} - {interval[1]:.3f}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LABELS} more" if len(names) > _LABELS else ""
    return ", ".join(names[:_LABELS]) + more
