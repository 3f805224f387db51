"""YAML in which a key that stands twice is an error, not a silent loss of the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from duobiao.errors import DuobiaoError

_SHOWN = 60
"""Characters of a line that messages show."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, strict about repeated keys."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Builds a value.

        Raises:
            yaml.YAMLError: With its line, if it is none: a date that does not exist, a list as a key.
        """
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Builds a mapping.

        Raises:
            yaml.YAMLError: If a key stands twice.
        """
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                said = f"the key {key.value!r} stands there twice"
                raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def load_yaml(text: str) -> Any:
    """The value that the text describes; safe tags only.

    Raises:
        yaml.YAMLError: If it is no YAML, or a key stands twice.
    """
    return yaml.load(text, Loader=_Loader)


def read_yaml(path: str | Path, what: str, kind: type[DuobiaoError]) -> Any:
    """The value that a file describes.

    Args:
        path: The file.
        what: What it should be, for the hint: ``a routes file``.
        kind: What is raised.

    Raises:
        DuobiaoError: Of that kind, if the file is missing, or no YAML in UTF-8, naming the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise kind(f"{path}: {error.strerror}", hint=f"give the path of {what}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise kind(f"{path}: line {line}: not readable as YAML: this is not UTF-8", hint="save it as UTF-8") from error
    try:
        return load_yaml(text)
    except RecursionError as error:
        raise kind(f"{path}: not readable as YAML: nested too deeply", hint=f"give {what}") from error
    except yaml.YAMLError as error:
        hint = "correct this line or the one above; indent with blanks, and put names that hold : # or a bracket in quotes"
        raise kind(f"{path}: {_found(error, text)}", hint=hint) from error


def _found(error: yaml.YAMLError, text: str) -> str:
    """What the parser has found, in one line: where, what, and the words that stand there."""
    if isinstance(error, ReaderError):
        line, said = text.count("\n", 0, error.position), f"the character {_character(error)} is not allowed"
    else:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, said = mark.line if mark else 0, " ".join(str(getattr(error, "problem", None) or error).split())
    lines = text.splitlines()
    while line > 0 and (line >= len(lines) or not lines[line].strip()):  # found at the end of the file: something is not closed
        line -= 1
    stands = lines[line].strip() if lines else ""
    shown = stands if len(stands) <= _SHOWN else stands[:_SHOWN] + "…"
    return f"line {line + 1}: not readable as YAML: {said}, in {shown!r}"


def _character(error: ReaderError) -> str:
    code = error.character if isinstance(error.character, int) else ord(error.character)
    return f"U+{code:04X}"


def read_mapping(path: str | Path, what: str, kind: type[DuobiaoError], begin: str = "") -> dict[str, Any]:
    """The mapping that a file describes.

    Args:
        path: The file.
        what: What it should be, for the hint.
        kind: What is raised.
        begin: How such a file begins, for the hint.

    Raises:
        DuobiaoError: As in ``read_yaml``, and if the file holds something else.
    """
    data = read_yaml(path, what, kind)
    if not isinstance(data, dict):
        raise kind(f"{path}: holds no mapping", hint=f"start with {begin!r}" if begin else f"give {what}")
    return data
