"""What a task of a cluster's engine needs: settings of a run, no part of any result or fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Tasks as actors of a Ray cluster: that of RAY_ADDRESS, else the one of this machine, started if there is none."""

    cpus: int = 1
    """CPUs that a task reserves. Our stages use one each."""
    memory: float = 4.0
    """GB (2**30 bytes) that a task reserves; 0 for none. The stages are made to stay under it."""

    def __post_init__(self) -> None:
        _check(self.cpus, self.memory)


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """Tasks as elements of a job array. What is not given is left to the cluster's own defaults."""

    cpus: int = 1
    """CPUs of a task. Our stages use one each."""
    memory: float = 4.0
    """GB (2**30 bytes) of a task; 0 for all that a node has (Slurm's own meaning). The stages stay under 4."""
    partition: str | None = None
    time: str | None = None
    """Of a task, as sbatch takes it: 4:00:00, 1-12, 90 (minutes)."""
    account: str | None = None
    qos: str | None = None
    setup: str | None = None
    """Lines of bash that a task begins with (module load ..., source .../activate). The run's own environment is the
    first on PATH, by its path here; what these lines put before it counts."""
    sbatch: Mapping[str, str] = field(default_factory=dict)
    """More of sbatch's options: {constraint: avx512, exclude: "n[1-3]"}; one without a value has an empty one."""

    def __post_init__(self) -> None:
        _check(self.cpus, self.memory)
        if taken := sorted({"array", "job-name", "output", "error"} & set(self.sbatch)):
            raise ValueError(f"{taken[0]} is not for you to choose: tasks are told by it")


Cluster = Ray | Slurm


def _check(cpus: int, memory: float) -> None:
    if cpus < 1:
        raise ValueError(f"{cpus} cpus do nothing; a task has at least 1")
    if not 0 <= memory < 1 << 20:
        raise ValueError(f"{memory:g} GB are no memory of a task; 4 is usual, 0 asks for none in particular")
