"""Label Studio: tasks with predictions and a labeling configuration out; its JSON, JSON-MIN and old completions in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from duobiao.data.annotate.answers import Annotation, Vocabulary
from duobiao.data.annotate.common import read_records, text_of, write_list
from duobiao.data.rows import Row
from duobiao.data.write import write_text
from duobiao.errors import DataError

GATE = "asked_groups"
"""The control that shows groups bound to contexts; prefilled for each task."""


def companion(output: Path) -> Path:
    """The file that is written beside the tasks."""
    return output.with_name(f"{output.stem}.config.xml")


def export(rows: Sequence[Row], vocabulary: Vocabulary, output: Path, prefill: bool = True) -> list[Path]:
    """Writes tasks, and beside them ``NAME.config.xml`` for the project's labeling interface.

    Labels that a row has already become a prediction, which Label Studio lays out as the start of an annotation.

    Returns:
        The files written.

    Raises:
        DataError: If a name cannot stand in XML, or a place cannot be written.
    """
    config = companion(output)
    write_text(config, labeling_config(vocabulary))
    lines = (json.dumps(task, ensure_ascii=False) for task in tasks(rows, vocabulary, prefill))
    write_list(output, lines)
    return [output, config]


def tasks(rows: Sequence[Row], vocabulary: Vocabulary, prefill: bool = True) -> Iterator[dict[str, Any]]:
    """One task a row, in Label Studio's import form."""
    controls = {choice: name for name, choices in _controls(vocabulary).items() for choice in choices}
    bound = [group for group in vocabulary.space.groups if group.contexts is not None]
    for row in rows:
        chosen: dict[str, list[str]] = {}
        asked = [f"q{number}" for number, group in enumerate(bound, 1) if group.is_asked(row.context)]
        if bound:
            chosen[GATE] = asked or ["q0"]
        for name in vocabulary.chosen(row) if prefill else ():
            chosen.setdefault(controls[name], []).append(name)
        result = [
            {"id": f"p{at}", "from_name": name, "to_name": "text", "type": "choices", "value": {"choices": choices}}
            for at, (name, choices) in enumerate(chosen.items())
        ]
        data = {"row_id": row.id, "text": row.text, "context": row.context or ""}
        yield {"data": data, "predictions": [{"model_version": "duobiao", "result": result}] if result else []}


def _controls(vocabulary: Vocabulary) -> dict[str, list[str]]:
    """Control -> its choices."""
    found = {"labels": vocabulary.of_labels, "unsure": vocabulary.unsure_labels} if vocabulary.space.independent else {}
    return found | {f"g{at}": vocabulary.of_group(group) for at, group in enumerate(vocabulary.space.groups, 1)}


def labeling_config(vocabulary: Vocabulary) -> str:
    """The labeling interface: independent labels as check boxes, each group as one choice, shown only where it is asked.

    Raises:
        DataError: If a name cannot stand in XML.
    """
    space = vocabulary.space
    view = Xml.Element("View")
    Xml.SubElement(view, "Header", value="$context")
    Xml.SubElement(view, "Text", name="text", value="$text")
    bound = [group for group in space.groups if group.contexts is not None]
    if space.independent:
        _choices(view, "labels", vocabulary.of_labels, "标签", choice="multiple", required="true")
    for number, group in enumerate(space.groups, 1):
        place = view
        if group.contexts is not None:
            gate = f"q{bound.index(group) + 1}"
            place = Xml.SubElement(view, "View", visibleWhen="choice-selected", whenTagName=GATE, whenChoiceValue=gate)
        _choices(place, f"g{number}", vocabulary.of_group(group), group.name, choice="single-radio")
    folded = Xml.SubElement(view, "Collapse")
    if space.independent:
        panel = Xml.SubElement(folded, "Panel", value="不确定的标签")
        unsure = vocabulary.unsure_labels
        padding = [vocabulary.nothing] if len(unsure) < 2 else []  # Label Studio cannot read a control of one choice
        _choices(panel, "unsure", [*unsure, *padding], "", choice="multiple")
    if bound:
        panel = Xml.SubElement(folded, "Panel", value="这一行问哪些组")
        gates = [("不问任何组", "q0"), *((group.name, f"q{at}") for at, group in enumerate(bound, 1))]
        choices = Xml.SubElement(panel, "Choices", name=GATE, toName="text", choice="multiple")
        for name, alias in gates:
            Xml.SubElement(choices, "Choice", value=_plain(name), alias=alias)
    if not len(folded):
        view.remove(folded)
    Xml.indent(view)
    try:
        text = Xml.tostring(view, encoding="unicode")
        Xml.fromstring(text)
    except (Xml.ParseError, ValueError) as error:
        raise DataError("a label cannot be written into XML", hint=f"rename it in the label space ({error})") from error
    return text + "\n"


def _choices(place: Xml.Element, name: str, choices: Sequence[str], title: str, **settings: str) -> None:
    if title:
        Xml.SubElement(place, "Header", value=_plain(title))
    control = Xml.SubElement(place, "Choices", {"name": name, "toName": "text", "showInLine": "true", **settings})
    for choice in choices:
        shown = _plain(choice)
        attributes = {"value": shown}
        if shown != choice:
            attributes["alias"] = choice
        Xml.SubElement(control, "Choice", attributes)


def _plain(name: str) -> str:
    """A name that begins with $ would be taken for a field of the task."""
    return "＄" + name[1:] if name.startswith("$") else name


# ---- reading ---------------------------------------------------------------------------------------


def read(paths: Sequence[Path], vocabulary: Vocabulary) -> list[Annotation]:
    """Reads an export: JSON (annotations, or completions of old versions) or JSON-MIN.

    Raises:
        DataError: If a file cannot be read or holds something else.
    """
    found: list[Annotation] = []
    for where, record, problems in read_records(paths):
        if isinstance(record.get("data"), dict):
            found += _task(where, record, problems)
        elif "annotation_id" in record or "annotator" in record:
            found.append(_minimal(where, record, vocabulary))
        else:
            problems.append(f"{where}: has no 'data'; export as JSON or JSON-MIN")
    return found


def _task(where: str, record: dict[str, Any], problems: list[str]) -> Iterator[Annotation]:
    data = record["data"]
    id_, text = text_of(data.get("row_id", data.get("id"))), text_of(data.get("text"))
    given = record.get("annotations", record.get("completions"))
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        problems.append(f"{where}: has no list 'annotations'; export as JSON, not as tasks only")
        return
    if not given:
        yield Annotation(id_, where, text, status="open")
    for item in given:
        cancelled = item.get("was_cancelled") or item.get("skipped")
        chosen: list[str] = []
        for result in item.get("result") or ():
            if not isinstance(result, dict) or result.get("from_name") == GATE:
                continue
            if result.get("type") != "choices":
                problems.append(f"{where}: a result of type {result.get('type')!r}; only choices are labels")
                continue
            value = result.get("value")
            choices = value.get("choices") if isinstance(value, dict) else None
            if not isinstance(choices, list):
                problems.append(f"{where}: a result without a list of choices")
                continue
            chosen += [str(choice[-1] if isinstance(choice, list) and choice else choice) for choice in choices]
        yield Annotation(
            id_,
            where,
            text,
            tuple(chosen),
            complete=True,
            annotator=_person(item.get("completed_by")),
            time=text_of(item.get("updated_at") or item.get("created_at")),
            status="skipped" if cancelled else "done",
        )


def _minimal(where: str, record: dict[str, Any], vocabulary: Vocabulary) -> Annotation:
    """JSON-MIN: one object an annotation, controls as keys, one choice as a string and several as ``{"choices": [...]}``."""
    chosen: list[str] = []
    controls = set(_controls(vocabulary))
    for key, value in record.items():
        if key in ("row_id", "text", "context", GATE):
            continue
        if isinstance(value, dict) and isinstance(value.get("choices"), list):
            chosen += [str(choice) for choice in value["choices"]]
        elif isinstance(value, str) and (key in controls or value in vocabulary.meaning or value == vocabulary.nothing):
            chosen.append(value)
    return Annotation(
        text_of(record.get("row_id")),
        where,
        text_of(record.get("text")),
        tuple(chosen),
        complete=True,
        annotator=_person(record.get("annotator")),
        time=text_of(record.get("updated_at") or record.get("created_at")),
    )


def _person(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("email") or value.get("username") or value.get("id")
    return text_of(value)
