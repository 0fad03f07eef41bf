"""Stages -> datatrove's executors, made to fail loudly: any number of tasks and workers fills the same folder.

Rank r of N tasks does units r, r + N, ... of those that do not stand. A unit that fails is written down and spares the
others; a worker that dies (out of memory, kill) ends the stage with a fault, or on a cluster the unit that it was at.
What an executor says is not believed: units stand by their own records.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import multiprocess
import orjson
from datatrove.pipeline.base import PipelineStep
from loguru import logger

from pipeline.engines import local, slurm_queue
from pipeline.engines.clusters import Cluster, Ray, Slurm
from pipeline.engines.launch import Launch
from pipeline.engines.nodes import Site, build, versions
from pipeline.engines.outcome import begun, failures, left, undone, unsaid
from pipeline.engines.workers import die_with_parent
from pipeline.files import write_atomically
from pipeline.handover import Reach, check_beside, units_of
from pipeline.perform import perform, sign
from pipeline.stage import Record, Stage, StageError, Work, begin, standing
from pipeline.stores.mirror import forget, gather, leave
from pipeline.units import Unit

logger.disable("datatrove")  # its console talk; what matters is told by the stage's record

WORKER_BYTES = 8_000_000
"""Input that a worker, and on a cluster a task, should have to be worth its start, which takes 2 to 3 seconds."""

TASKS_PER_WORKER = 8
"""Tasks when none are asked for and several workers share them: one with light units takes more."""

TRIES = 2
"""Times that a unit is begun on a cluster if its process is killed: once may be the loss of a node, twice is the unit
(out of memory), and the others should not wait for it."""

LAUNCHES = 4
"""Times that what killed processes left is shared out anew: each time half of their units stand or are given up."""


@dataclass(frozen=True)
class Engine:
    """How a stage's units are shared out. No part of any result or fingerprint."""

    workers: int | None = None
    """Ranks at work at the same time; if not given one on this machine, and all that a cluster has room for."""
    tasks: int | None = None
    cluster: Cluster | None = None
    """What a task asks of a cluster; None for this machine."""

    def __post_init__(self) -> None:
        if any(number is not None and number < 1 for number in (self.workers, self.tasks)):
            raise StageError("--workers and --tasks are at least 1")


class Units(PipelineStep):  # type: ignore[misc]  # datatrove carries no types
    """A datatrove step that does this rank's units of a stage."""

    name = "units"
    type = "bertmill"

    def __init__(
        self,
        work: Work,
        units: Sequence[Unit],
        folder: Path,
        suffix: str,
        site: Site | None = None,
        reach: Reach | None = None,
    ) -> None:
        super().__init__()
        self.reach = reach
        self.work, self.units, self.folder, self.suffix, self.site = work, units, folder, suffix, site

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        """Do units rank, rank + world_size, ... that do not stand yet; write down those that fail."""
        if multiprocess.parent_process() is not None:
            die_with_parent()  # which itself ends with the run
        if self.reach:
            self.reach.arrive()
        for unit in self.units[rank::world_size]:
            if self.site:
                self.site.see()
            if standing(self.folder, unit.number, self.suffix) is None:
                self._do(unit)
        yield from data or ()

    def _do(self, unit: Unit) -> None:
        running = self.folder / "running" / f"{unit.number:05}"
        failed = self.folder / "failed" / f"{unit.number:05}.json"
        before = _tries(running)
        write_atomically(running, f"{os.getpid()} {before + 1}".encode())
        try:
            if self.site:
                self.site.compare()
            if before >= TRIES:
                raise StageError(f"was begun {before} times, and its process killed each time (out of memory or time?)")
            perform(self.work, unit, self.folder, self.suffix)
            failed.unlink(missing_ok=True)
        except (Exception, SystemExit) as fault:
            files = [piece.name for piece in unit.pieces]
            trace = traceback.format_exc()
            told = {
                "unit": unit.number,
                "files": files,
                "fault": f"{type(fault).__name__}: {fault}",
                "trace": trace,
            }
            leave(failed, orjson.dumps(told, option=orjson.OPT_INDENT_2))
        finally:
            running.unlink(missing_ok=True)


def _tries(running: Path) -> int:
    """How often a unit was begun in this launch by processes that are no more."""
    try:
        return int(running.read_bytes().split()[1])
    except (FileNotFoundError, IndexError, ValueError):
        return 0


Watch = Callable[[Stage, int, int], None]
"""(stage, units that stand, units in all): called about twice a second while a stage runs."""


def run(stage: Stage, workspace: Path, engine: Engine, watch: Watch | None = None) -> tuple[Record, bool]:
    """Bring one stage to its signed end -> (its record, whether anything was done).

    A finished stage is returned as it is; a cut-off one goes on with the units that do not stand.
    Raises StageError where the folder was made with other settings, or where units failed (naming each) or were left.
    """
    if engine.cluster:
        workspace = workspace.absolute()  # other nodes are at home elsewhere
    folder = workspace / stage.name
    record = begin(stage, workspace)
    if record.finished:
        return record, False
    began = time.perf_counter()
    goes_on = _goes_on(folder, engine)
    units = units_of(stage, workspace)
    record.units, record.versions = len(units), versions()
    record.write(folder)
    if not goes_on:
        _sweep(folder)
    why = ""
    if pending := left(stage, folder, units):
        check_beside(workspace, stage, units)
        for _ in range(LAUNCHES):
            why = _launch(stage, workspace, record, units, pending, engine, watch)
            gather(folder)
            pending = unsaid(stage, folder, pending)
            if not (engine.cluster and begun(folder, pending)) or slurm_queue.CANCELLED in why:
                break
    told = failures(stage, folder, len(units)) or undone(stage, folder, units, why, far=engine.cluster is not None)
    if told:
        record.seconds = round(record.seconds + time.perf_counter() - began, 3)
        record.write(folder)
        raise StageError(told)
    _sweep(folder)
    return sign(stage, record, folder, began), True


@contextmanager
def held(engine: Engine) -> Iterator[None]:
    """Keep what an engine holds from one stage to the next, and let go of it in the end: the connection to Ray."""
    try:
        yield
    finally:
        if isinstance(engine.cluster, Ray):
            from pipeline.engines import on_ray

            on_ray.release()


def _goes_on(folder: Path, engine: Engine) -> bool:
    """Whether jobs of an earlier start are still at work in the folder, which this engine waits for."""
    if isinstance(engine.cluster, Slurm):
        from pipeline.engines import on_slurm

        return on_slurm.queued(folder)
    slurm_queue.refuse_if_queued(folder)
    return False


def _launch(
    stage: Stage,
    workspace: Path,
    record: Record,
    units: Sequence[Unit],
    pending: Sequence[Unit],
    engine: Engine,
    watch: Watch | None,
) -> str:
    """Have the engine do the pending units -> what it says of ranks that did not end well."""
    folder, total = workspace / stage.name, len(units)
    site = Site(folder, record.fingerprint, build()) if engine.cluster else None
    reach = Reach.of(workspace, stage, units) if engine.cluster else None
    worth = min(len(pending), max(1, sum(piece.size for unit in pending for piece in unit.pieces) // WORKER_BYTES))

    def ready(workers: int, tasks: int) -> Launch:
        return Launch(
            step=Units(stage.work(workspace), pending, folder, stage.suffix, site, reach),
            stage=stage.name,
            folder=folder,
            tasks=tasks,
            workers=min(workers, tasks),
            total=total,
            tell=lambda done: watch(stage, done, total) if watch else None,
        )

    def shared(workers: int, finest: int) -> Launch:
        return ready(workers, engine.tasks or (min(finest, workers * TASKS_PER_WORKER) if workers > 1 else 1))

    if isinstance(engine.cluster, Slurm):
        from pipeline.engines import on_slurm

        tasks = engine.tasks or min(worth, on_slurm.MOST)
        return on_slurm.launch(ready(tasks, tasks), engine.cluster, at_once=engine.workers)
    if isinstance(engine.cluster, Ray):
        from pipeline.engines import on_ray

        on_ray.connect()
        room = on_ray.room(engine.cluster)
        return on_ray.launch(shared(min(engine.workers or room, room, worth), worth), engine.cluster)
    return local.launch(shared(min(engine.workers or 1, worth), len(pending)))


def _sweep(folder: Path) -> None:
    """Forget what killed processes left: drafts, marks of running units, and failures that are tried again."""
    forget(folder / "failed")
    for pattern in ("*.draft", "*/*.draft", "running/*", "failed/*.json"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
