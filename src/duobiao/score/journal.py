"""The folder ``OUT.run`` of a scoring run: what is to be done, what is done, and how it becomes ``OUT`` as a whole.

A part is done when its files are in place and the journal has a line of it. The line comes last, so that a kill at any moment
leaves a part that is done, or one that will be done again; its files are renamed into place, so doing it twice changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from duobiao.data.stream import Stretch
from duobiao.data.write import write_text, written_beside
from duobiao.errors import DataError
from duobiao.score.answers import join_json_lines, join_parquet
from duobiao.score.job import Part, Scored
from duobiao.score.lock import LOCK
from duobiao.score.places import Places

RUN, PLAN, JOURNAL, FINISHED, OLD = "run.json", "plan.jsonl", "journal.jsonl", "finished.json", "old"


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes:
        rows: Rows that were answered.
        bad: Rows that were not; they are in the side file.
        parts: Parts that the inputs were cut into.
    """

    rows: int
    bad: int
    parts: int


class Journal:
    """A scoring run under way, whose folder this process holds (see ``lock``).

    Args:
        places: Where everything goes.
        identity: What decides the answers: bundle, inputs, settings.

    Raises:
        DataError: If the folder cannot be written.
    """

    def __init__(self, places: Places, identity: Mapping[str, Any]) -> None:
        self.places, self.identity = places, identity
        self.done: dict[int, tuple[int, int]] = {}
        try:
            for folder in (places.parts, places.bad_parts):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{places.run}: cannot be written: {error.strerror}", hint="choose another --output") from error
        self._lines: IO[bytes] | None = None

    def plan(self, parts: Iterable[Part]) -> None:
        """Writes down the parts, then what the run is; a plan that is there already stays, for the inputs are the same."""
        run = self.places.run
        if not (run / RUN).exists():
            lines = (json.dumps([part.number, part.file, *asdict(part.stretch).values()]) + "\n" for part in parts)
            write_text(run / PLAN, lines)
            write_text(run / RUN, json.dumps(self.identity, ensure_ascii=False, indent=1) + "\n")

    def parts(self) -> Iterator[Part]:
        """All parts in order."""
        with (self.places.run / PLAN).open(encoding="utf-8") as file:
            for line in file:
                number, where, *stretch = json.loads(line)
                yield Part(number, where, Stretch(*stretch))

    def waiting(self) -> Iterator[Part]:
        """Parts that are not done, in order."""
        return (part for part in self.parts() if part.number not in self.done)

    def open(self) -> None:
        """Reads what is done, leaves out what is not in place after all, and gets ready to go on."""
        for folder in (self.places.parts, self.places.bad_parts):
            for cut_off in folder.glob(".*"):
                cut_off.unlink()
        place = self.places.run / JOURNAL
        whole = place.read_bytes() if place.exists() else b""
        whole = whole[: whole.rfind(b"\n") + 1]  # a line that a kill cut off
        for line in whole.splitlines():
            number, rows, bad, size, bad_size = json.loads(line)
            if _size(self.places.part(number)) == size and (not bad or _size(self.places.bad_part(number)) == bad_size):
                self.done[number] = rows, bad
        self._lines = place.open("r+b" if place.exists() else "wb")
        self._lines.truncate(len(whole))
        self._lines.seek(len(whole))

    def keep(self, scored: Scored) -> None:
        """Writes a part's answers and bad rows, then the line that says so."""
        assert self._lines is not None
        _write(self.places.bad_part(scored.number), scored.refused)
        _write(self.places.part(scored.number), scored.answers)
        line = [scored.number, scored.rows, scored.bad, len(scored.answers), len(scored.refused)]
        self._lines.write(f"{json.dumps(line)}\n".encode())
        self._lines.flush()
        self.done[scored.number] = scored.rows, scored.bad

    def finish(self) -> Summary:
        """All parts become the output, whole or not at all; a kill in between is gone on from."""
        places = self.places
        numbers = [part.number for part in self.parts()]
        rows, bad_rows = (sum(counts[at] for counts in self.done.values()) for at in (0, 1))
        summary = Summary(rows, bad_rows, len(numbers))
        if places.is_file:
            files = [places.part(number) for number in numbers]
            with written_beside(places.joined) as place:
                (join_parquet if places.format == "parquet" else join_json_lines)(files, place)
        bad = [places.bad_part(number) for number in numbers if self.done[number][1]]
        with written_beside(places.run / places.bad.name) as place:
            join_json_lines(bad, place)
        write_text(places.run / FINISHED, json.dumps({**asdict(summary), **self.identity}, ensure_ascii=False, indent=1) + "\n")
        self.close()
        place_finished(places)
        return summary

    def close(self) -> None:
        """Closes the journal; the run can be gone on with."""
        if self._lines is not None:
            self._lines.close()
        self._lines = None


def place_finished(places: Places) -> None:
    """The last steps of a run that has all its answers: each is one renaming, and may be repeated after a kill."""
    bad = places.run / places.bad.name
    if bad.exists():
        if bad.stat().st_size:
            os.replace(bad, places.bad)
        else:
            places.bad.unlink(missing_ok=True)
            bad.unlink()
    if places.ready.exists():
        if places.out.exists() and not places.is_file:
            shutil.rmtree(places.run / OLD, ignore_errors=True)
            places.out.rename(places.run / OLD)
        os.replace(places.ready, places.out)
    (places.run / RUN).unlink(missing_ok=True)  # what is left now is no run to go on with
    os.replace(places.run / FINISHED, places.report)
    empty(places.run)


def empty(run: Path) -> None:
    """Removes what is in the folder of a run, but for the lock."""
    for child in run.iterdir():
        if child.is_dir():
            shutil.rmtree(child)
        elif child.name != LOCK:
            child.unlink()


def check_run(places: Places) -> dict[str, Any] | None:
    """What an interrupted run was; None if there is none, or one that had not begun.

    Raises:
        DataError: If the folder is something else.
    """
    folder = places.run
    if not folder.exists():
        return None
    known = {RUN, PLAN, JOURNAL, FINISHED, LOCK, places.parts.name, places.bad_parts.name, OLD, places.bad.name}
    begun = read_json(folder / RUN)
    foreign = [
        child.name for child in folder.iterdir() if child.name not in known and not child.name.startswith((".", "joined."))
    ]
    if (begun is not None and "inputs" not in begun) or (begun is None and foreign):
        raise DataError(f"{folder}: is no run of duobiao score", hint="name another --output, or move it away")
    return begun


def read_json(place: Path) -> dict[str, Any] | None:
    """What a file of ours says; None if it is not there, or not whole."""
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(place: Path, data: bytes) -> None:
    with written_beside(place) as beside:
        beside.write_bytes(data)


def _size(place: Path) -> int:
    try:
        return place.stat().st_size
    except OSError:
        return -1
