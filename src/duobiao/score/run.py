"""Scoring from files to files: ``score`` tells the whole way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from duobiao import progress
from duobiao.bundle import Bundle, read_bundle
from duobiao.data.stream import stretches_of
from duobiao.errors import ConfigError, DataError
from duobiao.features.apply import Features
from duobiao.score import local
from duobiao.score.answers import schema_of
from duobiao.score.inputs import files_of, forms_of, identity_of, kept_columns
from duobiao.score.job import Job, Part, Scored
from duobiao.score.journal import FINISHED, Journal, Summary, check_run, place_finished, read_json
from duobiao.score.places import Places
from duobiao.score.settings import Format, ScoreSettings, settings_of

Engine = Callable[[Job, Iterator[Part], int | None], Generator[Scored]]
"""Scores parts with so many workers; gives them in any order."""


def score(
    bundle: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    settings: Mapping[str, Any] | None = None,
    *,
    format: Format | None = None,
    workers: int | None = None,
    engine: Literal["local", "ray"] = "local",
    ray_address: str | None = None,
    force: bool = False,
) -> Summary:
    """Scores all rows of files; an interrupted run goes on, a finished one is left as it is.

    Args:
        bundle: Folder of a bundle.
        inputs: Files, globs and folders of JSON lines, CSV, TSV and Parquet.
        out: A folder for one file a part, or one file, ``.jsonl`` or ``.parquet``.
        settings: Of ``ScoreSettings``, those that are not the default.
        format: Format of a folder's files.
        workers: Processes; one a core by default. With Ray: actors, one a CPU of the cluster by default.
        engine: What runs the workers.
        ray_address: A running Ray cluster; by default one is started on this machine.
        force: Whether to begin anew where another run was interrupted or has finished.

    Returns:
        Counts of rows.

    Raises:
        DataError: If inputs or output are not right, or the run that is there was another one.
        BundleError: If the bundle cannot be read.
        MissingExtraError: If a package is not installed.
    """
    files = files_of(inputs)
    folders = [path for path in map(Path, inputs) if path.is_dir()]
    places = Places.of(Path(out), format, files, folders)
    chosen = settings_of({**(settings or {}), "format": places.format})
    loaded = read_bundle(bundle)
    identity = {"bundle": loaded.digest, "inputs": identity_of(files), "settings": chosen.model_dump(mode="json")}
    before = _gone_on(places, identity, force)
    if before is not None:
        return before
    job, name = _job(Path(bundle), loaded, files, chosen), loaded.name
    del loaded  # its weights are the workers' matter
    run = _engine(engine, ray_address)
    journal = Journal(places, identity)
    try:
        journal.plan(_parts(job))
        journal.open()
        _score(journal, job, run, workers, name)
        return journal.finish()
    finally:
        journal.close()


def _gone_on(places: Places, identity: Mapping[str, Any], force: bool) -> Summary | None:
    """What is there of this run: its summary if it has finished; else what is not of this run is removed, or refused.

    Raises:
        DataError: If the output is not ours, or is of another run.
    """
    if read_json(places.run / FINISHED) is not None:
        place_finished(places)
    report = read_json(places.report)
    if places.out.exists() and (report is None or "inputs" not in report):
        raise DataError(
            f"{places.out}: stands there already and was not written by duobiao score", hint="name another --output"
        )
    begun = check_run(places.run)
    if begun is not None and not force:
        _refuse_other(places.run, begun, identity)
    elif report is not None and places.out.exists() and not force:
        _refuse_other(places.out, report, identity)
        shutil.rmtree(places.run, ignore_errors=True)  # what a kill after the very end left
        progress.say(f"{places.out}: finished before, nothing to do")
        return Summary(report["rows"], report["bad"], report["parts"])
    elif places.run.exists():
        shutil.rmtree(places.run)
    return None


def _refuse_other(place: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    problems = []
    if old["bundle"] != new["bundle"]:
        problems.append(f"the bundle is {new['bundle'][:12]} now, was {old['bundle'][:12]}")
    was, now = ({name: tuple(rest) for name, *rest in one["inputs"]} for one in (old, new))
    problems += [f"{name}: is new" for name in now if name not in was]
    problems += [f"{name}: is not among the inputs any more" for name in was if name not in now]
    problems += [f"{name}: has changed" for name in now if name in was and now[name] != was[name]]
    if not problems and list(was) != list(now):
        problems.append("the inputs come in another order")
    before = old["settings"]
    problems += [
        f"{key} is {value!r} now, was {before.get(key)!r}" for key, value in new["settings"].items() if value != before.get(key)
    ]
    if problems:
        raise DataError(f"{place}: is of another run", hint="--force begins anew; or name another --output", problems=problems)


def _job(path: Path, bundle: Bundle, files: Sequence[Path], settings: ScoreSettings) -> Job:
    forms = forms_of(files, settings, Features.from_bundle(bundle).columns)
    job = Job(path, bundle.digest, settings, forms, kept_columns(forms, settings), Path.cwd())
    if settings.format == "parquet":
        schema_of(job)
    return job


def _engine(name: str, address: str | None) -> Engine:
    if name == "local":
        if address is not None:
            raise ConfigError("a Ray address without the Ray engine", hint="add --engine ray")
        return local.scored
    if name != "ray":
        raise ConfigError(f"there is no engine {name!r}", hint="local or ray")
    from duobiao.score.ray_engine import RayEngine

    return RayEngine(address)


def _parts(job: Job) -> Iterator[Part]:
    number = 0
    with progress.task("look through the inputs: files", len(job.forms)) as task:
        for at, form in enumerate(job.forms):
            for stretch in stretches_of(form, job.settings.part_rows):
                yield Part(number, at, stretch)
                number += 1
            task.advance()
    if not number:
        raise DataError("the inputs hold no rows", hint="give files with at least one row")


def _score(journal: Journal, job: Job, run: Engine, workers: int | None, name: str) -> None:
    total = before = waiting = 0
    for part in journal.parts():
        total += part.stretch.rows
        before += part.stretch.rows * (part.number in journal.done)
        waiting += part.number not in journal.done
    bad = sum(count for _, count in journal.done.values())
    if not waiting:
        return
    with (
        progress.task(f"score with {name}: rows", total, before) as task,
        closing(run(job, journal.waiting(), workers)) as results,
    ):
        for scored in results:
            journal.keep(scored)
            bad += scored.bad
            task.advance(scored.rows + scored.bad, f"{bad} bad" if bad else "")
