"""doccano: JSONL with labels and a label list out; its JSONL and JSON of every version in."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from duobiao.data.annotate.answers import Annotation, Vocabulary
from duobiao.data.annotate.common import read_records, text_of
from duobiao.data.files import decode
from duobiao.data.rows import Row
from duobiao.data.write import write_text
from duobiao.errors import DataError


def companion(output: Path) -> Path:
    """The file that is written beside the tasks."""
    return output.with_name(f"{output.stem}.labels.json")


def export(rows: Sequence[Row], vocabulary: Vocabulary, output: Path, prefill: bool = True) -> list[Path]:
    """Writes rows, and beside them ``NAME.labels.json`` for the project's page of labels.

    doccano keeps further columns (``row_id``, ``context``) as metadata, shows them, and exports them again. It does not know
    exclusive groups: the labels of a group are listed after each other, and choosing two is reported by the import.

    Returns:
        The files written.
    """
    labels = companion(output)
    write_text(labels, json.dumps(label_list(vocabulary), ensure_ascii=False, indent=1) + "\n")
    write_text(output, (json.dumps(example(row, vocabulary, prefill), ensure_ascii=False) + "\n" for row in rows))
    return [output, labels]


def example(row: Row, vocabulary: Vocabulary, prefill: bool = True) -> dict[str, Any]:
    """A row in doccano's import form for text classification."""
    chosen = vocabulary.chosen(row) if prefill else []
    return {"text": row.text, "label": chosen, "row_id": row.id, "context": row.context or ""}


def label_list(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """The labels in doccano's import form; one colour for the independent ones, one for each group."""
    owner = dict.fromkeys((*vocabulary.of_labels, *vocabulary.unsure_labels), 0)
    for number, group in enumerate(vocabulary.space.groups, 1):
        owner |= dict.fromkeys(vocabulary.of_group(group), number)
    shades = max(owner.values(), default=0) + 1
    found = []
    for name in vocabulary.everything:
        red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(owner[name] / shades, 0.4, 0.5))
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        found.append({"text": name, "suffix_key": None, "background_color": colour, "text_color": "#ffffff"})
    return found


def read(paths: Sequence[Path], label_file: Path | None = None) -> list[Annotation]:
    """Reads exports: ``label`` (now), ``labels`` (JSONL with text labels), ``annotations`` with label numbers (before 1.2).

    An example without labels counts as not annotated: doccano exports those too that nobody has looked at. The annotator is
    the file's name, as doccano writes one file a user, or what the records say.

    Args:
        paths: The files.
        label_file: The project's exported labels, for label numbers.

    Raises:
        DataError: If a file cannot be read, or label numbers have no names.
    """
    names = _label_names(label_file) if label_file is not None else {}
    found: list[Annotation] = []
    for where, record, problems in read_records(paths):
        stem = Path(where.rpartition(": row ")[0]).stem
        person = text_of(record.get("username")) or (None if stem in ("all", "unknown") else stem)
        id_, text = _id(record), text_of(record.get("text", record.get("data")))
        if isinstance(record.get("annotations"), list):
            found += _numbered(where, record["annotations"], (id_, text, person), names, problems)
            continue
        labels = next((record[key] for key in ("label", "labels", "cats") if key in record), None)
        if isinstance(labels, str):
            labels = labels.split("#") if labels else []
        if not isinstance(labels, list) or not all(isinstance(label, (str, int, float)) for label in labels):
            problems.append(f"{where}: has no list 'label' of names; is this an export of a text classification project?")
            continue
        time = text_of(record.get("updated_at"))
        chosen = tuple(str(label) for label in labels)
        found.append(Annotation(id_, where, text, chosen, annotator=person, time=time, status="done" if chosen else "open"))
    return found


def _id(record: Mapping[str, Any]) -> str | None:
    """``row_id``, at the top, in ``meta`` or ``metadata`` (objects or JSON text); else doccano's own ``id``."""
    for key in ("meta", "metadata"):
        inner = record.get(key)
        if isinstance(inner, str):
            try:
                inner = json.loads(inner)
            except ValueError:
                continue
        if isinstance(inner, dict) and "row_id" in inner:
            return text_of(inner["row_id"])
    return text_of(record.get("row_id", record.get("external_id", record.get("id", record.get("doc_id")))))


def _numbered(
    where: str,
    given: list[Any],
    about: tuple[str | None, str | None, str | None],
    names: Mapping[str, str],
    problems: list[str],
) -> Iterator[Annotation]:
    """The form of old versions: one object a label, with its number and its user."""
    id_, text, person = about
    by_user: dict[str | None, list[dict[str, Any]]] = {}
    for item in given:
        if not isinstance(item, dict) or "label" not in item:
            problems.append(f"{where}: an annotation without 'label'")
            return
        by_user.setdefault(text_of(item.get("user_name", item.get("user"))) or person, []).append(item)
    if not by_user:
        yield Annotation(id_, where, text, annotator=person, status="open")
    for user, items in by_user.items():
        chosen = []
        for item in items:
            name = item.get("label_name") or names.get(str(item["label"]))
            if name is None and isinstance(item["label"], str) and not item["label"].isdecimal():
                name = item["label"]
            if name is None:
                problems.append(
                    f"{where}: label number {item['label']!r} has no name; give the exported labels with --label-file"
                )
            else:
                chosen.append(str(name))
        times = [str(item["updated_at"]) for item in items if item.get("updated_at")]
        yield Annotation(id_, where, text, tuple(chosen), annotator=user, time=max(times, default=None))


def _label_names(path: Path) -> dict[str, str]:
    try:
        data = json.loads(decode(path.read_bytes(), str(path)))
        return {str(item["id"]): str(item["text"]) for item in data}
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", hint="give doccano's exported labels") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{path}: no list of labels with id and text", hint="give doccano's exported labels") from error
