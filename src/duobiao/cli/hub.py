"""``duobiao push`` and ``duobiao pull``: bundles on the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from duobiao.cli.options import BundlePath, Out, reporting

Repository = Annotated[str, typer.Argument(help="Repository on the Hub: org/name.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(epilog="Example: duobiao push runs/bigru-a my-team/hotline --message 'trained on November'")(push)
    app.command(epilog="Example: duobiao pull my-team/hotline --out runs/hotline")(pull)


def push(
    bundle: BundlePath,
    repository: Repository,
    public: Annotated[bool, typer.Option("--public", help="A repository that is made is open to everybody.")] = False,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Branch; the main one if left out.", show_default=False)
    ] = None,
    message: Annotated[str | None, typer.Option("--message", help="Of the commit.", show_default=False)] = None,
) -> None:
    """Put a bundle and its card on the Hugging Face Hub, private unless said otherwise."""
    with reporting():
        from duobiao.hub import push as run

        typer.echo(run(bundle, repository, private=not public, revision=revision, message=message))


def pull(
    repository: Repository,
    out: Out,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Branch, tag or commit; the main branch if left out.", show_default=False)
    ] = None,
) -> None:
    """Fetch a bundle from the Hugging Face Hub, and check it."""
    with reporting():
        from duobiao.hub import pull as run
        from duobiao.outputs import check_outputs

        check_outputs(folders=[("--out", out)])
        typer.echo(f"{run(repository, out, revision=revision)}: fetched from {repository}")
