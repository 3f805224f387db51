"""Running commands inside the test's process, and looking at refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from duobiao.cli.app import app


def duobiao(*arguments: Any, stdin: str | bytes | None = None) -> Result:
    """One command; an error that is no refusal of ours is raised here, with its traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, prog_name="duobiao")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def done(*arguments: Any, stdin: str | bytes | None = None) -> Result:
    """A command that must succeed."""
    result = duobiao(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: Any, names: tuple[Any, ...] = (), stdin: str | bytes | None = None) -> str:
    """A command that must exit with status 2, saying what is wrong (``names``) and what to do."""
    result = duobiao(*arguments, stdin=stdin)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert any(line.startswith("error: ") for line in result.stderr.splitlines()), result.stderr
    assert "What to do: " in result.stderr
    for name in names:
        assert str(name) in result.stderr, f"{name!r} is not in {result.stderr!r}"
    return result.stderr


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file under a folder, hidden ones too, with its size and time."""
    found = {path: path.stat() for path in sorted(folder.rglob("*"))}
    return {str(path.relative_to(folder)): (status.st_size, status.st_mtime_ns) for path, status in found.items()}
