"""``duobiao routes``: from decisions to the next node or action."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duobiao.cli.options import Lang, parse_language, reporting

RoutesPath = Annotated[Path, typer.Argument(help="Routes file (YAML).", show_default=False)]
BundleOption = Annotated[
    Path | None, typer.Option("--bundle", help="The bundle that decides; checks labels and gaps.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    routes = typer.Typer(help="Routes from decisions to the next node or action.", no_args_is_help=True)
    routes.command(epilog="Example: duobiao routes check routes.yaml --bundle runs/teacher")(check)
    routes.command(epilog="Example: duobiao routes draw routes.yaml --out runs/routes.svg")(draw)
    app.add_typer(routes, name="routes")


def check(routes: RoutesPath, bundle: BundleOption = None) -> None:
    """Check routes for foreign labels, gaps, dead lines, unreachable nodes and loops without a way out."""
    with reporting():
        from duobiao.routing import load_routes, summary

        found = summary(load_routes(routes, bundle))
        typer.echo(f"{routes}: {', '.join(f'{count} {what}' for what, count in found.items())}; no problems")


def draw(
    routes: RoutesPath,
    out: Annotated[Path, typer.Option("--out", help=".svg, .html, or .mmd (Mermaid).", show_default=False)],
    bundle: BundleOption = None,
    language: Lang = "zh",
) -> None:
    """Draw routes as a graph."""
    with reporting():
        from duobiao.outputs import check_outputs
        from duobiao.routing import draw_routes, load_routes

        check_outputs([("--out", out)], [routes, bundle])
        draw_routes(load_routes(routes, bundle), out, language=parse_language(language))
        typer.echo(f"{out}")
