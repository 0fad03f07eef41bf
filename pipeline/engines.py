"""Stages -> datatrove's executors, made to fail loudly: any number of tasks and workers fills the same folder.

Rank r of N tasks does units r, r + N, ...; a unit that stands is passed over. A unit that fails is written down and
spares the others; a worker that dies (out of memory, kill) ends the stage with a fault instead of hanging it.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import multiprocess
import orjson
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger

from pipeline.files import write_atomically
from pipeline.handover import check_beside
from pipeline.perform import perform, sign
from pipeline.stage import Record, Stage, StageError, Work, begin, standing
from pipeline.units import Unit
from pipeline.workers import Watcher, WorkerDied, die_with_parent, interruptible, keep_interrupts, mortal_children

logger.disable("datatrove")  # its console talk; what matters is told by the stage's record

WORKER_BYTES = 8_000_000
"""Input that a worker should have to be worth its start, which takes 2 to 3 seconds."""

TASKS_PER_WORKER = 8
"""Tasks when none are asked for: enough that a worker with light units takes more of them."""


SHOWN = 600
"""Characters shown of a unit's fault; `failed/` has all of it, and the trace."""


@dataclass(frozen=True)
class Engine:
    """How a stage's units are shared out. No part of any result or fingerprint."""

    workers: int = 1
    tasks: int | None = None

    def __post_init__(self) -> None:
        if self.workers < 1 or (self.tasks is not None and self.tasks < 1):
            raise StageError("--workers and --tasks are at least 1")


class Units(PipelineStep):  # type: ignore[misc]  # datatrove carries no types
    """A datatrove step that does this rank's units of a stage."""

    name = "units"
    type = "bertmill"

    def __init__(self, work: Work, units: Sequence[Unit], folder: Path, suffix: str) -> None:
        super().__init__()
        self.work, self.units, self.folder, self.suffix = work, units, folder, suffix

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        """Do units rank, rank + world_size, ... that do not stand yet; write down those that fail."""
        if multiprocess.parent_process() is not None:
            die_with_parent()  # which itself ends with the run
        for unit in self.units[rank::world_size]:
            if standing(self.folder, unit.number, self.suffix) is None:
                self._do(unit)
        yield from data or ()

    def _do(self, unit: Unit) -> None:
        running = self.folder / "running" / f"{unit.number:05}"
        failed = self.folder / "failed" / f"{unit.number:05}.json"
        write_atomically(running, str(os.getpid()).encode())
        try:
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
            write_atomically(failed, orjson.dumps(told, option=orjson.OPT_INDENT_2))
        finally:
            running.unlink(missing_ok=True)


Watch = Callable[[Stage, int, int], None]
"""(stage, units that stand, units in all): called about twice a second while a stage runs."""


def run(stage: Stage, workspace: Path, engine: Engine, watch: Watch | None = None) -> tuple[Record, bool]:
    """Bring one stage to its signed end -> (its record, whether anything was done).

    A finished stage is returned as it is; a cut-off one goes on with the units that do not stand.
    Raises StageError where the folder was made with other settings, or where units failed (naming each).
    """
    folder = workspace / stage.name
    record = begin(stage, workspace)
    if record.finished:
        return record, False
    began = time.perf_counter()
    units = list(stage.units(workspace))
    record.units, record.versions = len(units), _versions()
    record.write(folder)
    _sweep(folder)
    pending = [unit for unit in units if standing(folder, unit.number, stage.suffix) is None]
    if pending:
        check_beside(workspace, stage, units)
        _launch(stage, workspace, units, pending, engine, watch)
    written = [orjson.loads(path.read_bytes()) for path in sorted((folder / "failed").glob("*.json"))]
    failed = [one for one in written if standing(folder, one["unit"], stage.suffix) is None]
    if failed:
        record.seconds = round(record.seconds + time.perf_counter() - began, 3)
        record.write(folder)
        raise StageError(_failures(stage, failed, len(units)))
    return sign(stage, record, folder, began), True


def _launch(
    stage: Stage, workspace: Path, units: Sequence[Unit], pending: Sequence[Unit], engine: Engine, watch: Watch | None
) -> None:
    folder = workspace / stage.name
    size = sum(piece.size for unit in pending for piece in unit.pieces)
    workers = min(engine.workers, len(pending), max(1, size // WORKER_BYTES))
    tasks = engine.tasks or min(len(units), max(1, workers * TASKS_PER_WORKER))
    step = Units(stage.work(workspace), units, folder, stage.suffix)
    executor = LocalPipelineExecutor(
        [step],
        tasks=tasks,
        workers=min(workers, tasks),
        logging_dir=str(folder / "log"),
        skip_completed=False,
    )
    watcher = Watcher(stage.name, folder, len(units), lambda done: watch(stage, done, len(units)) if watch else None)
    if executor.workers > 1:
        keep_interrupts()
    try:
        with interruptible(), watcher, mortal_children():
            executor.run()
    except (WorkerDied, EOFError, OSError) as fault:  # the latter come from the pipe of a process that was killed
        if told := watcher.death(wait=0.0 if isinstance(fault, WorkerDied) else 1.0):
            raise StageError(told) from None
        raise


def _sweep(folder: Path) -> None:
    """Forget what a killed launch left: drafts, marks of running units, and failures that are tried again."""
    for pattern in ("*.draft", "*/*.draft", "running/*", "failed/*.json"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _failures(stage: Stage, failed: Sequence[dict[str, Any]], total: int) -> str:
    lines = [
        f"  unit {one['unit']} ({', '.join(one['files'][:3])}): {' '.join(one['fault'].split())[:SHOWN]}"
        for one in failed[:10]
    ]
    stand = "; the others stand" if len(failed) < total else ""
    head = f"{stage.name}: {len(failed)} of {total} units failed{stand}. Mend this and run again:"
    return "\n".join([head, *lines])


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("bertmill", "datatrove", "numpy", "pyarrow", "tokenizers")
    return {name: version(name) for name in names}
