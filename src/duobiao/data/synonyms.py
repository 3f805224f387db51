"""The user's dictionary of synonyms."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from duobiao.data.files import decode
from duobiao.errors import DataError

_CODE = re.compile(r"[A-Z][a-z]\d{2}[A-Z]\d{2}([=#@])")
_PARTS = re.compile(r"[\s,，、;；|]+")


def read_synonyms(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Reads a text file with the words of one group on a line, parted by spaces or commas; ``#`` begins a remark.

    Lines of the Cilin thesaurus, which begin with a code, are read too: those marked ``=`` are synonyms, others (``#``, ``@``)
    are only of a kind, or alone, and are passed over.

    Returns:
        The other words of its groups, for each word, in the order of the file.

    Raises:
        DataError: If the file is not there or holds no group, or naming every line with a single word.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", hint="correct augment.synonyms")
    found: dict[str, dict[str, None]] = defaultdict(dict)
    problems = []
    for number, line in enumerate(decode(path.read_bytes(), str(path)).splitlines(), 1):
        words = list(dict.fromkeys(part for part in _PARTS.split(line.strip()) if part))
        if not words or words[0].startswith("#"):
            continue
        code = _CODE.fullmatch(words[0])
        if code and code[1] != "=":
            continue
        words = words[1:] if code else words
        if len(words) < 2:
            problems.append(f"{path}: line {number}: a single word, {words[0] if words else line.strip()!r}")
        for word in words:
            found[word].update((other, None) for other in words if other != word)
    if problems or not found:
        what = f"{len(problems)} lines are no groups" if problems else "holds no group of synonyms"
        raise DataError(f"{path}: {what}", hint="write the words of a group on one line, parted by spaces", problems=problems)
    return {word: tuple(others) for word, others in found.items()}
