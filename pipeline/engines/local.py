"""A stage's ranks -> datatrove's local executor: in this process, or in as many workers as are asked for."""

from __future__ import annotations

from datatrove.executor import LocalPipelineExecutor

from pipeline.engines.launch import Launch
from pipeline.engines.workers import Watcher, WorkerDied, interruptible, keep_interrupts, mortal_children
from pipeline.stage import StageError


class Alone(LocalPipelineExecutor):  # type: ignore[misc]  # datatrove carries no types
    """One worker: this process.

    datatrove forks a process that hands out ranks even to a single worker. With libraries and data in memory its start
    and end are most of a small stage: 0.3 of 0.4 seconds.
    """

    def run(self) -> None:
        for rank in range(self.tasks):
            self._run_for_rank(rank)


def launch(launch: Launch) -> str:
    """Do all ranks. Raises StageError for a worker that died: datatrove's pool would wait for it for ever."""
    kind = Alone if launch.workers == 1 else LocalPipelineExecutor
    executor = kind(
        [launch.step], tasks=launch.tasks, workers=launch.workers, logging_dir=launch.log, skip_completed=False
    )
    watcher = Watcher(launch.stage, launch.folder, launch.total, launch.tell)
    if launch.workers > 1:
        keep_interrupts()
    try:
        with interruptible(), watcher, mortal_children():
            executor.run()
    except (WorkerDied, EOFError, OSError) as fault:  # the latter come from the pipe of a process that was killed
        if told := watcher.death(wait=0.0 if isinstance(fault, WorkerDied) else 1.0):
            raise StageError(told) from None
        raise
    return ""
