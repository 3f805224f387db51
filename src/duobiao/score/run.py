"""Scoring from files to files: ``score`` tells the whole way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from duobiao import progress
from duobiao.answer import check_predictor
from duobiao.bundle import read_bundle
from duobiao.data.stream import stretches_of
from duobiao.errors import ConfigError, DataError
from duobiao.features.apply import Features
from duobiao.outputs import check_outputs
from duobiao.postprocess.points import default_point
from duobiao.routing import load_routes
from duobiao.score import local
from duobiao.score.answers import schema_of
from duobiao.score.inputs import files_of, forms_of, identity_of, kept_columns
from duobiao.score.job import Job, Part, Scored
from duobiao.score.journal import FINISHED, Journal, Summary, check_run, empty, place_finished, read_json
from duobiao.score.lock import held
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
    teacher: str | Path | None = None,
    route: str | Path | None = None,
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
        teacher: A bundle that answers the rows in the abstain band, at its own default operating point.
        route: A routes file: answers tell where rows go next.
        engine: What runs the workers.
        ray_address: A running Ray cluster; by default one is started on this machine.
        force: Whether to begin anew where another run was interrupted or has finished.

    Returns:
        Counts of rows.

    Raises:
        DataError: If inputs or output are not right, or the run that is there was another one.
        BundleError: If a bundle cannot be read, or the two do not fit.
        ConfigError: If there is no such operating point or band, or the routes are not right.
        MissingExtraError: If a package is not installed.
    """
    files = files_of(inputs)
    places = Places.of(Path(out), format, inputs, files)
    own = [("--output", places.out)]
    beside = [("--output", place) for place in (places.bad, places.report)]
    check_outputs(beside + own * places.is_file, [bundle, teacher, route], own * (not places.is_file))
    chosen = settings_of({**(settings or {}), "format": places.format})
    job, name = _job(bundle, teacher, route, files, chosen)
    run = _engine(engine, ray_address)
    identity = {"inputs": identity_of(files), **_identity(job)}
    _refuse_foreign(places)
    with held(places.run):
        before = _gone_on(places, identity, force)
        if before is not None:
            return before
        journal = Journal(places, identity)
        try:
            journal.plan(_parts(job))
            journal.open()
            _score(journal, job, run, workers, name)
            return journal.finish()
        finally:
            journal.close()


def _job(
    bundle: str | Path, teacher: str | Path | None, route: str | Path | None, files: Sequence[Path], settings: ScoreSettings
) -> tuple[Job, str]:
    """What workers are told, checked as far as no model is needed, and the name of the bundle."""
    first = read_bundle(bundle)
    second = None if teacher is None else read_bundle(teacher)
    if settings.at == default_point(first.thresholds):  # said or not, it is the same run
        settings = settings.model_copy(update={"at": None})
    check_predictor(first, at=settings.at, band=settings.band, teacher=second)
    read = [name for one in (first, second) if one is not None for name in Features.from_bundle(one).columns]
    forms = forms_of(files, settings, list(dict.fromkeys(read)))
    job = Job(
        bundle=Path(bundle),
        digest=first.digest,
        settings=settings,
        forms=forms,
        kept=kept_columns(forms, settings),
        folder=Path.cwd(),
        teacher=None if teacher is None else Path(teacher),
        teacher_digest="" if second is None else second.digest,
        routes=None if route is None else load_routes(route, bundle),
    )
    if settings.format == "parquet":
        schema_of(job)  # what cannot be written is told before anything is scored
    return job, first.name if second is None else f"{first.name} > {second.name}"


def _identity(job: Job) -> dict[str, Any]:
    """What decides the answers, besides the inputs."""
    found: dict[str, Any] = {"bundle": job.digest, "settings": job.settings.model_dump(mode="json")}
    if job.teacher_digest:
        found["teacher"] = job.teacher_digest
    if job.routes is not None:
        found["routes"] = job.routes.digest
    return found


def _refuse_foreign(places: Places) -> dict[str, Any] | None:
    """Refuses an output, or the folder of a run, that is not ours.

    Returns:
        What an interrupted run was; None if there is none.

    Raises:
        DataError: Naming it.
    """
    placed = read_json(places.run / FINISHED) is not None and not places.ready.exists()
    if places.out.exists() and not placed and "inputs" not in (read_json(places.report) or {}):
        raise DataError(
            f"{places.out}: stands there already and was not written by duobiao score", hint="name another --output"
        )
    return check_run(places)


def _gone_on(places: Places, identity: Mapping[str, Any], force: bool) -> Summary | None:
    """What is there of this run: its summary if it has finished; else what is not of this run is removed, or refused.

    Raises:
        DataError: If the output is of another run.
    """
    begun = _refuse_foreign(places)  # once more, now that nobody else is at it
    if read_json(places.run / FINISHED) is not None:
        place_finished(places)
        begun = None
    report = read_json(places.report)
    if begun is not None and not force:
        _refuse_other(places.run, begun, identity)
        return None
    if report is not None and places.out.exists() and not force:
        _refuse_other(places.out, report, identity)
        empty(places.run)  # what a kill after the very end left
        progress.say(f"{places.out}: finished before, nothing to do")
        return Summary(report["rows"], report["bad"], report["parts"])
    empty(places.run)
    return None


def _refuse_other(place: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    problems = []
    for key, what in (("bundle", "the bundle is"), ("teacher", "the teacher is"), ("routes", "the routes are")):
        if old.get(key) != new.get(key):
            now, was = ((one.get(key) or "not given")[:12] for one in (new, old))
            problems.append(f"{what} {now} now, was {was}")
    was, now = ({name: tuple(rest) for name, *rest in one["inputs"]} for one in (old, new))
    problems += [f"{name}: is new" for name in now if name not in was]
    problems += [f"{name}: is not among the inputs any more" for name in was if name not in now]
    problems += [f"{name}: has changed" for name in now if name in was and now[name] != was[name]]
    if not problems and list(was) != list(now):
        problems.append("the inputs come in another order")
    before, after = old["settings"], new["settings"]
    changed = [key for key in after if after[key] != before.get(key)]
    problems += [f"{key} is {_told(after[key])} now, was {_told(before.get(key))}" for key in changed]
    if problems:
        raise DataError(f"{place}: is of another run", hint="--force begins anew; or name another --output", problems=problems)


def _told(value: Any) -> str:
    return "not given" if value is None else repr(value)


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
