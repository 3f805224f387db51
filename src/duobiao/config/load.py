"""From a YAML file to settings."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from duobiao.config.base import field_problems
from duobiao.config.fastbert import FastBERTConfig
from duobiao.config.linear_student import LinearStudentConfig
from duobiao.config.pretraining import AdaptConfig, GeneralConfig
from duobiao.config.students import BiGRUConfig, StudentConfig
from duobiao.config.systems import LinearConfig, TeacherConfig
from duobiao.config.tinybert import TinyBERTConfig
from duobiao.config.tokens import BiLSTMConfig, TextCNNConfig
from duobiao.errors import ConfigError
from duobiao.strict_yaml import read_mapping

AnyConfig = (
    LinearConfig
    | TeacherConfig
    | BiGRUConfig
    | FastBERTConfig
    | TinyBERTConfig
    | BiLSTMConfig
    | TextCNNConfig
    | LinearStudentConfig
    | AdaptConfig
    | GeneralConfig
)
Config = Annotated[AnyConfig, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[AnyConfig] = TypeAdapter(Config)


def shipped_configs() -> dict[str, Path]:
    """The configurations that come with duobiao, by name."""
    folder = Path(str(resources.files("duobiao") / "configs"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def shipped_students() -> list[str]:
    """Names of the shipped configurations of students."""
    return [name for name in shipped_configs() if isinstance(load_config(name), StudentConfig)]


def load_config(config: str | Path, overrides: Sequence[str] = ()) -> AnyConfig:
    """Reads a run's configuration.

    Args:
        config: Path of a YAML file, or the name of a shipped configuration.
        overrides: ``a.b=value`` each; the value is read as YAML.

    Raises:
        ConfigError: If there is no such configuration, or naming every field that is wrong.
    """
    shipped = shipped_configs()
    path = Path(config)
    if not path.is_file():
        if str(config) not in shipped:
            raise ConfigError(
                f"there is no configuration {str(config)!r}", hint=f"give a YAML file or one of {', '.join(shipped)}"
            )
        path = shipped[str(config)]
    data = read_mapping(path, "a configuration file", ConfigError, begin="kind: ...")
    data = with_overrides(data, overrides)
    data.setdefault("name", path.stem)
    return parse_config(data, str(path))


def parse_config(data: dict[str, Any], source: str = "configuration") -> AnyConfig:
    """Checks a configuration given as a mapping.

    Raises:
        ConfigError: Naming every field that is wrong.
    """
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as error:
        # the first part of a place is the kind
        problems = field_problems(error, 1, whole="kind")
        raise ConfigError(f"{source}: {len(problems)} problems", hint="correct these fields", problems=problems) from error


def with_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A configuration given as a mapping, with changes; the mapping itself stays as it is.

    Args:
        data: The mapping.
        overrides: ``a.b=value`` each; the value is read as YAML.

    Raises:
        ConfigError: If a change is not of that form.
    """
    found = copy.deepcopy(dict(data))
    for override in overrides:
        apply_override(found, override)
    return found


def apply_override(data: dict[str, Any], override: str) -> None:
    """Sets one value of a nested mapping, from ``a.b=value``; the value is read as YAML.

    Raises:
        ConfigError: If the text is not of that form.
    """
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set {override!r} is not of the form a.b=value", hint="write --set train.lr=3e-5")
    try:
        parsed = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {override!r}: the value is not YAML", hint="quote it") from error
    *parents, last = key.strip().split(".")
    place = data
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set {override!r}: {parent!r} is a value, not a section", hint="check the name")
    place[last] = parsed
