"""Stages -> datatrove's executors, made to fail loudly: any number of tasks and workers fills the same folder.

Rank r of N tasks does units r, r + N, ...; a unit that stands is passed over. A unit that fails is written down and
spares the others; a worker that dies (out of memory, kill) ends the stage with a fault instead of hanging it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import multiprocess
import orjson
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger

from pipeline.files import write_atomically
from pipeline.perform import perform, sign
from pipeline.stage import Record, Stage, StageError, Work, begin, standing
from pipeline.units import Unit

logger.disable("datatrove")  # its console talk; what matters is told by the stage's record

WORKER_BYTES = 8_000_000
"""Input that a worker should have to be worth its start, which takes 2 to 3 seconds."""

TASKS_PER_WORKER = 8
"""Tasks when none are asked for: enough that a worker with light units takes more of them."""


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
            _die_with_parent()  # which itself ends with the run: no worker works on behind a new run's back
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
        except Exception as fault:
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
    with _Watcher(stage, folder, len(units), watch) as watcher, _mortal_children(), _interruptible():
        try:
            executor.run()
        except _WorkerDiedError:
            raise StageError(
                f"{stage.name}: the worker on unit {watcher.died} was killed (out of memory?). What the other units "
                f"did stands; run it again, with fewer --workers if memory was short."
            ) from None


class _WorkerDiedError(Exception):
    """Raised in the main thread while it waits for a pool that has lost a worker."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGUSR1 raises _WorkerDiedError meanwhile. Not SIGINT: a shell's background jobs are started with it ignored."""

    def died(*_: object) -> None:
        raise _WorkerDiedError

    before = signal.signal(signal.SIGUSR1, died)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


class _Watcher(threading.Thread):
    """Tells a stage's progress, and interrupts the main thread if a worker died: the pool would wait for ever."""

    def __init__(self, stage: Stage, folder: Path, total: int, watch: Watch | None) -> None:
        super().__init__(daemon=True)
        self.stage, self.folder, self.total, self.watch = stage, folder, total, watch
        self.died: int | None = None
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.5):
            if self.watch:
                self.watch(self.stage, len(list((self.folder / "units").glob("*.json"))), self.total)
            self.died = self._dead_unit()
            if self.died is not None and not self._over.is_set():
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                return

    def _dead_unit(self) -> int | None:
        for path in (self.folder / "running").glob("[0-9]" * 5):
            try:
                os.kill(int(path.read_bytes()), 0)
            except (FileNotFoundError, ValueError):
                continue
            except ProcessLookupError:
                if path.exists():
                    return int(path.name)
        return None

    def __enter__(self) -> _Watcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


_launching = threading.Event()


@contextmanager
def _mortal_children() -> Iterator[None]:
    """Processes forked meanwhile end with this one, even if it is killed: datatrove's manager would stay for ever."""
    _launching.set()
    try:
        yield
    finally:
        _launching.clear()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


os.register_at_fork(after_in_child=lambda: _die_with_parent() if _launching.is_set() else None)


def _sweep(folder: Path) -> None:
    """Forget what a killed launch left: drafts, marks of running units, and failures that are tried again."""
    for pattern in ("*.draft", "*/*.draft", "running/*", "failed/*.json"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _failures(stage: Stage, failed: Sequence[dict[str, Any]], total: int) -> str:
    lines = [f"  unit {one['unit']} ({', '.join(one['files'][:3])}): {one['fault']}" for one in failed[:10]]
    stand = "; the others stand" if len(failed) < total else ""
    head = f"{stage.name}: {len(failed)} of {total} units failed{stand}. Mend this and run again:"
    return "\n".join([head, *lines])


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("bertmill", "datatrove", "numpy", "pyarrow", "tokenizers")
    return {name: version(name) for name in names}
