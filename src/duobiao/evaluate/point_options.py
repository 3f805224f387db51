"""Operating points as users write them: ``NAME=TARGET`` options, a YAML file, a table of costs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from duobiao.config import PointSettings, ThresholdSettings, apply_override
from duobiao.config.base import field_problems
from duobiao.config.points import F1_TARGETS, OTHERS
from duobiao.data.files import records_of
from duobiao.errors import ConfigError
from duobiao.labels import LabelSpace
from duobiao.strict_yaml import read_mapping

Model = TypeVar("Model", bound=BaseModel)
_BOUND = re.compile(r"(precision|recall)\s*>=\s*([0-9.]+)\s*(?:[:：](.+))?", re.DOTALL)
_COLUMNS = {
    "label": ("label", "标签"),
    "false_positive": ("false_positive", "fp", "误报"),
    "false_negative": ("false_negative", "fn", "漏报"),
}
_FORMS = "micro-f1, macro-f1, samples-f1, precision>=0.9, recall>=0.95:标签甲,标签乙, or a table of costs (.csv, .yaml)"
_HINT = f"write --point NAME=TARGET, with a target like {_FORMS}"


def parse_points(options: Sequence[str], file: str | Path | None = None) -> dict[str, PointSettings]:
    """Targets by name, from a YAML file and from options; an option wins over the file.

    Raises:
        ConfigError: Naming everything that is wrong.
    """
    problems: list[str] = []
    found: dict[str, PointSettings] = {}
    folder = Path() if file is None else Path(file).parent
    for name, entry in read_mapping(file, "a YAML file of operating points", ConfigError).items() if file is not None else ():
        written = entry if isinstance(entry, dict) else _form(str(entry), f"{file}: {name}", problems, folder)
        if isinstance(written, dict) and isinstance(written.get("costs"), str):
            written = {**written, "costs": read_costs(folder / written["costs"])}
        _take(found, str(name), written, f"{file}: {name}", problems)
    given = set[str]()
    for option in options:
        name, sign, text = (part.strip() for part in option.partition("="))
        if not sign or not name or not text:
            problems.append(f"--point {option!r} is not of the form NAME=TARGET")
        elif name in given:
            problems.append(f"--point {name}: stands there twice")
        else:
            given.add(name)
            _take(found, name, _form(text, f"--point {option}", problems), f"--point {option}", problems)
    if problems:
        raise ConfigError(f"{len(problems)} problems with operating points", hint=_HINT, problems=problems)
    return found


def read_costs(path: str | Path) -> dict[str, dict[str, float]]:
    """A table of costs: columns ``label, false_positive, false_negative`` (标签, 误报, 漏报), or YAML of the same words.

    Raises:
        ConfigError: If it cannot be read, or naming every cell that is no cost.
    """
    path = Path(path)
    problems: list[str] = []
    found: dict[str, dict[str, float]] = {}
    if path.suffix.lower() in (".yaml", ".yml"):
        entries = read_mapping(path, "a YAML file of costs", ConfigError).items()
        problems += [f"{path}: {name}: {entry!r} is no pair of costs" for name, entry in entries if not isinstance(entry, dict)]
        lines = {number: {"label": name, **entry} for number, (name, entry) in enumerate(entries, 1) if isinstance(entry, dict)}
    else:
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such table of costs", hint=_HINT)
        lines = {number: dict(record) for number, record in records_of(path, str(path), problems)}
    for number, line in lines.items():
        cells = {key: next((line[name] for name in names if name in line), None) for key, names in _COLUMNS.items()}
        label, costs = str(cells.pop("label") or "").strip(), {}
        for key, value in cells.items():
            try:
                costs[key] = float(str(value))
            except ValueError:
                costs[key] = math.nan
            if not 0 < costs[key] < math.inf:
                problems.append(f"{path}: line {number} ({label}): {key} is {value!r}, no number above 0")
        if not label or label in found:
            problems.append(f"{path}: line {number}: {f'{label!r} stands there twice' if label else 'no label'}")
        found[label] = costs
    if problems or not found:
        hint = "give a table with the columns label, false_positive, false_negative (* for all other labels)"
        raise ConfigError(f"{path}: no table of costs", hint=hint, problems=problems)
    return found


def check_points(points: Mapping[str, PointSettings], space: LabelSpace) -> None:
    """Refuses targets that the label space does not have.

    Raises:
        ConfigError: Naming every label.
    """
    problems, hints = [], list[str]()
    for point, settings in points.items():
        for label in (*settings.labels, *(name for name in settings.costs if name != OTHERS)):
            if label not in space.index:
                problems.append(f"{point}: {label!r} is no label of the bundle")
                hints = [f"choose among {', '.join(space.names)}"]
        for group in space.groups if settings.costs and OTHERS not in settings.costs else ():
            missing = [label for label in group.labels if label not in settings.costs]
            if missing and len(missing) < len(group.labels):
                problems.append(f"{point}: group {group.name!r} has costs, but not for {', '.join(map(repr, missing))}")
    if problems:
        if any(settings.costs for settings in points.values()):
            hints.append(
                "a table of costs may name those of groups too: all labels of a group, or none (* stands for all others)"
            )
        raise ConfigError("operating points that do not fit the label space", hint="; ".join(hints), problems=problems)


def parse_rules(values: Mapping[str, Any]) -> ThresholdSettings:
    """Rules from a mapping.

    Raises:
        ConfigError: Naming every field that is wrong.
    """
    problems: list[str] = []
    found = _validated(ThresholdSettings, dict(values), problems, "")
    if found is None:
        hint = f"rules are {', '.join(ThresholdSettings.model_fields)}"
        raise ConfigError("the rules cannot be read", hint=hint, problems=problems)
    return found


def read_rules(file: str | Path | None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Fields of ``ThresholdSettings`` from a YAML file and from ``name=value`` texts, which win.

    Raises:
        ConfigError: If the file cannot be read, or naming every field that is wrong.
    """
    found = read_mapping(file, "a YAML file of rules", ConfigError) if file is not None else {}
    for override in overrides:
        apply_override(found, override)
    parse_rules(found)
    return found


def _form(text: str, where: str, problems: list[str], folder: Path = Path()) -> dict[str, Any] | None:
    """What a written target stands for; a table of costs is looked for from ``folder`` on."""
    if text.lower().replace("_", "-") in F1_TARGETS:
        return {"target": text.lower().replace("_", "-")}
    bound = _BOUND.fullmatch(text)
    if bound:
        labels = [name.strip() for name in re.split("[,，]", bound[3] or "") if name.strip()]
        return {"target": bound[1], "at_least": bound[2], "labels": labels}
    if Path(text).suffix.lower() in (".csv", ".tsv", ".xlsx", ".yaml", ".yml"):
        return {"target": "cost", "costs": read_costs(folder / text)}
    problems.append(f"{where}: {text!r} is no target")
    return None


def _take(found: dict[str, PointSettings], name: str, written: Any, where: str, problems: list[str]) -> None:
    checked = None if written is None else _validated(PointSettings, written, problems, f"{where}: ")
    if checked is not None:
        found[name] = checked


def _validated(kind: type[Model], values: Any, problems: list[str], where: str) -> Model | None:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems += [where + problem for problem in field_problems(error)]
        return None
