"""YAML in which a key that stands twice is an error, not a silent loss of the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from duobiao.errors import DuobiaoError


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, strict about repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Builds a mapping.

        Raises:
            yaml.YAMLError: If a key stands twice.
        """
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.YAMLError(f"line {key.start_mark.line + 1}: the key {key.value!r} stands there twice")
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
        DuobiaoError: Of that kind, if the file is missing, or no YAML in UTF-8.
    """
    try:
        return load_yaml(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise kind(f"{path}: {error.strerror}", hint=f"give the path of {what}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:  # a date that is none; a list as a key
        raise kind(f"{path}: not readable as YAML: {error}", hint="save it as UTF-8 YAML") from error


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
