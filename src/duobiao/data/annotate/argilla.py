"""Argilla: records with suggestions and the data set's settings out; records of versions 1 and 2 and of the server in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from duobiao.data.annotate.answers import Annotation, Vocabulary
from duobiao.data.annotate.common import read_records, text_of, write_list
from duobiao.data.rows import Row
from duobiao.data.write import write_text

STATUS = {"discarded": "skipped", "draft": "draft", "pending": "draft"}


def companion(output: Path) -> Path:
    """The file that is written beside the tasks."""
    return output.with_name(f"{output.stem}.settings.json")


def export(rows: Sequence[Row], vocabulary: Vocabulary, output: Path, prefill: bool = True) -> list[Path]:
    """Writes records in the form of ``dataset.records.from_json``, and beside them ``NAME.settings.json``.

    Argilla asks every question of every record: groups bound to contexts are not required, and answers to groups that are
    not asked of the row are reported by the import.

    Returns:
        The files written.
    """
    place = companion(output)
    write_text(place, json.dumps(settings(vocabulary), ensure_ascii=False, indent=1) + "\n")
    lines = (json.dumps(record(row, vocabulary, prefill), ensure_ascii=False) for row in rows)
    write_list(output, lines)
    return [output, place]


def _questions(vocabulary: Vocabulary) -> dict[str, list[str]]:
    found = {"labels": [*vocabulary.of_labels, *vocabulary.unsure_labels]} if vocabulary.space.independent else {}
    return found | {f"g{at}": vocabulary.of_group(group) for at, group in enumerate(vocabulary.space.groups, 1)}


def record(row: Row, vocabulary: Vocabulary, prefill: bool = True) -> dict[str, Any]:
    """A row as an Argilla 2 record; labels it has already are suggestions."""
    chosen = set(vocabulary.chosen(row)) if prefill else set()
    suggestions: dict[str, Any] = {}
    for name, choices in _questions(vocabulary).items():
        value = [choice for choice in choices if choice in chosen]
        if value:
            suggestions[name] = {"value": value if name == "labels" else value[0], "score": None, "agent": "duobiao"}
    fields = {"text": row.text, **({"context": row.context} if row.context is not None else {})}
    return {
        "id": row.id,
        "fields": fields,
        "metadata": {"row_id": row.id},
        "suggestions": suggestions,
        "responses": {},
        "vectors": {},
    }


def settings(vocabulary: Vocabulary) -> dict[str, Any]:
    """Fields and questions of the data set."""
    titles = {f"g{at}": group.name for at, group in enumerate(vocabulary.space.groups, 1)}
    always = {f"g{at}" for at, group in enumerate(vocabulary.space.groups, 1) if group.contexts is None}
    questions = [
        {
            "name": name,
            "title": titles.get(name, "标签"),
            "description": None,
            "required": name == "labels" or name in always,
            "settings": {
                "type": "multi_label_selection" if name == "labels" else "label_selection",
                "options": [{"value": choice, "text": choice, "description": None} for choice in choices],
                "visible_options": None,
            },
        }
        for name, choices in _questions(vocabulary).items()
    ]
    text = {"type": "text", "use_markdown": False}
    return {
        "guidelines": None,
        "allow_extra_metadata": True,
        "fields": [
            {"name": "context", "title": "上下文", "required": False, "settings": text},
            {"name": "text", "title": "文本", "required": True, "settings": text},
        ],
        "questions": questions,
        "metadata": [],
        "vectors": [],
    }


def read(paths: Sequence[Path]) -> list[Annotation]:
    """Reads records with responses.

    Version 1 and the server hold a list, one object a user with ``values``; version 2 an object, question -> responses; a
    flat table (``QUESTION.responses`` beside ``QUESTION.responses.users``) is what version 2 writes for Hugging Face.

    Raises:
        DataError: If a file cannot be read or holds something else.
    """
    found: list[Annotation] = []
    for where, data, problems in read_records(paths):
        responses = data.get("responses")
        if isinstance(responses, list):
            people = _by_user(responses)
        elif isinstance(responses, dict):
            people = _by_question(responses)
        elif any(str(key).endswith(".responses") for key in data):
            people = _flat(data)
        else:
            problems.append(f"{where}: has no 'responses'; is this a file of Argilla records?")
            continue
        fields = data.get("fields") if isinstance(data.get("fields"), dict) else data
        text = text_of((fields or {}).get("text"))
        id_ = _id(data)
        count = len(found)
        for person, time, status, answers in people:
            chosen = [str(name) for value in answers.values() for name in (value if isinstance(value, list) else [value])]
            state = STATUS.get(status, "done" if chosen else "open")
            found.append(Annotation(id_, where, text, tuple(chosen), annotator=person, time=time, status=state))
        if len(found) == count:
            found.append(Annotation(id_, where, text, status="open"))
    return found


Response = tuple[str | None, str | None, str, dict[str, Any]]


def _id(data: dict[str, Any]) -> str | None:
    metadata = data.get("metadata")
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            metadata = None
    if isinstance(metadata, dict) and metadata.get("row_id") is not None:
        return text_of(metadata["row_id"])
    return text_of(data.get("row_id", data.get("external_id") or data.get("id")))


def _by_user(responses: list[Any]) -> Iterator[Response]:
    for item in responses:
        if isinstance(item, dict):
            values = item.get("values") or {}
            answers = {name: entry.get("value") if isinstance(entry, dict) else entry for name, entry in values.items()}
            time = text_of(item.get("updated_at") or item.get("inserted_at"))
            yield text_of(item.get("user_id")), time, str(item.get("status") or "submitted"), _given(answers)


def _by_question(responses: dict[str, Any]) -> Iterator[Response]:
    people: dict[str | None, dict[str, Any]] = {}
    states: dict[str | None, str] = {}
    for name, items in responses.items():
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                person = text_of(item.get("user_id"))
                people.setdefault(person, {})[name] = item.get("value")
                states[person] = str(item.get("status") or "submitted")
    for person, answers in people.items():
        yield person, None, states[person], _given(answers)


def _flat(data: dict[str, Any]) -> Iterator[Response]:
    responses: dict[str, list[dict[str, Any]]] = {}
    for key, values in data.items():
        if str(key).endswith(".responses") and isinstance(values, list):
            users = data.get(f"{key}.users") or [None] * len(values)
            states = data.get(f"{key}.status") or [None] * len(values)
            responses[key.removesuffix(".responses")] = [
                {"value": value, "user_id": user, "status": state}
                for value, user, state in zip(values, users, states, strict=False)
            ]
    yield from _by_question(responses)


def _given(answers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answers.items() if value not in (None, "", [])}
