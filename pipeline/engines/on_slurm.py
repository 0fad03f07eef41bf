"""A stage's ranks -> datatrove's Slurm executor, which submits a job array and returns: here it is waited for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from datatrove.executor import SlurmPipelineExecutor

from pipeline.engines import slurm_queue
from pipeline.engines.clusters import Slurm
from pipeline.engines.launch import Launch
from pipeline.engines.workers import Progress
from pipeline.stage import StageError

MOST = 1000
"""Tasks when none are asked for: an array of a Slurm that was not configured otherwise holds 1,001 (MaxArraySize)."""


class Executor(SlurmPipelineExecutor):  # type: ignore[misc]  # datatrove carries no types
    """datatrove's, without what keeps jobs in the queue for ever or asks for what not every cluster has."""

    asked: Slurm

    def launch_merge_stats(self) -> None:
        """Nothing: datatrove would queue a job that waits for ever once a task has failed. The units' records count."""

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, Any]:
        """One process a task, without srun: so it has all CPUs of its job (srun takes one, from Slurm 22.05 on)."""
        whole: dict[str, Any] = super().get_sbatch_args(max_array)
        del whole["mem-per-cpu"]  # whole GB only
        mine = {"mem": f"{round(self.asked.memory * 1024)}M", "account": self.asked.account, "ntasks": 1}
        return {name: value for name, value in (whole | mine | dict(self.asked.sbatch)).items() if value is not None}


def launch(launch: Launch, asked: Slurm, *, at_once: int | None) -> str:
    """Submit the ranks, or find them in the queue, and wait until none is left -> why not all may have ended well.

    Raises StageError where sbatch refuses the job, and KeyboardInterrupt with what to do about the jobs that stay.
    """
    if shutil.which("sbatch") is None or shutil.which("squeue") is None:
        raise StageError("--engine slurm needs Slurm's sbatch and squeue on PATH; run it on a login node")
    before = {job.id for job in slurm_queue.jobs(launch.folder) or [] if job.ended}
    if not queued(launch.folder):
        submit(launch, asked, at_once)
    try:
        with Progress(launch.folder, launch.tell):
            ended = slurm_queue.wait(launch.folder)
    except KeyboardInterrupt:
        name = slurm_queue.name_of(launch.folder)
        raise KeyboardInterrupt(
            f"the jobs of {launch.stage} go on; run the same command again to wait for them, or end them with "
            f"scancel --name={name}"
        ) from None
    slurm_queue.mark(launch.folder).unlink(missing_ok=True)
    told = slurm_queue.verdict({id: job for id, job in ended.items() if id not in before})
    return f"{told}; their output is in {launch.log}/slurm_logs" if told else ""


def queued(folder: Path) -> bool:
    """Whether jobs of the stage are in the queue from an earlier start."""
    if not slurm_queue.mark(folder).exists():
        return False
    found = slurm_queue.jobs(folder)
    if found is None:
        raise StageError(f"{folder}: jobs may be in Slurm's queue, and squeue does not answer; run again when it does")
    return any(not job.ended for job in found)


def submit(launch: Launch, asked: Slurm, at_once: int | None) -> None:
    """Have datatrove write the array's script and submit it. Raises StageError with what sbatch said against it."""
    if "SLURM_ARRAY_TASK_ID" in os.environ:  # datatrove would take this process for a task
        raise StageError("--engine slurm inside a job array; run it on a login node or in a job of its own")
    executor = Executor(
        [launch.step],
        tasks=launch.tasks,
        workers=at_once or -1,
        time=asked.time,
        partition=asked.partition,
        qos=asked.qos,
        cpus_per_task=asked.cpus,
        job_name=slurm_queue.name_of(launch.folder),
        env_command="\n".join([f'export PATH="{Path(sys.executable).parent}:$PATH"', asked.setup or ""]),
        logging_dir=launch.log,
        skip_completed=False,
        requeue_signals=None,  # datatrove's handler leaves by SystemExit, which is a unit's fault here
        with_srun=False,
    )
    executor.asked = asked
    slurm_queue.submitting(launch.folder)
    with captured(2) as said:
        try:
            executor.run()
        except (subprocess.CalledProcessError, OSError) as fault:
            said.seek(0)
            why = " ".join(said.read().split()).replace("sbatch: error: ", "") or str(fault)
            raise StageError(f"{launch.stage}: sbatch refused the job: {why[:400]}") from None


@contextmanager
def captured(descriptor: int) -> Iterator[IO[str]]:
    """What this process and those it starts write to a descriptor meanwhile, in a file."""
    kept = os.dup(descriptor)
    with tempfile.TemporaryFile("w+", errors="replace") as file:
        os.dup2(file.fileno(), descriptor)
        try:
            yield file
        finally:
            os.dup2(kept, descriptor)
            os.close(kept)
