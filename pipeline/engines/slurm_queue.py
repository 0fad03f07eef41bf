"""Slurm's queue -> what has become of a stage's jobs. A stage's folder tells by what name they were submitted."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import write_atomically
from pipeline.stage import StageError

CANCELLED = "CANCELLED"
"""The state of a job that a person has ended."""

ENDED = {
    *("COMPLETED", CANCELLED, "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE"),
    *("OUT_OF_MEMORY", "REVOKED"),
}
"""States that a job does not leave (squeue(1), JOB STATE CODES)."""

STUCK = {
    *("JobHeldUser", "JobHeldAdmin", "launch failed requeued held", "DependencyNeverSatisfied", "BadConstraints"),
    *("PartitionTimeLimit", "PartitionNodeLimit", "InvalidAccount", "InvalidQOS"),
}
"""Reasons for which a job waits until a person does something (squeue(1), JOB REASON CODES)."""

SILENCE = 1800.0
"""Seconds without an answer of the queue after which a run gives up: a controller is restarted in minutes."""


@dataclass(frozen=True)
class Job:
    """One line of the queue: an element of an array, or those that still wait together."""

    id: str
    state: str
    reason: str

    @property
    def ended(self) -> bool:
        return self.state in ENDED


def name_of(folder: Path) -> str:
    """By what name the jobs of a stage are submitted: readable, and of this folder alone."""
    place = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:10]
    return f"bertmill-{folder.name}-{place}"


def mark(folder: Path) -> Path:
    """The file that stands while a stage's jobs may be in the queue."""
    return folder / "log" / "slurm_jobs"


def submitting(folder: Path) -> None:
    """Note that jobs are about to be submitted."""
    write_atomically(mark(folder), f"{name_of(folder)}\n".encode())


def jobs(folder: Path) -> list[Job] | None:
    """The stage's jobs, also those that ended minutes ago; None if the queue does not answer."""
    command = ["squeue", "--noheader", "--states=all", f"--name={name_of(folder)}", "--format=%i|%T|%r"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except FileNotFoundError:
        raise StageError(f"{mark(folder)}: Slurm's squeue is not on PATH; run where it is") from None
    except (subprocess.SubprocessError, OSError):
        return None
    return [Job(*line.strip().split("|", 2)) for line in done.stdout.splitlines() if line.count("|") >= 2]


def wait(folder: Path, longest: float = 15.0) -> dict[str, Job]:
    """Wait until no job of the stage is in the queue -> the jobs as they were last seen, by id.

    Looks twice a second at first, and every `longest` seconds later on. Raises StageError if the queue does not answer
    for `SILENCE`, or if a job waits for a person.
    """
    seen: dict[str, Job] = {}
    pause, answered = 0.5, time.monotonic()
    while True:
        found = jobs(folder)
        if found is not None:
            answered = time.monotonic()
            seen = {**{id: job for id, job in seen.items() if job.ended}, **{job.id: job for job in found}}
            live = [job for job in found if not job.ended]
            if not live:
                return seen
            if stuck := [job for job in live if job.reason.strip("()") in STUCK]:
                raise StageError(
                    f"{folder}: job {stuck[0].id} waits for a person ({stuck[0].reason.strip('()')}); release or mend "
                    f"it, or end it with scancel --name={name_of(folder)}, and run the same command again"
                )
        elif time.monotonic() - answered > SILENCE:
            raise StageError(
                f"{folder}: squeue has been silent for {SILENCE / 60:.0f} minutes; run again when it talks"
            )
        time.sleep(pause)
        pause = min(longest, pause * 1.2)


def refuse_if_queued(folder: Path) -> None:
    """Raise StageError if jobs of the stage may still write to its folder."""
    if not mark(folder).exists():
        return
    found = jobs(folder)
    if found is None or any(not job.ended for job in found):
        raise StageError(
            f"{folder}: jobs of an earlier start are in Slurm's queue; go on with --engine slurm, or end them with "
            f"scancel --name={name_of(folder)} and run again"
        )
    mark(folder).unlink(missing_ok=True)


def verdict(ended: Mapping[str, Job]) -> str:
    """How jobs ended that did not end well, and what to do; nothing if all did."""
    mends = {"OUT_OF_MEMORY": "raise memory", "TIMEOUT": "raise time"}
    bad: dict[str, list[str]] = {}
    for job in ended.values():
        if job.state != "COMPLETED":
            bad.setdefault(job.state, []).append(job.id)
    told = [
        f"{state}: job {', '.join(ids[:3])}{f' and {len(ids) - 3} more' if len(ids) > 3 else ''}"
        + (f" ({mends[state]})" if state in mends else "")
        for state, ids in sorted(bad.items())
    ]
    return "; ".join(told)
