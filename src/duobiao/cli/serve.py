"""``duobiao serve``: answers over HTTP."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from duobiao.cli.options import reporting


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: duobiao serve runs/bigru-a --port 8000", name="serve")(serve)


def serve(
    bundles: Annotated[
        list[str], typer.Argument(help="Bundles, or folders of versions; name=folder gives a name.", show_default=False)
    ],
    host: Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", help="Processes that compute, for each model.")] = 1,
    threads: Annotated[int, typer.Option("--threads", help="Threads of each; 0 shares the cores among the workers.")] = 0,
    keys: Annotated[Path | None, typer.Option("--keys", help="File of API keys, one a line.", show_default=False)] = None,
    admin_keys: Annotated[
        Path | None, typer.Option("--admin-keys", help="File of keys that may reload models.", show_default=False)
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Another setting: token_budget=8192. Repeatable.", show_default=False)
    ] = None,
) -> None:
    """Answer over HTTP, with a page to try it."""
    with reporting():
        from duobiao.serve.run import serve as run
        from duobiao.serve.settings import make_settings

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        given = {"host": host, "port": port, "workers": workers, "threads": threads, "keys": keys, "admin_keys": admin_keys}
        run(bundles, make_settings(given, overrides or []))
