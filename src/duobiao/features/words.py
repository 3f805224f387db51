"""Category words: what ``duobiao mine`` finds, as a file that people edit and models read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from duobiao.data.write import write_text
from duobiao.errors import DataError
from duobiao.labels import LabelSpace
from duobiao.strict_yaml import read_yaml

SCORES = ("log_odds", "chi2", "mi")
_HEAD = """\
# Category words, the best first. Edit freely: delete lines, add lines such as "- 退款", change the order.
# rows / elsewhere: rows with the word among those of the label (or context), and among the others.
"""


@dataclass(frozen=True)
class Term:
    """One category word.

    Attributes:
        word: The word, lower case.
        rows: Rows of the label that hold it.
        elsewhere: Other rows that hold it.
        scores: By name: ``log_odds``, ``chi2``, ``mi``; empty where a person added the word.
    """

    word: str
    rows: int = 0
    elsewhere: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Category:
    """The words of one label or one context.

    Attributes:
        terms: The best first.
        rows: Training rows of the label.
        elsewhere: The rows that it is told apart from.
    """

    terms: tuple[Term, ...]
    rows: int = 0
    elsewhere: int = 0

    def top(self, count: int) -> tuple[str, ...]:
        return tuple(term.word for term in self.terms[:count])


@dataclass(frozen=True)
class Words:
    """Category words of all labels and contexts.

    Attributes:
        labels: By label.
        contexts: By context (dialogue node).
        by: The score that ranks them.
    """

    labels: Mapping[str, Category]
    contexts: Mapping[str, Category]
    by: str = "log_odds"

    @classmethod
    def from_yaml(cls, path: str | Path) -> Words:
        """Reads a file of category words.

        Raises:
            DataError: Naming everything that is wrong in it.
        """
        return cls.from_dict(read_yaml(path, "the file that duobiao mine wrote", DataError), str(path))

    @classmethod
    def from_dict(cls, data: Any, source: str = "words") -> Words:
        """Checks the parsed form.

        Raises:
            DataError: Naming everything that is wrong.
        """
        if not isinstance(data, dict):
            raise DataError(f"{source}: holds no mapping", hint="start with 'labels:', as duobiao mine writes it")
        problems = [f"{key!r}: no such key (known: by, labels, contexts)" for key in data.keys() - {"by", "labels", "contexts"}]
        by = data.get("by", "log_odds")
        if by not in SCORES:
            problems.append(f"by: {by!r} is none of {', '.join(SCORES)}")
        parts = {key: _categories(data.get(key) or {}, key, problems) for key in ("labels", "contexts")}
        if problems:
            raise DataError(f"{source}: {len(problems)} problems", hint="correct the file", problems=problems)
        return cls(parts["labels"], parts["contexts"], by)

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"by": self.by}
        for key, part in (("labels", self.labels), ("contexts", self.contexts)):
            found[key] = {
                name: {
                    "rows": category.rows,
                    "elsewhere": category.elsewhere,
                    "words": [
                        {"word": term.word, "rows": term.rows, "elsewhere": term.elsewhere, **term.scores}
                        for term in category.terms
                    ],
                }
                for name, category in part.items()
            }
        return found

    def write(self, path: str | Path) -> None:
        """Writes the editable file: a word a line.

        Raises:
            DataError: If it cannot be written.
        """
        write_text(path, "".join(self._lines()))

    def _lines(self) -> Iterable[str]:
        yield f"{_HEAD}by: {self.by}\n"
        for key, part in self.to_dict().items():
            if key == "by":
                continue
            yield f"{key}:{'' if part else ' {}'}\n"
            for name, category in part.items():
                yield f"  {_flow(name)}:\n    rows: {category['rows']}\n    elsewhere: {category['elsewhere']}\n"
                yield f"    words:{'' if category['words'] else ' []'}\n"
                yield from (f"      - {_flow(term)}\n" for term in category["words"])

    def missing(self, space: LabelSpace, contexts: Sequence[str] = ()) -> list[str]:
        """Labels of the space, and contexts, that the file does not name."""
        found = [f"label {name!r}" for name in space.names if name not in self.labels]
        return found + [f"context {name!r}" for name in contexts if name not in self.contexts]


def _flow(value: Any) -> str:
    """One value on one line of YAML."""
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, sort_keys=False, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")


def _categories(part: Any, key: str, problems: list[str]) -> dict[str, Category]:
    if not isinstance(part, dict):
        problems.append(f"{key}: must be a mapping of name -> {{words: [...]}}")
        return {}
    found = {}
    for name, entry in part.items():
        where = f"{key}: {name}"
        if isinstance(entry, list):
            entry = {"words": entry}
        if not isinstance(entry, dict) or not isinstance(entry.get("words") or [], list):
            problems.append(f"{where}: must be a list of words, or {{words: [...]}}")
            continue
        problems += [f"{where}: no such key {other!r}" for other in entry.keys() - {"words", "rows", "elsewhere"}]
        terms = [_term(one, where, problems) for one in entry.get("words") or []]
        unique: dict[str, Term] = {}
        for term in terms:
            if term is not None:
                unique.setdefault(term.word, term)
        counts = {count: _count(entry.get(count, 0), f"{where}: {count}", problems) for count in ("rows", "elsewhere")}
        found[str(name)] = Category(tuple(unique.values()), **counts)
    return found


def _term(one: Any, where: str, problems: list[str]) -> Term | None:
    entry = one if isinstance(one, dict) else {"word": one}
    word = entry.get("word")
    if isinstance(word, (bool, type(None), list, dict)) or not str(word).strip():
        problems.append(f"{where}: {one!r} is no word (write what YAML takes for something else, such as no, in quotes)")
        return None
    foreign = entry.keys() - {"word", "rows", "elsewhere", *SCORES}
    problems += [f"{where}: {word}: no such key {key!r}" for key in foreign]
    scores = {}
    for name in SCORES:
        if name in entry:
            if isinstance(entry[name], bool) or not isinstance(entry[name], (int, float)):
                problems.append(f"{where}: {word}: {name} is no number")
            else:
                scores[name] = float(entry[name])
    counts = {count: _count(entry.get(count, 0), f"{where}: {word}: {count}", problems) for count in ("rows", "elsewhere")}
    return Term(str(word).strip().lower(), scores=scores, **counts)


def _count(value: Any, where: str, problems: list[str]) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        problems.append(f"{where} must be a whole number of rows, not {value!r}")
        return 0
    return value
