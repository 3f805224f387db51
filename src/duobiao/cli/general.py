"""``duobiao general-distil``: a small encoder from a large one, on plain text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from duobiao.cli.options import Force, Overrides, config_file, is_first_process, reporting, resumes


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "general-distil",
        epilog="Example: duobiao general-distil --teacher models/roberta-wwm --text news.txt --text calls.jsonl "
        "--out models/tiny --max-steps 20000",
    )(general_distil)


def general_distil(
    teacher: Annotated[str, typer.Option("--teacher", help="Folder or hub name of an encoder.", show_default=False)],
    text: Annotated[
        list[Path],
        typer.Option("--text", help=".txt, a text a line, or .jsonl; also .gz and .xz. Repeatable.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="The small encoder's folder.", show_default=False)],
    config: Annotated[str, typer.Option("--config", help="YAML file, or the name of a shipped configuration.")] = "tinybert",
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, help="Steps of the whole run.", show_default=False)
    ] = None,
    slice_steps: Annotated[
        int | None,
        typer.Option("--slice-steps", min=1, help="Steps to take now; the same command goes on.", show_default=False),
    ] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Git revision on the hub.", show_default=False)] = None,
    overrides: Overrides = None,
    force: Force = False,
) -> None:
    """Teach a small encoder on plain text, without labels."""
    with reporting(resumes(force)):
        from duobiao.config import GeneralConfig, TinyBERTConfig, load_config
        from duobiao.errors import ConfigError
        from duobiao.outputs import check_outputs
        from duobiao.train.general import general_distil as run
        from duobiao.train.mini import make_encoder_from

        check_outputs(inputs=[teacher, *text, config_file(config)], folders=[("--out", out)])
        settings = load_config(config, overrides or [])
        if not isinstance(settings, TinyBERTConfig | GeneralConfig):
            raise ConfigError(
                f"{config}: kind {settings.kind!r} is no small encoder", hint="give a configuration of kind tinybert or general"
            )
        if max_steps is not None:
            place = "text" if isinstance(settings, GeneralConfig) else "general"
            settings = load_config(config, [*(overrides or []), f"{place}.steps={max_steps}"])
        options: dict[str, Any] = {"revision": revision, "slice_steps": slice_steps, "force": force}
        if isinstance(settings, GeneralConfig):
            found = make_encoder_from(teacher, settings, text, out, **options)
        else:
            assert isinstance(settings, TinyBERTConfig)
            found = run(teacher, settings, text, out, **options)
        if is_first_process():
            where = f"{out}: " if found.finished else f"{out}.run: a checkpoint; the same command goes on: "
            typer.echo(f"{where}{found.steps} of {found.total} steps")
