"""Workers of a Ray cluster, with Ray Data: the same parts, scored by the same code, on as many machines as there are."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from duobiao.data.stream import Stretch
from duobiao.errors import ConfigError, DuobiaoError, MissingExtraError
from duobiao.score.job import Job, Part, Scored
from duobiao.score.worker import ONE_THREAD, Failure, Worker, checked

MOST_BLOCKS = 10_000
"""Blocks of the data set of parts; where there are more parts, a block has several."""
ATTEMPTS = 30
"""Of a part; calls to an actor that is just being started again count, and come every few tenths of a second."""


@dataclass(frozen=True)
class RayEngine:
    """Scores parts with actors; what they find comes back to this process, the only one that writes.

    A part whose actor or machine dies is done again by Ray, so many times and no more.

    Attributes:
        address: The cluster, as ``ray.init`` takes it; None: one on this machine, which ends with the run.
    """

    address: str | None = None

    def __call__(self, job: Job, parts: Iterator[Part], workers: int | None = None) -> Generator[Scored]:
        """Scores parts with so many actors, one a CPU of the cluster by default.

        Raises:
            MissingExtraError: If Ray is not installed.
            ConfigError: If the cluster cannot be reached.
            DuobiaoError: What stopped a worker; or that a part ended its actor again and again.
        """
        own = _connected(self.address, workers)
        import ray

        try:
            yield from _scored(job, list(parts), workers)
        finally:
            if own:
                ray.shutdown()


def _connected(address: str | None, workers: int | None) -> bool:
    """Connects to a cluster or starts one; False if this process was connected before."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        return False
    here: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
    except Exception as error:  # Ray raises bare ones, too
        raise ConfigError(
            f"no Ray cluster at {address or 'this machine'}: {error}",
            hint="start one (ray start --head), or correct --ray-address",
        ) from error
    return True


def _scored(job: Job, parts: list[Part], workers: int | None) -> Iterator[Scored]:
    import ray.data
    import ray.exceptions

    if not parts:
        return
    cluster: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False  # progress is told in one place
    size = max(1, min(workers or int(cluster.get("CPU", 1)), len(parts)))
    records = [{"part": part.number, "file": part.file, **asdict(part.stretch)} for part in parts]
    found = ray.data.from_items(records, override_num_blocks=min(len(records), MOST_BLOCKS)).map_batches(
        _Actor,
        fn_constructor_args=(job,),
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=size),
        num_cpus=1,
        ray_remote_args_fn=_retries,
        runtime_env={"env_vars": ONE_THREAD},
    )
    left = {part.number: part for part in parts}
    try:
        for batch in found.iter_batches(batch_size=1, batch_format="pyarrow"):
            table: Any = batch
            for row in table.to_pylist():
                done = checked(_unpacked(row))
                del left[done.number]
                yield done
    except ray.exceptions.RayError as error:
        raise _given_up(job, next(iter(left.values())), error) from error


def _retries() -> dict[str, int]:
    """Actors are started again as often as it takes, for machines come and go; a part is not tried again without end."""
    return {"max_restarts": -1, "max_task_retries": ATTEMPTS - 1}


def _given_up(job: Job, first: Part, error: Exception) -> DuobiaoError:
    """What is told when a part has been tried often enough; Ray does not say which one it was."""
    why = (str(error).strip().splitlines() or [type(error).__name__])[0]
    rows = first.stretch
    return DuobiaoError(
        f"Ray gave a part up, after {ATTEMPTS} attempts where its actor died: {why}",
        hint="the same command goes on; if it stops again, memory may be short: fewer --workers, or smaller --part-rows with "
        "--force; --engine local names the rows",
        problems=[f"first part that is not done: {job.forms[first.file].path}, the {rows.rows} rows from row {rows.number}"],
    )


class _Actor:
    """A worker as Ray Data calls it: a batch is one part."""

    def __init__(self, job: Job) -> None:
        self.worker = Worker(job)

    def __call__(self, batch: dict[str, Any]) -> Any:
        cells = {name: int(values[0]) for name, values in batch.items()}
        number, file = cells.pop("part"), cells.pop("file")
        return _packed(number, self.worker.answer(Part(number, file, Stretch(**cells))))


def _packed(number: int, found: Scored | Failure) -> Any:
    import pyarrow

    good = found if isinstance(found, Scored) else Scored(number, 0, 0, b"", b"")
    failed = found if isinstance(found, Failure) else Failure("")
    text, long = pyarrow.string(), pyarrow.large_binary()
    kinds = [("number", pyarrow.int64()), ("rows", pyarrow.int64()), ("bad", pyarrow.int64()), ("answers", long)]
    kinds += [("refused", long), ("message", text), ("hint", text), ("problems", pyarrow.list_(text)), ("trace", text)]
    cells = {**asdict(good), **asdict(failed)}
    return pyarrow.table({name: pyarrow.array([cells[name]], kind) for name, kind in kinds})


def _unpacked(row: dict[str, Any]) -> Scored | Failure:
    if row["message"] or row["trace"]:
        return Failure(row["message"], row["hint"], tuple(row["problems"]), row["trace"])
    return Scored(*(row[name] for name in ("number", "rows", "bad", "answers", "refused")))
